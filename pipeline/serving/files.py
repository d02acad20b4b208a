"""The requests that are about files: uploads, and what is given out."""

import asyncio
import re
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi.concurrency import contextmanager_in_threadpool
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive

from pipeline.serving import queueing
from pipeline.serving.middleware import API, SCRIPT, UPLOAD
from pipeline.serving.uploads import Uploads
from pipeline.system.errors import PipelineError, printable

AT_ONCE = 64  # uploads, at most, half of them from one address
FIRST = 10  # seconds that an upload may take in any case, and then one more for
SLOWEST = 32 * 1024  # bytes of it
NAME, SUFFIX = 160, 40  # bytes of a file's name, and of what it ends in, that are kept: a result has a longer name
UNNAMED = "photo"  # what a file is called that has no name
# Names, with any suffix, that Windows has for devices instead of files.
DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE)
# What a browser is to take files for; others are just bytes to it.
PICTURES = {".webp": "image/webp", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
TYPES = {**PICTURES, ".zip": "application/zip"}


class Files:
    """What takes uploads and gives files out.

    Args:
        uploads: where they are.
        megabytes: of a photograph, at most.
        several: photographs of a page at once, at most.
        suffixes: of what a page may send.
    """

    def __init__(self, uploads: Uploads, megabytes: int, several: int, suffixes: Collection[str]):
        self.uploads, self.megabytes, self.several, self.suffixes = uploads, megabytes, several, suffixes
        self._senders: Counter[str] = Counter()  # of uploads that arrive, by address
        self.routes = [
            Route(UPLOAD, self.upload, methods=["POST"]),
            Route(f"{API}/upload_progress", _progress),
            Route(f"{API}/file={{path:path}}", self.give),
            Route(SCRIPT, _script),
        ]

    async def upload(self, request: Request) -> Response:
        """Take the photographs of a page, all or none; answers with their paths, as Gradio has it."""
        async with self._arriving(request) as arriving, arriving.form(max_files=self.several, max_fields=1) as form:
            files = [self._checked(file, "files") for file in form.getlist("files") or [""]]
            names = [_safe(file.filename or "") for file in files]
            if not all(Path(name).suffix.lower() in self.suffixes for name in names):
                raise HTTPException(
                    415, f"Not the name of a picture; give one that ends in {', '.join(self.suffixes)}."
                )
            paths = [self.uploads.new(host(request)) / name for name in names]
            for file, path in zip(files, paths, strict=True):
                await run_in_threadpool(_copy, file, path)
            return JSONResponse([str(path) for path in paths])

    async def take(self, request: Request, folder: Path) -> Path:
        """Take one photograph of a program, into a folder: the file in a form, or all that is sent."""
        async with self._arriving(request) as arriving:
            if not request.headers.get("content-type", "").lower().startswith("multipart/"):
                path = folder / UNNAMED
                self._check_size(int(request.headers["content-length"]))
                with path.open("xb") as copy:
                    async for part in arriving.stream():
                        await run_in_threadpool(copy.write, part)
                return path
            async with arriving.form(max_files=1, max_fields=1) as form:
                if others := form.keys() - {"file"}:
                    given = printable(min(others))[:NAME]
                    allowed = "one file named file, and all parameters in the address"
                    raise HTTPException(422, f"Given {given} in the form, allowed: {allowed}.")
                file = self._checked(form.get("file"), "file")
                path = folder / _safe(file.filename or "")
                await run_in_threadpool(_copy, file, path)
                return path

    @asynccontextmanager
    async def _arriving(self, request: Request) -> AsyncIterator[Request]:
        """An upload, for which there is room, and which does not dawdle."""
        sender = queueing.address(host(request))
        if self._senders[sender] >= AT_ONCE // 2 or self._senders.total() >= AT_ONCE:
            raise HTTPException(503, "Too many photographs arrive just now; send this one again in a minute.")
        self._senders[sender] += 1
        try:
            async with contextmanager_in_threadpool(
                self.uploads.room(int(request.headers["content-length"]), host(request))
            ):
                yield Request(request.scope, _hurried(request.receive))
        except (PipelineError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise HTTPException(503, f"The photograph cannot be kept: {reason}.") from None
        except UnicodeError:
            raise HTTPException(400, "No form that can be read; send the file alone, or a form in UTF-8.") from None
        except ClientDisconnect:  # nobody reads this
            raise HTTPException(400, "The upload broke off.") from None
        finally:
            self._senders -= Counter([sender])  # which forgets who sends nothing any longer

    def _checked(self, file: object, field: str) -> UploadFile:
        if not isinstance(file, UploadFile):
            raise HTTPException(400, f"There is no photograph in this upload; give a file named {field}.")
        self._check_size(file.size or 0)
        return file

    def _check_size(self, size: int) -> None:
        if size > self.megabytes << 20:
            raise HTTPException(413, f"Too large: at most {self.megabytes} MB are allowed; give a smaller copy.")

    async def give(self, request: Request) -> Response:
        """Give out a file, to be kept, not to be opened: the page alone shows it."""
        path = request.path_params["path"].lstrip("/")
        path = path if Path(path).is_absolute() else f"/{path}"  # on Windows it begins with a drive
        if not self.uploads.has(path):
            raise HTTPException(404, "This photograph is no longer here, or never was.")
        kind = TYPES.get(Path(path).suffix.lower(), "application/octet-stream")
        return FileResponse(path, media_type=kind, filename=Path(path).name, headers={"cache-control": "no-store"})


def host(request: Request) -> str:
    """The address that a request comes from."""
    return request.client.host if request.client else ""


def _script(_: Request) -> Response:
    """What the page runs beside Gradio's."""
    return FileResponse(Path(__file__).with_name("page.js"), media_type="text/javascript")


def _progress(_: Request) -> Response:
    """What the page asks for while it uploads; it gets no more than that it need not ask again."""
    return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")


def _hurried(receive: Receive) -> Receive:
    """Receives an upload, unless it dawdles: a few senders who take their time would take everybody's room."""
    began, received = time.monotonic(), 0

    async def hurried() -> Message:
        nonlocal received
        try:
            async with asyncio.timeout(began + FIRST + received / SLOWEST - time.monotonic()):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "The upload is too slow; send a smaller copy.") from None
        received += len(message.get("body", b""))
        return message

    return hurried


def _safe(name: str) -> str:
    """The name that a file was sent with, as any file system and terminal can have it."""
    last = "".join(letter for letter in name.replace("\\", "/").rpartition("/")[2] if letter.isprintable())
    path = Path("".join(letter for letter in last if letter not in '<>:"|?*&').strip(" .") or UNNAMED)
    device = "_" if DEVICE.match(path.name) else ""
    return device + _cut(path.stem, NAME) + _cut(path.suffix, SUFFIX)


def _cut(text: str, most: int) -> str:
    """The letters that fit into so many bytes."""
    return text.encode(errors="ignore")[:most].decode(errors="ignore")


def _copy(file: UploadFile, path: Path) -> None:
    with path.open("xb") as copy:
        shutil.copyfileobj(file.file, copy)
