"""What DVC has besides whole experiments: what waits or failed in its queue, and what killed runs left."""

import shutil
import time
from pathlib import Path

import psutil

from pipeline import params
from pipeline.study import plan
from pipeline.study.experiments import git
from pipeline.system.errors import PipelineError

COPIES = Path(".dvc/tmp/exps/standalone")  # in which `dvc exp run --temp` runs, each in a copy of the project
OLD = 60  # seconds: a copy that is younger may belong to a run that has only just begun


def queued() -> list[tuple[str, str]]:
    """Name and key, see `plan.key`, of each run that waits in DVC's queue."""
    return _stashed("refs/exps/celery/stash")


def failed() -> list[tuple[str, str]]:
    """Name and key of each run that failed in DVC's queue."""
    return _stashed("refs/exps/celery/failed")


def _stashed(reference: str) -> list[tuple[str, str]]:
    try:
        lines = git("reflog", "show", "--format=%H %gs", reference).decode().splitlines()
    except PipelineError:  # there was never any
        return []
    found = []
    for line in lines:
        commit, message = line.split(" ", 1)
        name = message.rsplit(":", 1)[-1] or commit[:7]
        try:
            content = params.read(git("show", f"{commit}:params.yaml"), "params.yaml")
            found.append((name, plan.key(params.check(content, "params.yaml"))))
        except PipelineError:
            found.append((name, ""))
    return found


def sweep() -> None:
    """Delete the copies of the project that killed runs left: those in which no process is."""
    copies = [path.resolve() for path in COPIES.glob("tmp*") if time.time() - path.stat().st_mtime > OLD]
    if not copies:
        return
    used = set()
    for process in psutil.process_iter(["cwd"]):
        if process.info["cwd"]:
            used |= {Path(process.info["cwd"]), *Path(process.info["cwd"]).parents}
    for path in copies:
        if path not in used:
            shutil.rmtree(path, ignore_errors=True)
