"""How long runs will take, from what was measured so far."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from pipeline.params import Params
from pipeline.study import cache, plan
from pipeline.study.experiments import Code, Experiment

SECONDS = "_seconds.csv"  # how names end of what holds a stage's seconds


@dataclass(frozen=True)
class Task:
    """A stage of a run.

    stage: its name.
    key: the same for what DVC need not run twice.
    target: the data set, whose pictures have a size.
    work: what its time is in proportion to, with pictures of that size.
    """

    stage: str
    key: str
    target: str
    work: int


def tasks(whole: Params, like: Mapping[str, Any]) -> list[Task]:
    """What a run consists of.

    Args:
        whole: its parameters.
        like: the stages of another run, as dvc.lock has them.
    """
    content = whole.model_dump(mode="json")
    writers = {output["path"]: name for name, entry in like.items() for output in entry.get("outs", [])}
    found: dict[str, Task] = {}

    def visit(name: str) -> Task:
        if name in found:
            return found[name]
        read = {dependency["path"] for dependency in like[name].get("deps", [])}
        before = sorted(visit(writers[path]).key for path in read & writers.keys())
        names = like[name].get("params", {}).get("params.yaml", {})
        if "datasets" in names:
            values = _data(name, whole)
        else:
            values = {name: _value(content, name) for name in names if name != "case"}  # evaluate writes it down
        key = plan.digest([name, before, values])
        given = [value["epochs"] for value in values.values() if isinstance(value, dict) and "epochs" in value]
        role: Literal["target", "encoder"] = "encoder" if name == "pretrain@encoder" else "target"
        if (data := getattr(whole.roles(), role)) in ("none", "imagenet"):  # of which nothing is trained here
            work = 0
        else:
            epochs = [_at(whole.side(role), number) for number in given]
            work = (epochs[0] if epochs else 1) * values.get("images", 1)
        return found.setdefault(name, Task(name, key, data, work))

    for name in like:
        visit(name)
    return list(found.values())


def _at(side: int, number: Any) -> int:
    """A number of params.yaml for pictures of this side, see `params.Training`."""
    if not isinstance(number, dict):
        return number
    starts = [start for start in map(int, number) if start <= side]
    return number[str(max(starts, default=min(map(int, number))))]


def _data(stage: str, whole: Params) -> dict[str, Any]:
    """What decides what `download` writes: the data set of its role."""
    role = stage.partition("@")[2]
    name = getattr(whole.roles(), role)
    return {"name": name, "settings": whole.datasets_of(role).model_dump(mode="json").get(name)}


def _value(content: Any, name: str) -> Any:
    for section in name.split("."):
        content = content[section]
    return content


def seconds(experiment: Experiment) -> dict[str, float]:
    """Stage → seconds that its training, or its measuring, took, of those that say so."""
    found = {}
    for path, name in clocks(experiment).items():
        table = cache.table(experiment, path)
        if table is not None:
            found[name] = float(table["seconds"].sum())
    return found


def clocks(experiment: Experiment) -> dict[str, str]:
    """Path of a table of seconds → the stage that wrote it."""
    return {
        output["path"]: name
        for name, entry in experiment.stages.items()
        if not (name == "train_gan" and experiment.whole)
        for output in entry.get("outs", [])
        if output["path"].endswith(SECONDS)
    }


class Clock:
    """Tells how long runs will take.

    Args:
        measured: experiments that are whole runs.
        code: what runs will be made with; what was trained with other code says how long, but is trained again.
    """

    def __init__(self, measured: Iterable[Experiment], code: Code):
        self.like: dict[str, Any] = {}
        self.done: set[str] = set()
        self.rates: list[tuple[Task, float]] = []
        for experiment in measured:
            self.like = experiment.stages
            spent = seconds(experiment)
            for task in tasks(experiment.params, self.like) if experiment.params else ():
                if experiment.code == code:
                    self.done.add(task.key)
                if task.stage in spent and task.work:
                    self.rates.append((task, spent[task.stage] / task.work))

    def seconds(self, whole: Params) -> float | None:
        """How many seconds a run will take after those that were asked for before; None if no run was ever measured."""
        if not self.like:
            return None
        new = [task for task in tasks(whole, self.like) if task.key not in self.done]
        self.done |= {task.key for task in new}
        return sum(self._rate(task) * task.work for task in new)

    def _rate(self, task: Task) -> float:
        """Seconds a unit of work: of that stage on that target, or else on others, or 0 if it never said."""
        of_stage = [(other, rate) for other, rate in self.rates if other.stage == task.stage]
        of_target = [rate for other, rate in of_stage if other.target == task.target]
        rates = of_target or [rate for _, rate in of_stage]
        return fmean(rates) if rates else 0
