"""The experiments that DVC keeps in git, whoever made them: what each was run with, and its figures."""

import hashlib
import json
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from pipeline import inventory, params
from pipeline.measuring.report import FIGURES
from pipeline.params import Params
from pipeline.study import plan
from pipeline.system.errors import ParamsError, PipelineError

REFERENCE = re.compile(r"refs/exps/(?P<base>[0-9a-f]{2}/[0-9a-f]{38})/(?P<name>.+)")
# Their modules decide no figure but through the data, whose digests are compared.
BEFORE_TRAINING = ("inventory", "download", "unlabelled")

NO_STUDY = {"study": {"seeds": ["0"], "parts": {}}}  # which runs it belonged to, or whether it did, is no matter

Code = dict[str, str]  # STAGE:MODULE → MD5, as DVC takes it


def git(*arguments: str) -> bytes:
    """What git prints.

    Raises:
        PipelineError: it is not there, this is no repository of its, or it refuses.
    """
    try:
        done = subprocess.run(("git", *arguments), capture_output=True, check=True)
    except OSError:
        raise PipelineError("git: not found; the study keeps its runs in git, so install it") from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.decode(errors="backslashreplace").split())
        raise PipelineError(f"git {arguments[0]}: {reason}; the study wants a clone of the project") from None
    return done.stdout


@dataclass(frozen=True)
class Experiment:
    """What DVC keeps of a run.

    name: DVC's.
    commit: of git, with all that is small.
    baseline: the commit that it began from.
    when: when it ended, as git writes it.
    stages: what dvc.lock says, name → cmd, deps, params and outs, of `evaluate` and all that it is made of.
    figures: what evaluate wrote.
    params: the parameters that the stages were run with.
    problem: why it is no whole run, and has none of these three; or None.
    folder: where it is kept, if it was read from there, see `kept`.
    torch: the version that trained it, if that is kept.
    whole: the run with a GAN of which it is the U-Net alone, see `unet_alone`; or None.
    """

    name: str
    commit: str
    baseline: str
    when: str
    stages: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    params: Params | None = None
    problem: str | None = None
    folder: Path | None = None
    torch: str | None = None
    whole: "Experiment | None" = None

    @cached_property
    def code(self) -> Code:
        """With what code it was run."""
        return {
            f"{stage}:{dependency['path']}": dependency["md5"]
            for stage, entry in self.stages.items()
            if not stage.startswith(BEFORE_TRAINING)
            for dependency in entry["deps"]
            if dependency["path"].startswith("pipeline/")
        }

    def output(self, path: str) -> str | None:
        """The MD5 of what a stage wrote, by which the cache has it, or None if no stage writes that."""
        outputs = (output for entry in self.stages.values() for output in entry["outs"])
        return next((output["md5"] for output in outputs if output["path"] == path), None)


def read_all() -> list[Experiment]:
    """All experiments, of all commits, the oldest first; those that are no whole runs say why."""
    listed = git(
        "for-each-ref", "--sort=committerdate", "--format=%(objectname) %(committerdate:iso-strict) %(refname)"
    )
    found = []
    for line in listed.decode().splitlines():
        commit, when, reference = line.split(" ", 2)
        if named := REFERENCE.fullmatch(reference):
            baseline = named["base"].replace("/", "")
            found.append(read(named["name"], commit, baseline, when, partial(_file, commit)))
    return found


def read(name: str, commit: str, baseline: str, when: str, file: Callable[[str], bytes], **kept: Any) -> Experiment:
    """A run of files that belong together, or why it is no whole one.

    Args:
        name: as in `Experiment`, like the three after it.
        commit: of git.
        baseline: of git, too.
        when: it ended.
        file: the content of a file of the project, by its path; a LookupError says that there is none.
        kept: other fields of `Experiment`.
    """
    try:
        given = params.read(file("params.yaml"), "params.yaml") | NO_STUDY
        stages = _behind_evaluate(params.read(file("dvc.lock"), "dvc.lock")["stages"])
        content = file(FIGURES.as_posix())
        if hashlib.md5(content).hexdigest() != _outputs(stages)[FIGURES.as_posix()][1]:
            raise LookupError("its figures are of another run")
        checked = params.check(_as_run(given, stages), "params.yaml")
        return Experiment(name, commit, baseline, when, stages, json.loads(content), checked, **kept)
    except ParamsError as error:
        problem = f"parameters that this version does not know: {error}"
    except LookupError as error:
        problem = str(error.args[0])
    except (ValueError, TypeError, AttributeError) as error:
        problem = f"not what this version writes ({error})"
    return Experiment(name, commit, baseline, when, problem=problem)


def unet_alone(one: Experiment) -> Experiment | None:
    """The run without a GAN that a run with one holds, for its U-Net was trained and measured alike; None, if none."""
    if not one.params or "gan" not in one.figures:
        return None
    figures = {who: found for who, found in one.figures.items() if not who.startswith(("gan", "unet_gain"))}
    on = dict(figures["measured_on"])
    on["sha256"] = {name: digest for name, digest in on["sha256"].items() if name != "gan"}
    if "gains" in on:  # the U-Net's colours times the gain are as lively as the real ones, where there is no GAN
        on["gains"] = {name: gain for name, gain in on["gains"].items() if name == "real"}
        on["gain"] = on["gains"]["real"]["factor"]
    alone = plan.override(one.params, {"gan.epochs": 0}, one.name)
    return replace(one, figures=figures | {"measured_on": on}, params=alone, whole=one)


def counting(found: Iterable[Experiment], code: Code, any_code: bool = False) -> list[Experiment]:
    """The whole runs of this code, or of any, on the data that there are now; `found` has the oldest first."""
    return on_newest_data(on_this_folder([one for one in found if one.params and (any_code or one.code == code)]))


