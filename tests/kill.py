"""Kill the study again and again: `python -m tests.kill [--kills 25] [--seed 0]`.

Runs the small study undisturbed, then kills a second copy of it at random moments, spread over all stages, and lets the
same command go on each time. After each kill whatever output is there, and in the end every output, must have the bytes
of the undisturbed run.
"""

import argparse
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from tests.archives import draw
from tests.project import OUTPUTS, Project, small

STAGE = re.compile(r"Running stage '([^']+)'")
GOES_ON = "going on"  # what a run says first that finds a checkpoint


def tiny(folder: Path) -> dict[str, Any]:
    """The parameters of a study that trains for seconds, and pictures for it."""
    folder.mkdir(exist_ok=True)
    pictures, _ = draw(80, 16, np.random.default_rng(0))
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number}.png")
    params = small()
    params |= {"case": "folder", "images": 40}
    params["datasets"]["folder"] = {"path": str(folder), "size": 16}
    for section in params["pretrain"].values():
        section |= {"architecture": "resnet20", "epochs": 12, "batch_size": 4}  # of 32×32, so 16 of these
    params["pretrain"]["features"]["architecture"] = "vgg8"
    for section in (params["unet"], params["gan"]):
        section |= {"epochs": 5, "batch_size": 4}
    return params


def outputs(project: Project) -> dict[str, str]:
    """Digest of each output that is there; those that hold how long it took differ from run to run."""
    digests = {}
    for name in OUTPUTS:
        path = project.folder / name
        files = sorted(path.iterdir()) if path.is_dir() else [path] * path.exists()
        if name.endswith("_seconds.csv"):
            digests |= {name: "there"} if files else {}
        elif files:
            content = b"".join(file.name.encode() + file.read_bytes() for file in files)
            digests[name] = hashlib.sha256(content).hexdigest()
    return digests


def leftovers(project: Project) -> set[str]:
    """What lies about that no stage names, but for locks."""
    found = {
        path.relative_to(project.folder).as_posix()
        for top in ("checkpoints", "data", "metrics", "models", "plots")
        for path in (project.folder / top).iterdir()
        if path.suffix != ".lock"
    }
    return found - OUTPUTS - {"data/folder", "metrics/.gitkeep", "plots/.gitkeep"}


def start(project: Project, *command: str) -> subprocess.Popen:
    """A command, `dvc repro` if none is given, in a process group of its own."""
    return subprocess.Popen(
        command or ("dvc", "repro"),
        cwd=project.folder,
        env=project.environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


def undisturbed(project: Project, *command: str) -> dict[str, float]:
    """Run the study to its end, see `start`; how many seconds each stage took, in their order."""
    began: list[tuple[str, float]] = []
    running = start(project, *command)
    for line in running.stdout:
        if stage := STAGE.search(line):
            began.append((stage[1], time.monotonic()))
    assert running.wait() == 0
    ends = [when for _, when in began[1:]] + [time.monotonic()]
    return {stage: end - when for (stage, when), end in zip(began, ends, strict=False)}  # there may be nothing to do


def forget(project: Project, stage: str) -> None:
    """Have DVC run a stage again, in place of bringing back what it wrote."""
    lock = project.folder / "dvc.lock"
    content = yaml.safe_load(lock.read_text())
    del content["stages"][stage]
    lock.write_text(yaml.safe_dump(content))
    shutil.rmtree(project.folder / ".dvc/cache/runs", ignore_errors=True)


def kill(project: Project, stage: str, durations: dict[str, float], draw: random.Random) -> str:
    """Run the study and kill it some time after it has come to a stage, or to a later one; say where that was."""
    order = list(durations)
    running, said = start(project), []
    for line in running.stdout:
        said.append(line)
        reached = STAGE.search(line)
        if reached and order.index(reached[1]) >= order.index(stage):
            time.sleep(draw.uniform(0, 0.8 * durations[reached[1]]))
            break
    else:
        running.wait()
    if running.poll() is not None:  # too late: the machine is less busy than it was
        assert running.returncode == 0, "".join((*said, *running.stdout))
        durations[stage] /= 2
        forget(project, stage)
        return kill(project, stage, durations, draw)
    sent = draw.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
    os.killpg(running.pid, sent)
    said = running.communicate()[0].splitlines()  # since it was killed
    last = [stage[1] for line in said if (stage := STAGE.search(line))] or [reached[1]]
    from_where = " ".join(line for line in said if line.startswith(GOES_ON))
    return f"{signal.Signals(sent).name} in {last[-1]}" + (f" ({from_where})" if from_where else "")


def survive(
    project: Project, expected: dict[str, str], durations: dict[str, float], kills: int, seed: int
) -> tuple[int, int]:
    """How many kills of so many left nothing but what the undisturbed run has, and how many hit a run that went on.

    Args:
        project: what is killed.
        expected: the outputs of the undisturbed run.
        durations: seconds that each of its stages took.
        kills: how many.
        seed: of moments and signals.

    Raises:
        AssertionError: the study does not come to its end after them, or to another result.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs would ignore it
    assert expected.keys() == OUTPUTS
    draw, durations = random.Random(seed), dict(durations)
    survived = went_on = 0
    stages = list(durations)
    for number in range(kills):
        where = kill(project, stages[(2 * number + 1) * len(stages) // (2 * kills)], durations, draw)
        there = outputs(project)
        whole = all(expected[name] == digest for name, digest in there.items())
        survived += whole
        went_on += GOES_ON in where
        state = f"{len(there)} of {len(expected)} outputs, all whole" if whole else "NOT WHOLE"
        print(f"{number + 1:3}: {where}: {state}", flush=True)
    undisturbed(project)
    different = sorted(name for name, digest in outputs(project).items() if digest != expected[name])
    assert not different, f"not as in the undisturbed run: {different}"
    assert outputs(project).keys() == OUTPUTS
    assert not leftovers(project), leftovers(project)
    return survived, went_on


def main() -> None:
    """Print a line a kill, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0, help="of moments and signals")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        projects = [Project(folder / which, tiny(folder / "pictures")) for which in ("undisturbed", "killed")]
        durations = undisturbed(projects[0])
        print("undisturbed:", ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in durations.items()), flush=True)
        survived, went_on = survive(projects[1], outputs(projects[0]), durations, arguments.kills, arguments.seed)
    print(
        f"{survived} of {arguments.kills}: all {len(OUTPUTS)} outputs are those of the undisturbed run, but for seconds"
    )
    print(f"{went_on} of these kills hit a stage that had gone on from a checkpoint of an earlier one")
    sys.exit(survived != arguments.kills)


if __name__ == "__main__":
    main()
