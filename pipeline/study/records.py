"""All that is known of the study, a record a run: what it was, what came of it, or why nothing did."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pipeline.params import Params
from pipeline.study import estimate, plan
from pipeline.study.experiments import Code, Experiment, by_key, counting, differences
from pipeline.study.plan import Place, Run

MEASURED, MISSING, FAILED, QUEUED = "measured", "missing", "failed", "queued"
DATA = ("target", "unlabelled", "encoder")
OTHER_CODE, OTHER_DATA, REPEATED, NOT_WHOLE = "other code", "other data", "repeated", "not whole"


@dataclass(frozen=True)
class Record:
    """A run.

    name: of the experiment, or of the run that is to become one.
    status: one of those above; figures that count are those of `MEASURED`.
    note: why it is no other one.
    params: its parameters, if they are known.
    places: where the study has it; nowhere, if somebody made it beside the study.
    experiment: what DVC keeps of it.
    """

    name: str
    status: str
    note: str = ""
    params: Params | None = None
    places: tuple[Place, ...] = ()
    experiment: Experiment | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def planned(self) -> Params:
        """The parameters of a run that the study has."""
        assert self.params
        return self.params

    @property
    def made(self) -> Experiment:
        """The experiment of a run that is measured."""
        assert self.experiment
        return self.experiment


def gather(
    planned: Iterable[Run],
    found: Iterable[Experiment],
    code: Code,
    lacking: Mapping[str, tuple[str, str]],
    any_code: bool = False,
) -> list[Record]:
    """The records of all runs: those of the study in its order, then all other experiments, the oldest first.

    Args:
        planned: the study's runs.
        found: all experiments, the oldest first.
        code: the code whose figures count.
        lacking: key of a run → status and note, of those that are known to wait or to have failed.
        any_code: whether, of a run that was not made with that code, the last one that was made with other code counts.
    """
    found = list(found)
    counts = counting(found, code, any_code)
    last = by_key(counts, code)
    records = []
    for run in planned:
        if one := last.get(run.key):
            records.append(_measured(one, tuple(run.places), code))
        else:
            status, note = lacking.get(run.key, (MISSING, ""))
            records.append(Record(run.name, status, note, run.params, tuple(run.places)))
    shown = {record.experiment.commit for record in records if record.experiment}
    of_these_data = {id(one) for one in counts}
    for one in found:
        if one.commit in shown or one.whole:
            continue
        if not one.params:
            records.append(Record(one.name, NOT_WHOLE, one.problem or "", experiment=one))
        elif one.code != code:
            records.append(Record(one.name, OTHER_CODE, _differs(one, code), one.params, experiment=one))
        elif id(one) not in of_these_data:
            records.append(Record(one.name, OTHER_DATA, "its data sets have changed since", one.params, experiment=one))
        elif (latest := last[plan.key(one.params)]) is not one:
            records.append(Record(one.name, REPEATED, f"as {latest.name}", one.params, experiment=one))
        else:
            records.append(_measured(one, (), code))
    return records


def counted(gathered: Iterable[Record]) -> list[Record]:
    """The measured runs of the study."""
    return [record for record in gathered if record.status == MEASURED and record.places]


def _measured(one: Experiment, places: tuple[Place, ...], code: Code) -> Record:
    note = "" if one.code == code else f"{OTHER_CODE}: {_differs(one, code)}"
    return Record(one.name, MEASURED, note, one.params, places, one, estimate.seconds(one))


def _differs(one: Experiment, code: Code) -> str:
    return f"differs in {', '.join(differences(code, one.code))}"


def which_code(found: Iterable[Experiment], now: Code) -> Code:
    """The code whose figures count: what lies here, or, if no run was made with it, that of the last run."""
    codes = [one.code for one in found if one.params]
    return now if now in codes or not codes else codes[-1]


def table(records: Iterable[Record], base: Params) -> pd.DataFrame:
    """A row a run: what it was, every figure, and the digests of its models and data.

    Args:
        records: all of them.
        base: the parameters of params.yaml, from which a row says how it differs.
    """
    return pd.DataFrame([_row(record, base) for record in records])


def _row(record: Record, base: Params) -> dict[str, Any]:
    row: dict[str, Any] = {"run": record.name, "status": record.status, "note": record.note}
    row["places"] = "; ".join(f"{place.part}: {place.setting}" for place in record.places)
    if record.params:
        own = flat(plan.decisive(record.params))
        case = {"case": record.params.case, "cases": record.params.cases}  # lest numbers be those of another side
        usual = flat(plan.decisive(base.model_copy(update=case)))
        axes = {name: own[name] for name in ("target", "encoder", "images", "seed")}
        changed = {name: value for name, value in own.items() if usual.get(name) != value and name not in axes}
        told = [f"{name}: {value}" for name, value in changed.items() if not name.startswith("datasets.")]
        row |= axes | {"changed": "; ".join(told)}
    if one := record.experiment:
        row |= {"commit": one.commit, "baseline": one.baseline, "ended": one.when}
        row |= {f"data.{name}": one.output(f"data/{name}") for name in DATA if one.params}
        row |= flat(one.figures)
    row |= {f"seconds.{stage}": spent for stage, spent in record.seconds.items()}
    if record.params:
        row |= {f"params.{name}": value for name, value in own.items()}
    return row


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Names within each other joined by dots, as DVC joins them."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found
