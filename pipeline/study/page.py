"""The page of the study: one HTML file that needs nothing else."""

import base64
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pipeline.study import cache, charts, claims, glossary
from pipeline.study.cells import RANDOM, Cell, Table
from pipeline.study.claims import Claim
from pipeline.study.intervals import Interval
from pipeline.study.records import MEASURED, Record

LIBRARIES = "torch", "torchvision", "fastai", "dvc", "numpy", "scipy", "scikit-image", "torchmetrics"
PICTURES = 1_600_000  # bytes of grids and animations on the page, at most
NOT_PLANNED = "–"
GRID = "grid.png"
QUESTIONS = {
    "What does a pretrained encoder bring?": ("encoder or none", "encoder or other"),
    "What do other settings bring?": ("settings",),
    "What does the GAN bring?": ("gan",),
}
WHO = {"unet": "U-Net", "unet_gain": "U-Net × gain", "gan": "GAN"}


@dataclass
class Picture:
    """A picture on the page, as a data URL, with what stands below it."""

    url: str
    caption: str


@dataclass
class Grid:
    """A table on the page: a heading, columns, and rows of a name and cells, None where a figure is missing."""

    title: str
    columns: list[str]
    rows: Sequence[tuple[str, Sequence[Interval | str | None]]]


@dataclass
class Answer:
    """What the page begins with: a question, the sentences that answer it, and the figures that these are about."""

    question: str
    claims: list[Claim]
    grids: list[Grid] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


@dataclass
class Section:
    """A part of the study on the page; `every` are the tables of all figures, which are folded away."""

    title: str
    claims: list[Claim]
    grids: list[Grid] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    every: list[Grid] = field(default_factory=list)


