"""Where page and programs ask for colours: photographs are painted in turn, and there is room for what they become."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from pipeline.colourise import SIZE
from pipeline.serving.painter import Painter
from pipeline.serving.refusals import Refusal
from pipeline.serving.turns import Turns
from pipeline.serving.uploads import Uploads

MEGABYTES = 30  # (1024² bytes) of a file that is uploaded, at most
RESULT = 256 << 20  # bytes of what a photograph becomes, at most
WAITING = 32  # photographs in the queue, at most; whoever sends most is told to come back later
SIZES = sorted({32, SIZE, 64, 128, 256})  # to choose from


@dataclass(frozen=True)
class Desk:
    """Has photographs painted.

    models: names of what there is to choose from; the first is chosen at first.
    painter: what paints; this process opens no picture.
    uploads: where files are.
    turns: of those who wait.
    """

    models: list[str]
    painter: Painter
    uploads: Uploads
    turns: Turns

    async def paint(self, host: str, visitor: str, file: Path, folder: Path, **how: Any) -> dict[str, str]:
        """Have a photograph painted when its turn has come.

        Args:
            host: the address of who asks for it.
            visitor: who waits for it; see `leave`.
            file: the photograph.
            folder: where to write.
            how: see `worker.paint`.

        Returns:
            See `worker.paint`.

        Raises:
            PipelineError: it cannot be painted, or not now; in words why. See `refusals.status`.
        """
        async with self.turns.turn(host, visitor):
            return await run_in_threadpool(self._paint, visitor, file=str(file), folder=str(folder), **how)

    def leave(self, visitor: str) -> None:
        """This visitor no longer waits."""
        self.turns.leave(visitor)
        self.painter.leave(visitor)

    def _paint(self, visitor: str, **task: Any) -> dict[str, str]:
        if not self.uploads.has(task["file"]):
            raise Refusal(503, "this photograph is no longer here, or never was; upload it again")
        try:
            with self.uploads.room(RESULT):
                return self.painter.paint(visitor, **task)
        except OSError:
            raise Refusal(503, "the result cannot be kept; come back in a few minutes") from None
