"""The study's table: a cell is what was compared, its runs differ in their seeds alone."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from pipeline.study import intervals
from pipeline.study.experiments import Experiment
from pipeline.study.intervals import Figure, Interval
from pipeline.study.pictures import Pictures
from pipeline.study.records import MEASURED, Record


class Cell(NamedTuple):
    """What its runs have in common."""

    part: str
    setting: str
    target: str
    encoder: str
    images: int


class Table:
    """The cells of the study, with their figures.

    runs: cell → seed → record, of those that were measured.
    lacking: cell → records of those that were not.
    """

    def __init__(self, records: Iterable[Record]):
        self.runs: dict[Cell, dict[int, Record]] = {}
        self.pictures: dict[str, Pictures] = {}  # by commit
        self.lacking: dict[Cell, list[Record]] = defaultdict(list)
        for record in records:
            for part, setting in record.places:
                whole = record.planned
                roles = whole.roles()
                cell = Cell(part, setting, roles.target, roles.encoder, whole.images)
                runs = self.runs.setdefault(cell, {})
                if record.status == MEASURED:
                    runs[whole.seed] = record
                else:
                    self.lacking[cell].append(record)

    def figures(self, cell: Cell, who: str, metric: str) -> dict[int, Figure]:
        """A figure of each run of a cell that has it, by seed."""
        found = {}
        for seed, record in self.runs.get(cell, {}).items():
            values = record.made.figures.get(who, {})
            value, low, high = (_number(values.get(f"{metric}{end}")) for end in ("", "_low", "_high"))
            if np.isnan(value):
                continue
            drawn = self._pictures(record.made).draws(who, metric)
            if drawn is not None:
                found[seed] = Figure(value, drawn)
            else:
                low, high = (value if np.isnan(end) else end for end in (low, high))
                # Not the seed: all runs of a cell were measured on the same pictures.
                found[seed] = intervals.from_interval(value, low, high, *cell, who, metric)
        return found

    def _pictures(self, experiment: Experiment) -> Pictures:
        if experiment.commit not in self.pictures:
            self.pictures[experiment.commit] = Pictures(experiment)
        return self.pictures[experiment.commit]

    def mean(self, cell: Cell, who: str, metric: str) -> Interval | None:
        """A figure's mean over the seeds of a cell."""
        figures = self.figures(cell, who, metric)
        return intervals.mean(figures) if figures else None

    def difference(self, first: Cell, second: Cell, who: str, metric: str) -> Interval | None:
        """A figure of the first cell less that of the second, over the seeds that both have."""
        return intervals.difference(self.figures(first, who, metric), self.figures(second, who, metric))

    def select(self, **wanted: object) -> list[Cell]:
        """The cells that have these values, in the study's order."""
        return [cell for cell in self.runs if all(getattr(cell, name) == value for name, value in wanted.items())]

    def values(self, axis: str, **wanted: object) -> list:
        """The values that an axis has in those cells, each once, in the study's order."""
        return list(dict.fromkeys(getattr(cell, axis) for cell in self.select(**wanted)))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else np.nan