def build(
    records: Sequence[Record], table: Table, said: Sequence[Claim], seeds: Sequence[int], notes: Sequence[str]
) -> str:
    """The page.

    Args:
        records: of all runs.
        table: made of them.
        said: what follows from it.
        seeds: which the study wants.
        notes: what there is to say of the code.
    """
    environment = Environment(undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": claims.number, "figure": partial(figure, seeds=len(seeds)), "count": claims.count}
    template = environment.from_string(files(__package__).joinpath("page.html.jinja").read_text(encoding="utf-8"))
    room = [PICTURES]
    measured = [record for record in records if record.status == MEASURED and record.places]
    return template.render(
        answers=_answers(table, said),
        sections=[_section(table, part, said, room) for part in table.values("part")],
        glossary=_glossary(measured),
        statuses=Counter(record.status for record in records if record.places),
        lacking=[record for record in records if record.places and record.status != MEASURED],
        others=[record for record in records if not record.places],
        seeds=seeds,
        planned=sum(bool(record.places) for record in records),
        notes=notes,
        measured_on=_measured_on(measured),
        versions={name: version(name) for name in LIBRARIES},
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        gan=any("gan" in record.made.figures for record in measured),
        elsewhere=_elsewhere(measured),
        ended=sorted(record.made.when for record in measured),
        trained=_trained_with(measured),
    )


def _glossary(measured: Sequence[Record]) -> list[tuple[str, str, str]]:
    """What the figures mean that some run has."""
    known = {name for record in measured for figures in record.made.figures.values() for name in figures}
    return [meaning for name, meaning in glossary.FIGURES.items() if name in known]


def _elsewhere(measured: Sequence[Record]) -> int:
    """Of how many runs the grids and animations are not here, since only their figures were kept."""
    return sum(cache.path(record.made, f"plots/{GRID}") is None for record in measured)


def _answers(table: Table, said: Sequence[Claim]) -> list[Answer]:
    """What the page begins with; a sentence that follows from several parts is there once."""
    found: dict[tuple[Any, ...], Claim] = {}
    for claim in said:
        part, setting, *rest = claim.cell
        is_first = setting == table.values("setting", part=part)[0]
        if claim.cell.encoder != "none" if claim.kind == "settings" else is_first:
            found.setdefault((claim.kind, *rest, claim.against, *claim.differences), claim)
    answers = [
        Answer(question, [claim for claim in found.values() if claim.kind in kinds])
        for question, kinds in QUESTIONS.items()
    ]
    answers[0].pictures += _brought(table)
    answers[-1].grids += _gans(table)
    return [answer for answer in answers if answer.claims]


def _brought(table: Table) -> list[Picture]:
    """What each encoder brings, a row for each target and number of pictures; the first setting of each part."""
    rows: dict[str, dict[str, Interval]] = {}
    for cell in table.select():
        if cell.setting != table.values("setting", part=cell.part)[0] or cell.encoder == "none":
            continue
        if brought := table.difference(cell, cell._replace(encoder="none"), *claims.SKILL):
            row = rows.setdefault(f"{cell.target}\n{claims.count(cell.images)}", {})
            row.setdefault(table.encoders[cell], brought)
    if not rows:
        return []
    drawn = charts.dots(rows, "skill that the encoder brings the U-Net, beside random weights")
    caption = "What pretraining brings, by what the encoder knows; to the right of 0 it helps, bars are intervals."
    return [Picture(_url(drawn, "svg+xml"), caption)]


def _gans(table: Table) -> list[Grid]:
    """The GANs of all settings on the same target and encoder, beside the U-Net and its colours times a gain."""
    groups: dict[tuple[str, str, int], dict[str, Cell]] = {}
    for cell in (cell for part in table.values("part") for cell in _largest(table, part)):
        if table.figures(cell, "gan", "skill"):
            groups.setdefault((cell.target, cell.encoder, cell.images), {}).setdefault(cell.setting, cell)
    grids = []
    for (target, _, images), by_setting in groups.items():
        cells = list(by_setting.values())
        columns = {WHO[who]: (cells[0], who) for who in ("unet", "unet_gain")}
        columns |= {f"{WHO['gan']}, {setting}": (cell, "gan") for setting, cell in by_setting.items()}
        rows = [
            (glossary.label(metric), [table.mean(cell, who, metric) or NOT_PLANNED for cell, who in columns.values()])
            for metric in claims.GAN
        ]
        title = f"{target}, encoder {table.encoders[cells[0]]}, {claims.count(images)}"
        grids.append(Grid(title, list(columns), rows))
    return grids


def _section(table: Table, part: str, said: Sequence[Claim], room: list[int]) -> Section:
    section = Section(part, [claim for claim in said if claim.cell.part == part])
    settings = table.values("setting", part=part)
    for setting in settings:
        section.grids += _matrix(table, part, setting)
    for setting in settings:
        for target in table.values("target", part=part, setting=setting):
            section.pictures += _by_images(table, part, setting, target)
            section.pictures += _by_minutes(table, part, setting, target)
    if len(settings) > 1:
        section.pictures += _beside(table, part)
    for cell in _largest(table, part):
        if table.figures(cell, "gan", "skill"):
            section.grids.append(_colourisers(table, cell))
    section.every += _unets(table, part)
    section.pictures += _drawings(table, part, room)
    return section


def _largest(table: Table, part: str) -> list[Cell]:
    """Of each setting and target the cells with most pictures."""
    return [
        cell
        for cell in table.select(part=part)
        if cell.images == max(table.values("images", part=part, setting=cell.setting, target=cell.target))
    ]


def _matrix(table: Table, part: str, setting: str) -> list[Grid]:
    """The U-Net's skill: targets and numbers of pictures down, encoders across; nothing, if none of it is measured."""
    encoders = table.values("encoder", part=part, setting=setting)
    rows = []
    for target in table.values("target", part=part, setting=setting):
        for images in table.values("images", part=part, setting=setting, target=target):
            cells = [Cell(part, setting, target, encoder, images) for encoder in encoders]
            values = [table.mean(cell, *claims.SKILL) if cell in table.runs else NOT_PLANNED for cell in cells]
            rows.append((f"{target}, {claims.count(images)}", values))
    if not any(isinstance(value, Interval) for _, values in rows for value in values):
        return []
    columns = [RANDOM if encoder == "none" else encoder for encoder in encoders]
    return [Grid(f"The U-Net's skill, {setting}: target, by what the encoder learnt from", columns, rows)]


def _by_images(table: Table, part: str, setting: str, target: str) -> list[Picture]:
    """Skill against number of pictures, a line an encoder."""
    series: dict[str, dict[int, Interval]] = {}
    for cell in table.select(part=part, setting=setting, target=target):
        if value := table.mean(cell, *claims.SKILL):
            series.setdefault(table.encoders[cell], {})[cell.images] = value
    if max((len(values) for values in series.values()), default=0) < 2:
        return []
    drawn = charts.lines(series, "training pictures", "the U-Net's skill on the test pictures")
    return [Picture(_url(drawn, "svg+xml"), f"{target}, {setting}: skill against the number of pictures, by encoder.")]


def _by_minutes(table: Table, part: str, setting: str, target: str) -> list[Picture]:
    """Skill on validation against minutes of the U-Net's training, a line an encoder; means over the seeds."""
    series = {}
    images = max(table.values("images", part=part, setting=setting, target=target))
    for cell in table.select(part=part, setting=setting, target=target, images=images):
        curves = [curve for record in table.runs[cell].values() if (curve := _curve(record)) is not None]
        if curves and len({len(curve) for curve in curves}) == 1:
            minutes, skills = zip(*((curve.index.to_numpy(), curve.to_numpy()) for curve in curves), strict=True)
            series[table.encoders[cell]] = pd.Series(np.mean(skills, axis=0), index=np.mean(minutes, axis=0))
    if not series:
        return []
    drawn = charts.curves(series, "minutes of the U-Net's training", "the U-Net's skill on the validation pictures")
    caption = f"{target}, {setting}, {claims.count(images)}: skill against minutes, by encoder."
    return [Picture(_url(drawn, "svg+xml"), caption + " What pretraining the encoder took is not in it.")]


def _curve(record: Record) -> pd.Series | None:
    """Skill on validation by minutes."""
    rows, clock = (cache.table(record.made, f"plots/{name}.csv") for name in ("unet", "unet_seconds"))
    if rows is None or clock is None or len(rows) != len(clock) or "validation_skill" not in rows:
        return None
    return pd.Series(rows["validation_skill"].to_numpy(), index=clock["seconds"].cumsum().to_numpy() / 60)


def _beside(table: Table, part: str) -> list[Picture]:
    """The U-Net's skill by setting, a row a target and encoder."""
    rows: dict[str, dict[str, Interval]] = {}
    for cell in _largest(table, part):
        if value := table.mean(cell, *claims.SKILL):
            rows.setdefault(f"{cell.target}\n{table.encoders[cell]}", {})[cell.setting] = value
    if not rows:
        return []
    drawn = charts.dots(rows, "the U-Net's skill on the test pictures")
    return [Picture(_url(drawn, "svg+xml"), "Settings beside each other; below a target what its encoder knows.")]


def _colourisers(table: Table, cell: Cell) -> Grid:
    """U-Net, its colours times a gain and GAN beside each other: every figure of a cell."""
    who = [name for name in WHO if _metrics(table, cell, name)]
    rows = [
        (glossary.label(metric), [table.mean(cell, name, metric) or NOT_PLANNED for name in who])
        for metric in _metrics(table, cell, "gan")
    ]
    title = f"{cell.target}, encoder {table.encoders[cell]}, {claims.count(cell.images)}, {cell.setting}"
    return Grid(title, [WHO[name] for name in who], rows)


def _unets(table: Table, part: str) -> list[Grid]:
    """Every figure of U-Nets of which no GAN was made, encoders beside each other."""
    alone: dict[tuple[str, str, int], list[Cell]] = {}
    for cell in _largest(table, part):
        if table.figures(cell, "unet", "skill") and not table.figures(cell, "gan", "skill"):
            alone.setdefault((cell.setting, cell.target, cell.images), []).append(cell)
    grids = []
    for (setting, target, images), cells in alone.items():
        metrics = dict.fromkeys(metric for cell in cells for metric in _metrics(table, cell, "unet"))
        rows = [
            (glossary.label(metric), [table.mean(cell, "unet", metric) or NOT_PLANNED for cell in cells])
            for metric in metrics
        ]
        title = f"The U-Net alone: {target}, {claims.count(images)}, {setting}, by what the encoder learnt from"
        grids.append(Grid(title, [table.encoders[cell] for cell in cells], rows))
    return grids


def _metrics(table: Table, cell: Cell, who: str) -> list[str]:
    """Which figures any run of a cell has, those of the glossary first, in its order."""
    named = {name for record in table.runs[cell].values() for name in record.made.figures.get(who, {})}
    own = sorted(name for name in named if not name.endswith(("_low", "_high")))
    known = [name for name in glossary.FIGURES if name in own]
    return known + [name for name in own if name not in known]


def _drawings(table: Table, part: str, room: list[int]) -> list[Picture]:
    """Grid and animation of the lowest seed of each largest cell of the first setting, while there is room."""
    found = []
    first = table.values("setting", part=part)[0]
    for cell in _largest(table, part):
        if cell.setting != first or not table.runs[cell]:
            continue
        seed = min(table.runs[cell])
        for name, kind in ((GRID, "png"), ("before_after.gif", "gif")):
            path = cache.path(table.runs[cell][seed].made, f"plots/{name}")
            content = path.read_bytes() if path else b""
            if not content or len(content) > room[0]:
                continue
            room[0] -= len(content)
            caption = f"{cell.target}, encoder {table.encoders[cell]}, seed {seed}: the first test pictures."
            found.append(Picture(_url(content, kind), caption))
    return found


def _url(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def figure(interval: Interval | str | None, seeds: int) -> Markup | str:
    """A figure with its interval below it, and how many seeds it has, if not all; or what says that there is none."""
    if interval is None:
        return Markup('<span class="none">missing</span>')
    if isinstance(interval, str):
        return interval
    below = [f"{claims.number(interval.low)} to {claims.number(interval.high)}"]
    if interval.seeds < seeds:
        below.append(f"{interval.seeds} of {seeds} seeds")
    return claims.number(interval.value) + Markup().join(Markup("<small>{}</small>").format(line) for line in below)


def _measured_on(measured: Sequence[Record]) -> list[tuple[str, Any, str]]:
    """Target, number of test pictures and digest of the data, of each that there is."""
    found = []
    for record in measured:
        pictures = record.made.figures["measured_on"]["pictures"]
        found.append((record.planned.roles().target, pictures, record.made.output("data/target") or ""))
    return list(dict.fromkeys(found))


def _trained_with(measured: Sequence[Record]) -> list[str]:
    """The versions of torch that the models say."""
    return sorted({version for record in measured if (version := cache.torch(record.made))})
