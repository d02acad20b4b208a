"""The page of the study: one HTML file that needs nothing else."""

import platform
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pipeline.params import Study
from pipeline.study import cache, claims, glossary
from pipeline.study.answers import answers
from pipeline.study.cells import Table
from pipeline.study.claims import Claim
from pipeline.study.elements import NOTHING
from pipeline.study.intervals import Interval
from pipeline.study.records import MEASURED, Record, counted
from pipeline.study.sections import GRID, sections

FROM_IMAGENET = {"stl10", "imagenette"}
OVERLAPPING = {"photos32", "photos96"}
LIBRARIES = "torch", "torchvision", "fastai", "dvc", "numpy", "scipy", "scikit-image", "torchmetrics"


def build(records: Sequence[Record], table: Table, said: Sequence[Claim], study: Study, notes: Sequence[str]) -> str:
    """The page.

    Args:
        records: of all runs.
        table: made of them.
        said: what follows from it.
        study: which runs it wants.
        notes: what there is to say of the code.
    """
    environment = Environment(undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["figure"] = partial(figure, seeds=len(study.seeds))
    template = environment.from_string(files(__package__).joinpath("page.html.jinja").read_text(encoding="utf-8"))
    measured = counted(records)
    return template.render(
        answers=answers(table, said),
        sections=sections(table, said, study),
        glossary=_glossary(measured),
        statuses=Counter(record.status for record in records if record.places),
        lacking=[record for record in records if record.places and record.status != MEASURED],
        others=[record for record in records if not record.places],
        seeds=study.seeds,
        planned=sum(bool(record.places) for record in records),
        notes=[*notes, *_seen_before(measured), *_overlapping(measured)],
        measured_on=_measured_on(measured),
        versions={name: version(name) for name in LIBRARIES},
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        gan=any("gan" in record.made.figures for record in measured),
        elsewhere=_elsewhere(measured),
        ended=sorted((record.made.when for record in measured), key=datetime.fromisoformat),
        trained=_trained_with(measured),
    )


def _glossary(measured: Sequence[Record]) -> list[tuple[str, str, str]]:
    """What the figures mean that some run has."""
    known = {name for record in measured for figures in record.made.figures.values() for name in figures}
    return [meaning for name, meaning in glossary.FIGURES.items() if name in known]


def _elsewhere(measured: Sequence[Record]) -> int:
    """Of how many runs the grids and animations are not here, since only their figures were kept."""
    return sum(cache.path(record.made, GRID) is None for record in measured)


def figure(interval: Interval | str | None, seeds: int) -> Markup | str:
    """A figure with its interval below it, and how many seeds it has, if not all; or what says that there is none."""
    if interval is None:
        return Markup('<span class="none">missing</span>')
    if isinstance(interval, str):
        return interval
    value, low, high = claims.numbers(interval)
    below = [f"{low} to {high}"]
    if interval.seeds < seeds:
        below.append(f"{interval.seeds} of {seeds} seeds")
    return value + Markup().join(Markup("<small>{}</small>").format(line) for line in below)


def _seen_before(measured: Sequence[Record]) -> list[str]:
    """That published weights know pictures which they are tested on."""
    targets = {record.planned.roles().target for record in measured if record.planned.roles().encoder == "imagenet"}
    if not (known := sorted(targets & FROM_IMAGENET)):
        return []
    return [f"Published weights have seen ImageNet, from which the pictures of {' and '.join(known)} are, with labels."]


def _overlapping(measured: Sequence[Record]) -> list[str]:
    """That tiles of the demo's few photographs are no pictures of their own, as intervals take them for."""
    targets = {record.planned.roles().target for record in measured}
    if not (tiles := sorted(targets & OVERLAPPING)):
        return []
    return [
        f"The pictures of {' and '.join(tiles)} are tiles of seven photographs, which overlap: they say less than as "
        "many pictures, and their intervals are too narrow."
    ]


def _measured_on(measured: Sequence[Record]) -> list[tuple[Any, ...]]:
    """Of each target its side in pixels, test pictures, the archive's checksum and the digest of the data."""
    found = []
    for record in measured:
        whole, one = record.planned, record.made
        target = whole.roles().target
        archive = getattr(getattr(whole.datasets, target, None), "checksum", NOTHING)
        pictures = one.figures["measured_on"]["pictures"]
        found.append((target, whole.side(), pictures, archive, one.output("data/target") or NOTHING))
    return list(dict.fromkeys(found))


def _trained_with(measured: Sequence[Record]) -> list[str]:
    """The versions of torch that the models say."""
    return sorted({version for record in measured if (version := cache.torch(record.made))})
