"""The parts of the study on the page: tables, charts, sentences and drawings of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pipeline.params import Part, Study
from pipeline.study import cache, charts, claims, glossary
from pipeline.study.cells import RANDOM, Cell, Table
from pipeline.study.claims import Claim
from pipeline.study.elements import NOTHING, WHO, Grid, Picture, compared, url
from pipeline.study.intervals import Interval
from pipeline.study.records import Record

PICTURES = 1_600_000  # bytes of grids and animations on the page, at most
GRID = "plots/grid.png"


@dataclass
class Section:
    """A part of the study on the page; `every` are the tables of all figures, which are folded away."""

    title: str
    settings: dict[str, str]  # name → by what parameters they differ from params.yaml
    claims: list[Claim]
    grids: list[Grid] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    every: list[Grid] = field(default_factory=list)


def sections(table: Table, said: Sequence[Claim], study: Study) -> list[Section]:
    """One for each part, in the study's order.

    Args:
        table: of all runs.
        said: what follows from it.
        study: which settings its parts have.
    """
    room = [PICTURES]
    return [_section(table, part, study.parts[part], said, room) for part in table.values("part")]


def _section(table: Table, part: str, planned: Part, said: Sequence[Claim], room: list[int]) -> Section:
    settings = table.values("setting", part=part)
    told = {name: ", ".join(f"{key}: {value}" for key, value in planned.settings[name].items()) for name in settings}
    section = Section(part, told, [claim for claim in said if claim.cell.part == part])
    for setting in settings:
        section.grids += _matrix(table, part, setting)
    for setting in settings:
        for target in table.values("target", part=part, setting=setting):
            section.pictures += _by_images(table, part, setting, target)
            section.pictures += _by_minutes(table, part, setting, target)
    section.pictures += _beside(table, part)
    for cell in table.largest(part):
        if table.figures(cell, "gan", "skill"):
            section.grids.append(_colourisers(table, cell))
    section.every += _unets(table, part)
    section.pictures += _drawings(table, part, room)
    return section


def _matrix(table: Table, part: str, setting: str) -> list[Grid]:
    """The U-Net's skill: targets and numbers of pictures down, encoders across; nothing, if none of it is measured."""
    encoders = table.values("encoder", part=part, setting=setting)
    rows = []
    for target in table.values("target", part=part, setting=setting):
        for images in table.values("images", part=part, setting=setting, target=target):
            cells = [Cell(part, setting, target, encoder, images) for encoder in encoders]
            values = [table.mean(cell, *claims.SKILL) if cell in table.runs else NOTHING for cell in cells]
            rows.append((f"{target}, {claims.count(images)}", values))
    if not any(isinstance(value, Interval) for _, values in rows for value in values):
        return []
    columns = [RANDOM if encoder == "none" else encoder for encoder in encoders]
    networks = dict.fromkeys(table.encoders[cell].architecture for cell in table.select(part=part, setting=setting))
    title = f"The U-Net's skill on {' and '.join(networks)}, {setting}: target, by what the encoder learnt from"
    return [Grid(title, columns, rows)]


def _by_images(table: Table, part: str, setting: str, target: str) -> list[Picture]:
    """Skill against number of pictures, a line an encoder."""
    series: dict[str, dict[int, Interval]] = {}
    cells = table.select(part=part, setting=setting, target=target)
    for cell in cells:
        if value := table.mean(cell, *claims.SKILL):
            series.setdefault(_called(table, cell, cells), {})[cell.images] = value
    if max((len(values) for values in series.values()), default=0) < 2:
        return []
    drawn = charts.lines(series, "training pictures", "the U-Net's skill on the test pictures", _colours(table))
    caption = (
        f"{target}, {setting}: skill against the number of pictures, by encoder; hollow marks are of one run. Epochs "
        "are as many, so that training on fewer pictures has fewer steps, too."
    )
    return [Picture(url(drawn, "svg+xml"), caption)]


