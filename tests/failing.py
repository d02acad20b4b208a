"""How several processes end, for the tests: `run` is called in each of them."""

import errno
import os
import signal
import time
from pathlib import Path

from pipeline.system.errors import PipelineError
from pipeline.training import processes


def run(how: str, folder: Path) -> None:
    """End in one of these ways."""
    globals()[how](folder)


def fail(folder: Path) -> None:
    """The second fails of what a user can mend, while the first waits for it."""
    if processes.rank() == 1:
        raise PipelineError("given nothing, allowed: something")
    processes.gather(None)


def fill(folder: Path) -> None:
    """The second finds no room for a file, and fastai tells where that was."""
    if processes.rank() == 1:
        error = OSError(errno.ENOSPC, "No space left on device", str(folder / "hidden"), None, str(folder / "a.pt"))
        error.args = ("Exception occured in `Checkpoint` when calling event `after_batch`",)
        raise error
    processes.gather(None)


def die(folder: Path) -> None:
    """The second is killed while the first waits for it."""
    if processes.rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    processes.gather(None)


def hang(folder: Path) -> None:
    """Say who is there, and wait, deaf to all."""
    (folder / f"{processes.rank()}.pid").write_text(str(os.getpid()))
    time.sleep(600)
