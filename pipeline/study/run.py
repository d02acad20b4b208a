"""Run what the study lacks, through DVC, one run after the other; the same command goes on after any stop."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from pipeline import params
from pipeline.params import Params
from pipeline.study import experiments, kept, leftovers, plan
from pipeline.study.estimate import Clock, seconds
from pipeline.study.experiments import Code, Experiment
from pipeline.study.plan import Run
from pipeline.system.errors import PipelineError, printable
from pipeline.system.files import write_all
from pipeline.system.lock import FOLDER, Held, hold

LOGS = FOLDER / "study"  # of runs that have not come to their end
PARAMS = Path("params.yaml")
BEFORE = LOGS / "before.json"  # the branch, params.yaml and git's stash before DVC ran, and with which values it runs
STAGE = re.compile(r"Running stage '([^']+)'")
NO_REASON = "DVC ended without a word"
# What Hydra needs no quotes for: numbers, and texts that are words, or whole numbers, as params.yaml has them.
NUMBER = re.compile(r"[\w.+-]+", re.ASCII)
PLAIN_TEXT = re.compile(r"(?!(true|false|null|nan|inf)$)[a-z][\w./-]*|0|[1-9]\d*", re.ASCII | re.IGNORECASE)
GROUP: dict[str, Any] = {"process_group": 0} if hasattr(os, "killpg") else {}  # so that Ctrl-C reaches DVC once, by us
REASON = re.compile(r"^error: (.*)", re.MULTILINE | re.IGNORECASE)


def run(any_code: bool = False) -> None:
    """Train and measure what the study lacks.

    Args:
        any_code: see `finished`.

    Raises:
        PipelineError: runs failed, and all others were made nevertheless; or code or parameters were changed meanwhile,
            or set aside by DVC when it was killed.
    """
    put_back()
    code = experiments.code_now()
    missing, _ = _lacking(code, any_code)
    leftovers.sweep()
    failed = {}
    for number, one in enumerate(missing, start=1):
        if why := _changed(one, code):
            raise PipelineError(f"study: {why}")
        if why := _make(one, code, f"{number}/{len(missing)} {one.name}"):
            failed[one.name] = why
    if failed:
        names = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise PipelineError(f"study: {len(failed)} of {len(missing)} runs failed: {names}; logs are in {LOGS}")


def show(any_code: bool = False) -> None:
    """List what the study lacks, and how long it will take; `any_code` as in `run`."""
    put_back_if_none_runs()
    code = experiments.code_now()
    missing, measured = _lacking(code, any_code)
    clock, total = Clock(measured, code), 0.0
    for one in missing:
        needed = clock.seconds(one.params)
        total += needed or 0
        print(f"{one.name}: {_minutes(needed)}")
    if missing:
        print(f"together: {_minutes(total if measured else None)}")


def _lacking(code: Code, any_code: bool) -> tuple[list[Run], list[Experiment]]:
    """Which runs are to be made, and the experiments that count; say how many there are."""
    planned = plan.runs(as_it_stands())
    measured = finished(kept.all_known(), code, any_code)
    waiting = {key for _, key in leftovers.queued()}
    missing = [run for run in planned if run.key not in measured]
    held = [run for run in missing if run.key in waiting]
    print(f"{len(planned)} runs, of which {len(planned) - len(missing)} are measured", flush=True)
    if held:
        print(f"{len(held)} wait in DVC's queue: `dvc queue start` runs them", flush=True)
    return [run for run in missing if run.key not in waiting], list(measured.values())


def finished(found: Iterable[Experiment], code: Code, any_code: bool = False) -> dict[str, Experiment]:
    """The last whole run of each key, of this code, or else of any if that counts, on the data that there are now."""
    return experiments.by_key(experiments.counting(found, code, any_code), code)


def _minutes(needed: float | None) -> str:
    if needed is None:
        return "unknown before the first run is measured"
    return f"about {needed / 60:.0f} min of training" if needed >= 30 else "less than a minute of training"


def _make(one: Run, code: Code, label: str) -> str | None:
    """Make an experiment of a run; say in a line why there is none, or None if there is."""
    log = log_of(one, code)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", f"--name={called(one, code)}"]
    command += [f"--set-param={name}={quoted}" for name, quoted in _quoted(one).items()]
    before = {"branch": _branch(), "params": _content(), "stash": _stash(), "values": one.overrides}
    write_all({BEFORE: lambda path: path.write_bytes(json.dumps(before).encode())})
    try:
        with log.open("w", encoding="utf-8", errors="backslashreplace") as file:
            _follow(command, file, label)
    finally:
        put_back()
    made = experiments.read_all()
    if there := finished(made, code).get(one.key):
        kept.write(there)
        for ended in LOGS.glob(f"{one.name}-{one.key}-*.log"):  # of other code, too
            ended.unlink()
        print(f"{label}: {outcome(there)}", flush=True)
        return None
    why = _changed(one, code) or reason(log) or NO_REASON
    print(f"{label}: failed: {printable(why)}", flush=True)
    return why


def _changed(one: Run, code: Code) -> str | None:
    """Why a run that was planned is none any more."""
    if changed := experiments.differences(experiments.code_now(), code):
        return f"the code was changed meanwhile ({', '.join(changed)}); run the same command again"
    if one.key not in {run.key for run in plan.runs(params.load())}:
        return "params.yaml was changed meanwhile; run the same command again"
    return None


def put_back() -> None:
    """Undo what DVC was about when it was killed: for a moment no branch, and the values of a run in params.yaml.

    Before that it sets aside what is not committed.

    Raises:
        PipelineError: it was killed before it brought that back; or what was noted before cannot be read.
    """
    if not (before := _noted()):
        return
    git, branch = experiments.git, before["branch"]
    if branch and not _branch() and git("for-each-ref", "--format=%(objectname)", branch) == git("rev-parse", "HEAD"):
        git("symbolic-ref", "HEAD", branch)
    if _set_aside(before) and not git("diff", "HEAD", "--name-only"):
        raise PipelineError(
            "study: when it was killed, git had set changes aside that were not committed; `git stash pop` brings them "
            f"back; if all is as you want it, delete {BEFORE}"
        )
    if _content() != before["params"]:
        was = before["params"].encode("latin-1")
        if _is_with(was, before["values"]):
            git("reset", "-q", "--", PARAMS.as_posix(), ".dvc/tmp")
            write_all({PARAMS: lambda path: path.write_bytes(was)})
    BEFORE.unlink()


def put_back_if_none_runs() -> None:
    """What `put_back` does, unless a study runs now, whose DVC is about something."""
    if BEFORE.exists():
        with suppress(Held), hold(FOLDER / "study.lock", "work in a copy of the project on a local disk"):
            put_back()


def as_it_stands() -> Params:
    """What params.yaml says, whatever DVC writes into it for a moment while a study runs, or sets aside.

    Raises:
        ParamsError: as `params.load`; or see `put_back`.
    """
    if before := _noted():
        was = before["params"].encode("latin-1")
        if _set_aside(before) or _is_with(was, before["values"]):
            return params.check(params.read(was, PARAMS.name), PARAMS.name)
    return params.load()


def _noted() -> dict[str, Any] | None:
    """What was before DVC ran, None if it came to its end."""
    try:
        before = json.loads(BEFORE.read_bytes())
        if {"branch", "params", "stash", "values"} <= before.keys():
            return before
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError):
        pass
    raise PipelineError(
        f"study: {BEFORE} is broken; see that git is on your branch and params.yaml as you want it, then delete it"
    )


def _set_aside(before: dict[str, Any]) -> bool:
    """Whether git has set changes aside that it had not before DVC ran."""
    return _stash() not in ("", before["stash"])


def _stash() -> str:
    """The commit in which git has set changes aside last, nothing if there is none."""
    return experiments.git("for-each-ref", "--format=%(objectname)", "refs/stash").decode().strip()


def _content() -> str:
    """Of params.yaml, a letter for each byte; nothing if it is not there."""
    return PARAMS.read_bytes().decode("latin-1") if PARAMS.exists() else ""


def _is_with(before: bytes, values: dict[str, Any]) -> bool:
    """Whether params.yaml holds what it held before, but for these values; or nothing, as before DVC writes them."""
    if not _content():
        return True
    try:
        was = params.check(params.read(before, PARAMS.name), PARAMS.name)
        return params.load() == plan.override(was, values, PARAMS.name)
    except PipelineError:
        return False


def _branch() -> str:
    """The full name of the branch that git is on, nothing if it is on none."""
    name = experiments.git("rev-parse", "--symbolic-full-name", "HEAD").decode().strip()
    return "" if name == "HEAD" else name


def called(one: Run, code: Code) -> str:
    """What DVC calls a run: the same for the same run of the same code and folder, so that no two get the same name."""
    told = [one.key, code, *filter(None, [experiments.inventory_now(one.params)])]
    return f"{one.name}-{plan.digest(told)[:8]}"


def log_of(one: Run, code: Code) -> Path:
    """Where a run's log is until it has come to its end; one with other parameters, or other code, has another."""
    return LOGS / f"{one.name}-{one.key}-{plan.digest(code)[:8]}.log"