def by_key(counted: Iterable[Experiment], code: Code) -> dict[str, Experiment]:
    """The last run of each key, of this code if there is one."""
    keyed = [(plan.key(one.params), one) for one in counted if one.params]
    return dict(keyed) | {key: one for key, one in keyed if one.code == code}


def on_newest_data(found: Sequence[Experiment]) -> list[Experiment]:
    """Those whose data are as in the last run with the same data sets: not of a folder that has changed since.

    Args:
        found: whole runs, the oldest first.
    """
    kinds = [_kinds_of_data(one) for one in found]
    newest = {kind: one.output(f"data/{kind[0]}") for one, of_one in zip(found, kinds, strict=True) for kind in of_one}
    return [
        one
        for one, of_one in zip(found, kinds, strict=True)
        if all(one.output(f"data/{kind[0]}") == newest[kind] for kind in of_one)
    ]


def _kinds_of_data(one: Experiment) -> list[tuple[str, str]]:
    """For each folder in data/ its name, and what decides what is in it."""
    assert one.params
    content = plan.decisive(one.params)
    target, encoder = (f"{content[role]} {content['datasets'][role]}" for role in ("target", "encoder"))
    return [("target", target), ("encoder", encoder), ("unlabelled", f"{target} {content['images']}")]


def on_this_folder(found: Iterable[Experiment]) -> list[Experiment]:
    """Those of whole runs that did not read the user's folder, or read what lies in it, if there are pictures."""
    taken = cache(_inventory)  # a folder is looked through once

    def is_as_now(one: Experiment) -> bool:
        assert one.params
        if not inventory.reads_folder(one.params):
            return True
        now = taken(one.params.datasets.folder.path)
        return now is None or one.output(inventory.INVENTORY.as_posix()) == now

    return [one for one in found if is_as_now(one)]


def inventory_now(whole: Params) -> str | None:
    """The MD5 of data/inventory.json as it would be now; None for a run that reads none, or an empty folder."""
    return _inventory(whole.datasets.folder.path) if inventory.reads_folder(whole) else None


def _inventory(top: Path) -> str | None:
    try:
        content = inventory.of_pictures(top)
    except PipelineError:
        return None
    return hashlib.md5(content).hexdigest() if content else None


def _file(commit: str, path: str) -> bytes:
    try:
        return git("show", f"{commit}:{path}")
    except PipelineError:
        raise LookupError(f"it has no {path}") from None


def _outputs(stages: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Path → who wrote it, and its MD5."""
    return {output["path"]: (name, output["md5"]) for name, entry in stages.items() for output in entry.get("outs", [])}


def _behind_evaluate(stages: dict[str, Any]) -> dict[str, Any]:
    """The stages that evaluate's figures are made of, in one run.

    Raises:
        LookupError: a stage was not run, or not again after one that it builds on.
    """
    if "evaluate" not in stages:
        raise LookupError("nothing was measured")
    written, found = _outputs(stages), {}
    waiting = ["evaluate"]
    while waiting:
        name = waiting.pop()
        found[name] = stages[name]
        for dependency in stages[name].get("deps", []):
            path = dependency["path"]
            if path not in written:
                continue
            writer, digest = written[path]
            if digest != dependency["md5"]:
                raise LookupError(f"{name} was not run again after {writer}")
            if writer not in found:
                waiting.append(writer)
    return dict(reversed(found.items()))


def _as_run(given: dict[str, Any], stages: dict[str, Any]) -> dict[str, Any]:
    """The content of params.yaml, as the stages were run.

    Raises:
        LookupError: two of them with different values.
    """
    set_by: dict[str, Any] = {}
    for entry in stages.values():
        for name, value in entry.get("params", {}).get("params.yaml", {}).items():
            if set_by.setdefault(name, value) != value:
                raise LookupError(f"its stages were run with different values of {name}")
            *sections, last = name.split(".")
            place = given
            for section in sections:
                place = place[section]
            place[last] = value
    return given


def code_now() -> Code:
    """The code as it lies here and as an experiment would take it: what git tracks, with all changes."""
    stages = params.read(Path("dvc.yaml").read_bytes(), "dvc.yaml")["stages"]
    tracked = [path.decode() for path in git("ls-files", "-z", "pipeline").split(b"\0") if path]
    code: Code = {}
    for name, stage in stages.items():
        if name in BEFORE_TRAINING:
            continue
        modules = [path for path in stage.get("do", stage)["deps"] if path.startswith("pipeline/")]
        digests = {path: _digest(path, tracked) for path in modules}
        for stage_name in _instances(name, stage):
            code |= {f"{stage_name}:{path}": digest for path, digest in digests.items()}
    return code


def _instances(name: str, stage: dict[str, Any]) -> Iterator[str]:
    if "foreach" in stage:
        yield from (f"{name}@{item}" for item in stage["foreach"])
    else:
        yield name


def _digest(path: str, tracked: list[str]) -> str:
    """The MD5 of a file, or of a folder's list of them, as DVC takes it."""
    if not Path(path).is_dir():
        return hashlib.md5(Path(path).read_bytes()).hexdigest()
    files = sorted(name for name in tracked if name.startswith(f"{path}/") and Path(name).exists())
    listed = [
        {"md5": hashlib.md5(Path(name).read_bytes()).hexdigest(), "relpath": name.removeprefix(f"{path}/")}
        for name in files
    ]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest() + ".dir"


def differences(first: Code, second: Code) -> list[str]:
    """The modules in which two runs' code differs."""
    return sorted({name.partition(":")[2] for name, _ in set(first.items()) ^ set(second.items())})
