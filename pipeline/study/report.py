"""Gather all experiments into metrics/study.csv and say what they say together, on one page."""

from pathlib import Path

import pandas as pd

from pipeline.study import claims, experiments, kept, leftovers, page, plan, records, run
from pipeline.study.cells import Table
from pipeline.study.experiments import Code, Experiment
from pipeline.study.records import FAILED, MISSING, QUEUED, Record
from pipeline.system.errors import PipelineError, printable
from pipeline.system.files import write_all

NAMED = 5  # modules, of those that were changed
RUNS, SAID, PAGE = Path("metrics/study.csv"), Path("metrics/study_claims.csv"), Path("study.html")


def report(any_code: bool = False) -> None:
    """Write metrics/study.csv (a row a run), metrics/study_claims.csv (a row a sentence) and study.html, all or none.

    Before them it writes what is kept of each measured run of the study.

    Args:
        any_code: see `records.gather`.

    Raises:
        PipelineError: params.yaml describes no run, and there is no experiment; or see `run.put_back`.
    """
    run.put_back_if_none_runs()
    base = run.as_it_stands()
    planned, found = plan.runs(base), kept.all_known()
    if not planned and not found:
        raise PipelineError("study: there is no run; say in params.yaml, under study.parts, what it is to be made of")
    now = experiments.code_now()
    code = records.which_code(found, now)
    gathered = records.gather(planned, found, code, _lacking(planned, now), any_code) + _failed_beside(planned)
    counted = records.counted(gathered)
    table = Table(gathered)
    said = claims.all_claims(table)
    runs = records.table(gathered, base)
    sentences = pd.DataFrame([row for claim in said for row in claim.rows()], columns=claims.COLUMNS)
    content = page.build(gathered, table, said, base.study, _other_code([one.made for one in counted], code, now))
    for record in counted:
        kept.write(record.made)
    write_all(
        {
            RUNS: lambda path: runs.to_csv(path, index=False, lineterminator="\n"),
            SAID: lambda path: sentences.to_csv(path, index=False, lineterminator="\n"),
            PAGE: lambda path: path.write_bytes(content.encode()),
        }
    )
    for claim in said:
        print(printable(claim.sentence))
    print(f"{len(counted)} of {len(planned)} runs are measured. All of it: {PAGE}, {RUNS}, {SAID}")


def _other_code(counted: list[Experiment], code: Code, now: Code) -> list[str]:
    """What the page has to say of the code of the runs, which may be neither what lies here nor the same in all."""
    notes = []
    if changed := experiments.differences(now, code):
        notes.append(f"The runs were made with other code than lies here now; it differs in {_named(changed)}.")
    if others := [one.code for one in counted if one.code != code]:
        changed = sorted({module for other in others for module in experiments.differences(code, other)})
        notes.append(
            f"{len(others)} of the runs were made with other code than the rest, and count nevertheless, as was asked "
            f"for; theirs differs in {_named(changed)}."
        )
    return notes


def _named(modules: list[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(modules) - NAMED} more" if len(modules) > NAMED else ""
    return ", ".join(modules[:NAMED]) + more


def _lacking(planned: list[plan.Run], code: Code) -> dict[str, tuple[str, str]]:
    """Key of a run → status and note, of those that wait, were stopped or have failed, with this code."""
    found = {key: (FAILED, f"in DVC's queue, as {name}") for name, key in leftovers.failed()}
    for one in planned:
        log = run.log_of(one, code)
        if log.exists():
            reason = run.reason(log)
            found[one.key] = (FAILED, reason) if reason else (MISSING, "it was stopped, or runs now")
    return found | {key: (QUEUED, f"in DVC's queue, as {name}") for name, key in leftovers.queued()}


def _failed_beside(planned: list[plan.Run]) -> list[Record]:
    """Runs that failed in DVC's queue and are none of the study's."""
    keys = {one.key for one in planned}
    return [Record(name, FAILED, "in DVC's queue") for name, key in leftovers.failed() if key not in keys]
