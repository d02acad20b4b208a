"""Measured runs as small files that git has, so that they outlive the clone, and the cache, that they were made in.

A run is a folder, metrics/study/KEY, of what `Experiment` is read from, the tables that the page draws, and the figures
by picture that its intervals need. A digest of each file tells whether somebody has changed it. The key is that which
the run had when it was written: a later version, with more parameters, may give it another one.
"""

import hashlib
import io
import json
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.measuring.report import FIGURES
from pipeline.study import cache, estimate, experiments, pictures, plan
from pipeline.study.experiments import Experiment
from pipeline.system.errors import printable
from pipeline.system.files import write_all

FOLDER = Path("metrics/study")
ABOUT = "run.json"  # name, commit, baseline, when, torch, and the digests of all other files
# In git → in the folder.
READ = {"params.yaml": "params.yaml", "dvc.lock": "lock.yaml", FIGURES.as_posix(): FIGURES.name}
CURVE = "plots/unet.csv"


def all_known() -> list[Experiment]:
    """All experiments, and all kept runs that are none of them, the oldest first; name those that cannot be read.

    An experiment wins over the kept run with the same parameters and code, unless the cache lacks its pictures. Before
    all of them come the U-Nets alone of those with a GAN.
    """
    made, kept = experiments.read_all(), read_all()
    for one in kept:
        if one.problem:
            print(printable(f"{one.name}: {one.problem}; it counts as not measured"), flush=True)
    found = merged(made, kept)
    return [alone for one in found if (alone := experiments.unet_alone(one))] + found


def merged(made: Iterable[Experiment], kept: Iterable[Experiment]) -> list[Experiment]:
    """Experiments and kept runs, each run once, the oldest first."""
    made, kept = list(made), list(kept)
    whole = [one for one in made if one.params and pictures.needed(one)]
    of_made = set(map(_kind, whole))
    kept = [one for one in kept if not one.params or _kind(one) not in of_made]
    of_kept = {_kind(one) for one in kept if one.params}
    return sorted([*kept, *(one for one in made if not one.params or _kind(one) not in of_kept)], key=_when)


def _kind(one: Experiment) -> tuple[str, frozenset[tuple[str, str]]]:
    """The same for whole runs with the same parameters and code."""
    assert one.params
    return plan.key(one.params), frozenset(one.code.items())


def write(one: Experiment) -> None:
    """Write a measured run, or the one that it is part of, all of its files or none; nothing if it lacks pictures."""
    one = one.whole or one
    if one.folder or not one.params or not (noted := pictures.needed(one)):
        return
    folder = FOLDER / plan.key(one.params)
    if _read(folder).commit == one.commit:  # and none of its files was changed
        return
    content = {name: experiments.git("show", f"{one.commit}:{path}") for path, name in READ.items()}
    for path in (CURVE, *estimate.clocks(one)):
        if found := cache.path(one, path):
            content[Path(path).name] = found.read_bytes()
    packed = io.BytesIO()
    np.savez_compressed(packed, **noted)  # type: ignore[arg-type]  # none is called allow_pickle
    content[Path(pictures.NOTED).name] = packed.getvalue()
    about: dict[str, Any] = {"name": one.name, "commit": one.commit, "baseline": one.baseline, "when": one.when}
    about |= {"torch": cache.torch(one), "sha256": {name: _sha256(data) for name, data in content.items()}}
    content[ABOUT] = (json.dumps(about, indent=2) + "\n").encode()
    write_all({folder / name: partial(_put, data) for name, data in content.items()})


def _put(data: bytes, path: Path) -> None:
    path.write_bytes(data)


def read_all() -> list[Experiment]:
    """All kept runs, the oldest first; those that are not as they were written say why."""
    found = [_read(folder) for folder in sorted(FOLDER.glob("*")) if folder.is_dir()]
    return sorted(found, key=_when)


def _when(one: Experiment) -> float:
    """The second at which a run ended, 0 if that cannot be read."""
    return datetime.fromisoformat(one.when).timestamp() if one.when else 0


def _read(folder: Path) -> Experiment:
    try:
        about = json.loads((folder / ABOUT).read_bytes())
        datetime.fromisoformat(about["when"])
        written = {name: about[name] for name in ("name", "commit", "baseline", "when")}
        if not all(isinstance(value, str) for value in written.values()):
            raise TypeError
        for name in {*about["sha256"], *READ.values(), Path(pictures.NOTED).name}:
            if _sha256((folder / name).read_bytes()) != about["sha256"][name]:
                return _broken(folder, f"{name} was changed")
        torch = about["torch"] and str(about["torch"])
    except OSError as error:
        return _broken(folder, f"{Path(error.filename or folder).name} cannot be read")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return _broken(folder, f"{ABOUT} is not what this version writes")
    one = experiments.read(**written, file=lambda path: _file(folder, path), folder=folder, torch=torch)
    return one if one.params else _broken(folder, one.problem or "it is not whole")


def _file(folder: Path, path: str) -> bytes:
    try:
        return (folder / READ[path]).read_bytes()
    except OSError:
        raise LookupError(f"it has no {READ[path]}") from None


def _broken(folder: Path, problem: str) -> Experiment:
    return Experiment(folder.as_posix(), "", "", "", problem=problem)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
