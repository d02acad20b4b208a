"""One process at a time: one run of a stage in a working folder, one download of a file; and where the locks lie."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.system.errors import PipelineError, Stopped
from pipeline.system.files import WINDOWS

FOLDER = Path("checkpoints")  # of locks, and of what a run that was killed goes on from; no stage's output
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def checkpoints() -> Path:
    """Where checkpoints lie: in the project, even if it is an experiment's copy that runs, which DVC will remove."""
    for place in Path.cwd().parents:
        if place.parts[-3:] == (".dvc", "tmp", "exps"):
            return place.parents[2] / FOLDER
    return FOLDER


class Held(Exception):
    """Another process has the lock; its process number is the argument, or unknown."""


@contextmanager
def alone(stage: str) -> Iterator[None]:
    """Hold the lock of a stage in this working folder.

    Args:
        stage: such as train-unet.

    Raises:
        PipelineError: another process holds it, as a run may outlive the `dvc` that started it; or there are no locks.
        Stopped: Ctrl-C.
    """
    FOLDER.mkdir(exist_ok=True)
    try:
        with hold(FOLDER / f"{stage}.lock", "work in a copy of the project on a local disk"):
            yield
    except Held as holder:
        end = "taskkill /F /PID" if WINDOWS else "kill"
        raise PipelineError(
            f"{stage}: process {holder} runs it in this folder already, allowed: one at a time; "
            f"wait for that one, or end it with `{end} {holder}`"
        ) from None
    except KeyboardInterrupt:
        raise Stopped(f"{stage}: stopped; run the same command again to go on") from None


@contextmanager
def hold(path: Path, way_out: str, wait: bool = False) -> Iterator[None]:
    """Hold a lock. It is the system's, so it goes with the process, however that ends.

    Args:
        path: the lock's file, which stays.
        way_out: what to do where the file system has no locks.
        wait: until the lock is free.

    Raises:
        Held: another process has it, and we do not wait.
        PipelineError: the file system has no locks.
        OSError: the file cannot be written.
    """
    lock = FileLock(path, blocking=wait, fallback_to_soft=False)  # a soft lock would outlive its process
    try:
        held = lock.acquire()
    except Timeout:
        raise Held(_holder(path)) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        reason = os.strerror(error.errno)
        raise PipelineError(
            f"{path}: the file system has no locks ({reason}), which keep two runs apart; {way_out}"
        ) from None
    with held:
        with path.open("r+b") as file:
            file.seek(1)  # the first byte is the one that Windows locks, against reading and writing
            file.write(str(os.getpid()).encode())
            file.truncate()
        yield


def _holder(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        file.seek(1)
        return file.read().decode("ascii", "replace") or "unknown"
    return "unknown"