def _by_minutes(table: Table, part: str, setting: str, target: str) -> list[Picture]:
    """Skill on validation against minutes of the U-Net's training, a line an encoder; means over the seeds."""
    series = {}
    images = table.most(part=part, setting=setting, target=target)
    cells = table.select(part=part, setting=setting, target=target, images=images)
    for cell in cells:
        curves = [curve for record in table.runs[cell].values() if (curve := _curve(record)) is not None]
        if curves and len({len(curve) for curve in curves}) == 1:
            minutes, skills = zip(*((curve.index.to_numpy(), curve.to_numpy()) for curve in curves), strict=True)
            series[_called(table, cell, cells)] = pd.Series(np.mean(skills, axis=0), index=np.mean(minutes, axis=0))
    if not series:
        return []
    up = "the U-Net's skill on the validation pictures"
    drawn = charts.curves(series, "minutes of the U-Net's training", up, _colours(table))
    caption = (
        f"{target}, {setting}, {claims.count(images)}: skill against minutes, by encoder, where that is known. What "
        "pretraining the encoder took is not in it; minutes depend on what else the machine had to do."
    )
    return [Picture(url(drawn, "svg+xml"), caption)]


def _called(table: Table, cell: Cell, among: Sequence[Cell]) -> str:
    """An encoder by what it knows, and by its architecture, too, where there are several."""
    encoder = table.encoders[cell]
    return encoder.knows if len({table.encoders[one].architecture for one in among}) == 1 else str(encoder)


def _colours(table: Table) -> dict[str, int]:
    """A place in `charts.COLOURS` for each name that `_called` gives."""
    names = [*table.knowledge, *map(str, table.encoders.values())]
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _curve(record: Record) -> pd.Series | None:
    """Skill on validation by minutes."""
    rows, clock = (cache.table(record.made, f"plots/{name}.csv") for name in ("unet", "unet_seconds"))
    if rows is None or clock is None or len(rows) != len(clock) or "validation_skill" not in rows:
        return None
    return pd.Series(rows["validation_skill"].to_numpy(), index=clock["seconds"].cumsum().to_numpy() / 60)


def _beside(table: Table, part: str) -> list[Picture]:
    """The U-Net's skill by setting, a row a target and encoder, where several are measured."""
    rows: dict[str, dict[str, Interval]] = {}
    first: dict[str, Cell] = {}
    for cell in table.comparable(part):
        name = f"{cell.target}, {cell.images:,}\n{table.encoders[cell].knows}"
        value = table.mean(cell, *claims.SKILL)
        if value and not (name in first and table.same_unet(first[name], cell)):
            first.setdefault(name, cell)
            rows.setdefault(name, {})[cell.setting] = value
    rows = {name: row for name, row in rows.items() if len(row) > 1}
    if not rows:
        return []
    drawn = charts.dots(rows, "the U-Net's skill on the test pictures")
    return [
        Picture(
            url(drawn, "svg+xml"),
            "Settings beside each other; behind a target the number of pictures, below it what its encoder knows.",
        )
    ]


def _colourisers(table: Table, cell: Cell) -> Grid:
    """U-Net, its colours times a gain and GAN beside each other: every figure of a cell."""
    who = [name for name in WHO if _metrics(table, cell, name)]
    rows = [
        (glossary.label(metric), [table.mean(cell, name, metric) or NOTHING for name in who])
        for metric in _metrics(table, cell, "gan")
    ]
    title = f"{cell.target}, {table.encoders[cell]}, {claims.count(cell.images)}, {cell.setting}"
    return Grid(title, [WHO[name] for name in who], rows)


def _unets(table: Table, part: str) -> list[Grid]:
    """Every figure of U-Nets of which no GAN was made, encoders beside each other."""
    alone: dict[tuple[str, str, int], list[Cell]] = {}
    for cell in table.largest(part):
        if table.figures(cell, "unet", "skill") and not table.figures(cell, "gan", "skill"):
            alone.setdefault((cell.setting, cell.target, cell.images), []).append(cell)
    grids = []
    for (setting, target, images), cells in alone.items():
        metrics = dict.fromkeys(metric for cell in cells for metric in _metrics(table, cell, "unet"))
        rows = compared(table, [(cell, "unet") for cell in cells], metrics)
        title = f"The U-Net alone: {target}, {claims.count(images)}, {setting}, by what the encoder learnt from"
        grids.append(Grid(title, [_called(table, cell, cells) for cell in cells], rows))
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
    for cell in table.largest(part):
        if cell.setting != table.first_setting(part) or not table.runs[cell]:
            continue
        seed = min(table.runs[cell])
        for name, kind in ((GRID, "png"), ("plots/before_after.gif", "gif")):
            path = cache.path(table.runs[cell][seed].made, name)
            content = path.read_bytes() if path else b""
            if not content or len(content) > room[0]:
                continue
            room[0] -= len(content)
            caption = f"{cell.target}, {table.encoders[cell]}, seed {seed}: the first test pictures."
            found.append(Picture(url(content, kind), caption))
    return found
