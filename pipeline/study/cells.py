"""The study's table: a cell is what was compared, its runs differ in their seeds alone."""

import json
from collections.abc import Container, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline.measuring.results import DISTANCES, MINUS
from pipeline.params import Params
from pipeline.study import intervals, plan
from pipeline.study.experiments import Experiment
from pipeline.study.intervals import Figure, Interval
from pipeline.study.pictures import Pictures
from pipeline.study.records import MEASURED, Record

RANDOM = "random weights"


class Cell(NamedTuple):
    """What its runs have in common; to the target belongs its side in pixels, if the case gives it another one."""

    part: str
    setting: str
    target: str
    encoder: str
    images: int


class Encoder(NamedTuple):
    """What the encoder of a U-Net is, in words: its architecture, and what it was pretrained on."""

    architecture: str
    knows: str

    def __str__(self) -> str:
        return f"{self.architecture} {'with' if self.knows == RANDOM else 'pretrained on'} {self.knows}"


class Table:
    """The cells of the study, with their figures.

    runs: cell → seed → record, of those that were measured; cells are in the study's order.
    encoders: cell → what its encoder is.
    """

    def __init__(self, records: Iterable[Record]):
        self.runs: dict[Cell, dict[int, Record]] = {}
        self.pictures: dict[str, Pictures] = {}  # by commit
        self.encoders: dict[Cell, Encoder] = {}
        places = ((place, record) for record in records for place in record.places)
        for place, record in sorted(places, key=lambda one: one[0].order):
            whole = record.planned
            roles = whole.roles()
            target = f"{roles.target} at {roles.size}×{roles.size}" if roles.size else roles.target
            cell = Cell(place.part, place.setting, target, roles.encoder, whole.images)
            runs = self.runs.setdefault(cell, {})
            self.encoders[cell] = _encoder(whole)
            if record.status == MEASURED:
                runs[whole.seed] = record

    @property
    def knowledge(self) -> list[str]:
        """What encoders were pretrained on, each once, in the study's order."""
        return list(dict.fromkeys(encoder.knows for encoder in self.encoders.values()))

    def figures(self, cell: Cell, who: str, metric: str) -> dict[int, Figure]:
        """A figure of each run of a cell that has it, by seed."""
        if not (records := self.runs.get(cell)):
            return {}
        # What chance is named by. Without the seed: all runs of a cell were measured on the same pictures. Nor by the
        # cell: another part's name must not make another interval.
        runs = json.dumps(self._content(cell), sort_keys=True)
        found = {}
        for seed, record in records.items():
            values = record.made.figures.get(who, {})
            value, low, high = (_number(values.get(f"{metric}{end}")) for end in ("", "_low", "_high"))
            if np.isnan(value):
                continue
            drawn = self._pictures(record.made).draws(who, metric)
            if drawn is not None:
                found[seed] = Figure(value, drawn)
            else:
                low, high = (value if np.isnan(end) else end for end in (low, high))
                found[seed] = intervals.from_interval(value, low, high, runs, who, metric)
        return found

    def _pictures(self, experiment: Experiment) -> Pictures:
        if experiment.commit not in self.pictures:
            self.pictures[experiment.commit] = Pictures(experiment)
        return self.pictures[experiment.commit]

    def mean(self, cell: Cell, who: str, metric: str, seeds: Container[int] | None = None) -> Interval | None:
        """A figure's mean over the seeds of a cell, or over those that are given."""
        figures = self.figures(cell, who, metric)
        found = intervals.mean({seed: one for seed, one in figures.items() if seeds is None or seed in seeds})
        return found._replace(low=max(0, found.low)) if found and metric in DISTANCES and MINUS not in who else found

    def together(self, columns: Sequence[tuple[Cell, str]], metric: str) -> list[Interval | None]:
        """A figure's mean in each of several columns, which are to be compared: a cell, and who painted.

        It is one over the seeds that all have that have the figure, if there are some. What a judge says is taken only
        of those in which they had the same one.
        """
        there = [(cell, seeds) for cell, who in columns if (seeds := set(self.figures(cell, who, metric)))]
        shared = set.intersection(*(seeds for _, seeds in there)) if there else set()
        if metric.startswith("judge"):
            shared = {seed for seed in shared if len({self._judge(cell, seed) for cell, _ in there}) == 1}
        elif not shared:
            return [self.mean(cell, who, metric) for cell, who in columns]
        return [self.mean(cell, who, metric, shared) for cell, who in columns]

    def difference(self, first: Cell, second: Cell, who: str, metric: str) -> Interval | None:
        """The mean of `less`, None if there is no seed that both have."""
        return intervals.mean(self.less(first, second, who, metric))

    def less(self, first: Cell, second: Cell, who: str, metric: str) -> dict[int, Figure]:
        """A figure of the first cell less that of the second, by the seeds that both have.

        What a judge says counts only of seeds in which both had the same one: trained on another machine it is another.
        """
        ours, theirs = self.figures(first, who, metric), self.figures(second, who, metric)
        if metric.startswith("judge"):
            theirs = {
                seed: one for seed, one in theirs.items() if self._judge(first, seed) == self._judge(second, seed)
            }
        return intervals.less(ours, theirs)

    def _judge(self, cell: Cell, seed: int) -> str | None:
        """The digest of the judge of a run, None if there is no such run."""
        record = self.runs[cell].get(seed)
        return record.made.figures["measured_on"]["sha256"].get("judge") if record else None

    def alike(self, first: Cell, second: Cell) -> bool:
        """Whether the encoders of two cells have the same architecture, so that they can be compared."""
        return second in self.runs and self.encoders[first].architecture == self.encoders[second].architecture

    def same_unet(self, first: Cell, second: Cell) -> bool:
        """Whether two cells differ in their GANs alone, so that what their U-Nets differ by is chance."""
        return self.unet(first) == self.unet(second)

    def unet(self, cell: Cell) -> dict[str, Any]:
        """What decides the U-Net of a cell, but for the seed."""
        content = self._content(cell)
        encoder = {name: value for name, value in content["pretrain"].items() if name == "encoder"}
        return content | {"gan": {}, "evaluate": {}, "pretrain": encoder}

    def but_for_encoder(self, cell: Cell) -> str:
        """The same for cells that differ in their seeds and in their encoder alone."""
        content = self.unet(cell)
        return json.dumps({name: content[name] for name in ("target", "images", "unet")}, sort_keys=True)

    def own_rate(self, cell: Cell) -> Cell | None:
        """Random weights like this cell's, in any part, at the rate at which they come to most skill: maybe this one's.

        That is chosen by the test pictures, in favour of random weights.

        None if no other rate was measured with one of its seeds, or it is frozen.
        """
        if not self.encoder_rate(cell):
            return None
        alike = [
            other
            for other in self.select(target=cell.target, encoder=cell.encoder, images=cell.images)
            if self.encoder_rate(other) not in (0, self.encoder_rate(cell))
            and self._but_for_rate(other) == self._but_for_rate(cell)
        ]
        gains = {other: gain.value for other in alike if (gain := self.difference(other, cell, "unet", "skill"))}
        best = max(gains, key=lambda other: gains[other], default=None)
        return best if best is None or gains[best] > 0 else cell

    def encoder_rate(self, cell: Cell) -> float:
        """At what rate the encoder of a cell learns; 0 if it does not, or nothing of the cell was measured."""
        return self._content(cell)["unet"]["encoder_learning_rate"] if self.runs.get(cell) else 0

    def _but_for_rate(self, cell: Cell) -> dict[str, Any]:
        content = self.unet(cell)
        return content | {"unet": content["unet"] | {"encoder_learning_rate": 0}}

    def _content(self, cell: Cell) -> dict[str, Any]:
        """What decides the runs of a cell, of which there are some, but for the seed."""
        return plan.decisive(next(iter(self.runs[cell].values())).planned) | {"seed": 0}

    def select(self, **wanted: object) -> list[Cell]:
        """The cells that have these values, in the study's order."""
        return [cell for cell in self.runs if all(getattr(cell, name) == value for name, value in wanted.items())]

    def values(self, axis: str, **wanted: object) -> list:
        """The values that an axis has in those cells, each once, in the study's order."""
        return list(dict.fromkeys(getattr(cell, axis) for cell in self.select(**wanted)))

    def first_setting(self, part: str) -> str:
        """That of which something is measured, if there is one."""
        cells = self.select(part=part)
        return next((cell for cell in cells if self.runs[cell]), cells[0]).setting

    def most(self, **wanted: object) -> int:
        """The largest number of pictures of those cells, of the measured ones if there are some."""
        cells = self.select(**wanted)
        return max(cell.images for cell in [cell for cell in cells if self.runs[cell]] or cells)

    def largest(self, part: str) -> list[Cell]:
        """Of each setting and target the cells with most pictures."""
        return [
            cell
            for cell in self.select(part=part)
            if cell.images == self.most(part=part, setting=cell.setting, target=cell.target)
        ]

    def comparable(self, part: str) -> list[Cell]:
        """Cells of each setting with as many pictures, of each target and encoder: with as many as most settings have.

        If several numbers of pictures have as many settings, the largest.
        """
        settings: dict[tuple[str, str], dict[int, set[str]]] = {}
        for cell in self.select(part=part):
            numbers = settings.setdefault((cell.target, cell.encoder), {})
            numbers.setdefault(cell.images, set()).update({cell.setting} if self.runs[cell] else ())
        chosen = {
            pair: max(numbers, key=lambda images: (len(numbers[images]), images)) for pair, numbers in settings.items()
        }
        return [cell for cell in self.select(part=part) if cell.images == chosen[cell.target, cell.encoder]]


def _encoder(whole: Params) -> Encoder:
    """The encoder of a run, and how its pictures' resolution lies to the target's, which is the study's question."""
    roles = whole.roles()
    published = whole.datasets.imagenet if roles.encoder == "imagenet" else whole.pretrain.encoder
    architecture = published.architecture.removeprefix("timm/")
    if roles.encoder == "none":
        return Encoder(architecture, RANDOM)
    own, target = whole.side("encoder"), whole.side()
    resolution = "lower resolution" if own < target else "higher resolution" if own > target else "the same resolution"
    same = roles.encoder == roles.target and own == target
    return Encoder(architecture, f"{roles.encoder} ({'the same' if same else resolution})")


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else np.nan