def _quoted(one: Run) -> dict[str, str]:
    """The values that a run changes, as Hydra's grammar has them, lest it change a text, such as 1e3."""
    content = one.params.model_dump(mode="json")
    found = {}
    for name, value in one.overrides.items():
        text = "null" if value is None else str(value)
        simple = PLAIN_TEXT if isinstance(reduce(getitem, name.split("."), content), str) else NUMBER
        escaped = re.sub(r"\\+(?='|\Z)", lambda before: before[0] * 2, text).replace("'", "\\'")
        found[name] = text if simple.fullmatch(text) else f"'{escaped}'"
    return found


def _follow(command: list[str], log: TextIO, label: str) -> None:
    """Run DVC to its end, and show at which stage it is; whatever stops us stops it as Ctrl-C does.

    If we are killed, nobody reads what it says any more, at which it ends, too.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    running = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="backslashreplace",
        env=os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1"},
        **GROUP,
    )
    with running, tqdm(bar_format="{desc}", leave=False, disable=None) as shown:
        try:
            for line in running.stdout or ():
                log.write(line)
                log.flush()
                if stage := STAGE.search(line):
                    shown.set_description_str(f"{label}: {stage[1]}")
        except BaseException:
            _stop(running)
            raise


def _stop(running: subprocess.Popen) -> None:
    """Stop DVC and what it runs, so that they leave a checkpoint and no copy of the project."""
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # by DVC, too, as a shell has it in the background
    if hasattr(os, "killpg"):
        os.killpg(running.pid, signal.SIGTERM if ignored else signal.SIGINT)
    else:
        running.terminate()
    running.communicate()


def reason(log: Path) -> str | None:
    """Why a run came to no end, as its log says, or None if it was stopped."""
    said = REASON.findall(log.read_text(encoding="utf-8", errors="replace"))  # it may have been cut in a letter
    return None if not said or "stopped; run the same command again" in said[0] else said[0]


def outcome(there: Experiment) -> str:
    """What came out of a run, in a few words."""
    unet = there.figures["unet"]
    spent = sum(seconds(there).values())
    took = f", {spent / 60:.0f} min of training" if spent else ""
    return f"the U-Net's skill is {unet['skill']:.3f} ({unet['skill_low']:.3f} to {unet['skill_high']:.3f}){took}"
