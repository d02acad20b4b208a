"""Where page and programs ask for colours: photographs are painted in turn, and there is room for what they become."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from pipeline.colourise import SIZE
from pipeline.serving.painter import Painter
from pipeline.serving.queueing import FairQueue
from pipeline.serving.refusals import Refusal
from pipeline.serving.uploads import Uploads
from pipeline.system.errors import PipelineError

MEGABYTES = 30  # (1024² bytes) of a file that is uploaded, at most
SEVERAL, TOGETHER = 20, 200  # photographs that a page takes at once, and their megabytes, at most
RESULT = 256 << 20  # bytes of what a photograph becomes, at most
WAITING = 32  # photographs in the queue, at most; whoever sends most is told to come back later
SIZES = sorted({32, SIZE, 64, 128, 256})  # to choose from


@dataclass(frozen=True)
class Service:
    """Has photographs painted.

    models: names of what there is to choose from; the first is chosen at first.
    painter: what paints; this process opens no picture.
    uploads: where files are.
    queue: of those who wait.
    here: visitors who wait, or are painted for; see `leave`.
    """

    models: list[str]
    painter: Painter
    uploads: Uploads
    queue: FairQueue
    here: set[str] = field(default_factory=set)

    async def paint(self, host: str, visitor: str, file: Path | str, folder: Path, **how: Any) -> dict[str, str]:
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
        self.here.add(visitor)
        try:
            async with self.queue.turn(host, visitor):
                painted = await run_in_threadpool(self._paint, host, visitor, file=str(file), folder=str(folder), **how)
            if visitor not in self.here:
                raise Refusal(429, "nobody waits for it any longer; ask again")
            return painted
        finally:
            self.here.discard(visitor)

    async def pack(self, host: str, files: Sequence[str]) -> str:
        """A ZIP of results, for a visitor with that address.

        Raises:
            Refusal: there is no room for it.
        """
        return await run_in_threadpool(self._pack, host, files)

    def leave(self, visitor: str) -> None:
        """This visitor no longer waits."""
        self.here.discard(visitor)
        self.queue.leave(visitor)
        self.painter.leave(visitor)

    def _pack(self, host: str, files: Sequence[str]) -> str:
        packed = self.uploads.new(host) / "coloured.zip"
        try:
            size = sum(Path(file).stat().st_size for file in files)
            with self.uploads.room(size, host), zipfile.ZipFile(packed, "x") as content:
                for name, file in _apart(files).items():
                    content.write(file, name)
        except OSError:
            raise Refusal(503, "the results cannot be kept; come back in a few minutes") from None
        return str(packed)

    def _paint(self, host: str, visitor: str, **task: Any) -> dict[str, str]:
        if not self.uploads.has(task["file"]):
            raise PipelineError("this photograph is no longer here, or never was; upload it again")
        try:
            with self.uploads.room(RESULT, host):
                return self.painter.paint(visitor, **task)
        except OSError:
            raise Refusal(503, "the result cannot be kept; come back in a few minutes") from None


def _apart(files: Sequence[str]) -> dict[str, str]:
    """Files by their names, numbered where several have the same; some systems do not tell A from a."""
    named: dict[str, str] = {}
    for file in files:
        path, number = Path(file), 2
        name = path.name
        while name.lower() in map(str.lower, named):
            name, number = f"{path.stem}-{number}{path.suffix}", number + 1
        named[name] = file
    return named
