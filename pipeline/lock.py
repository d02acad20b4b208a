"""One run of a stage at a time in a working folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import PipelineError, Stopped

FOLDER = Path("checkpoints")  # of locks, and of what a run that was killed goes on from; no stage's output


@contextmanager
def alone(stage: str) -> Iterator[None]:
    """Hold the lock of a stage. It is the system's, so it goes with the process, however that ends.

    Args:
        stage: such as train-unet.

    Raises:
        PipelineError: another process holds it; a run may outlive the `dvc` that started it.
        Stopped: Ctrl-C.
    """
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{stage}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "unknown"
            raise PipelineError(
                f"{stage}: process {holder} runs it in this folder already, allowed: one at a time; "
                f"wait for that one, or end it with `kill {holder}`"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        except KeyboardInterrupt:
            raise Stopped(f"{stage}: stopped; run the same command again to go on") from None
