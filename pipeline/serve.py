"""Serving the web page: which requests are let through, where uploads go, and when they are deleted."""

import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.inference import Network
    from pipeline.page import Page

KEPT = 30 * 60  # seconds that uploads and results are there
SWEPT = 60  # seconds from one look for old ones to the next
SESSIONS = 1000  # visitors whose choices are remembered, at most
MESSAGE = 64 * 1024  # bytes of a request, at most, unless it is an upload
UPLOAD = "/gradio_api/upload"
# All that the page needs. Gradio has more: it fetches addresses, processes videos, and runs functions past the queue.
ROUTES = (
    *("/assets/", "/static/", "/config", "/theme.css", "/manifest.json", "/favicon.ico", UPLOAD),
    *("/gradio_api/queue/", "/gradio_api/cancel", "/gradio_api/startup-events"),
)


def run(host: str, port: int, model: str | None) -> None:
    """Serve the page until the process is ended.

    Args:
        host: the address to listen on; 0.0.0.0 for all networks.
        port: where to listen.
        model: unet, gan or the path of a model, chosen at first; by default the first there is.

    Raises:
        PipelineError: there is no model, or nothing can listen there.
    """
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        reason = error.strerror.partition(" (")[0]
        raise PipelineError(
            f"--host {host} --port {port}: {reason}; give another port, or an address of this computer"
        ) from None
    networks = load(model)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that uploads are deleted then, too
    with tempfile.TemporaryDirectory(prefix="colourgan-", ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # before Gradio is imported, whose own default is for all users
        from pipeline import page

        launch(page.build(networks), Path(folder), host, port)


def load(model: str | None) -> dict[str, "Network"]:
    """The networks there are to choose from, by name.

    Args:
        model: unet, gan or the path of a model, which comes first.

    Raises:
        PipelineError: there is no such model, or none at all.
    """
    from pipeline import inference
    from pipeline.colourise_files import MODELS, find_model

    paths = {name: path for name, path in MODELS.items() if path.exists()}
    path = find_model(model or next(iter(paths), "unet"))
    first = {path.stem: path}
    return {name: inference.load(path) for name, path in (first | paths | first).items()}


def launch(page: "Page", folder: Path, host: str, port: int, block: bool = True) -> None:
    """Let requests in.

    Args:
        page: what to serve.
        folder: where Gradio keeps its files; what is there already stays.
        host: the address to listen on.
        port: where to listen, which is free.
        block: until the process is ended.
    """
    from pipeline.page import CSS, MEGABYTES, THEME

    gate = Middleware(Gate, folder=folder, megabytes=MEGABYTES)
    page.launch(
        server_name=host,
        server_port=port,
        theme=THEME,
        css=CSS,
        app_kwargs={"middleware": [gate]},
        max_file_size=MEGABYTES << 20,
        state_session_capacity=SESSIONS,
        run_history=False,
        footer_links=[],
        # What environment variables could turn on, past the gate or beyond this computer.
        **dict.fromkeys(("share", "ssr_mode", "mcp_server", "enable_monitoring", "pwa"), False),
        num_workers=0,
        quiet=True,
        prevent_thread_lock=True,
    )
    threading.Thread(target=_sweep_often, args=(folder, set(folder.iterdir())), daemon=True).start()
    if block:
        print(f"the page is at {page.local_url} (Ctrl-C ends it)")
        page.block_thread()


class Gate:
    """Middleware that lets through what the page needs, in requests that are not too long.

    Args:
        app: what is behind it.
        folder: the only one whose files are given out.
        megabytes: of an upload, at most.
    """

    def __init__(self, app: ASGIApp, folder: Path, megabytes: int):
        self.app, self.megabytes = app, megabytes
        self.routes = (*ROUTES, f"/gradio_api/file={folder}/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        path, headers = scope["path"], Headers(scope=scope)
        if path != "/" and not path.startswith(self.routes):
            return PlainTextResponse("There is no such page here.", 404)
        if scope["method"] != "POST":
            return None
        length = headers.get("content-length", "")
        if not length.isdecimal() or "transfer-encoding" in headers:  # in chunks, whose end nobody knows
            return PlainTextResponse("The request does not say how long it is.", 411)
        # What surrounds a file in an upload is a message, too.
        if int(length) > MESSAGE + (self.megabytes << 20 if path == UPLOAD else 0):
            return PlainTextResponse(f"Too large: at most {self.megabytes} MB are allowed; give a smaller copy.", 413)
        return None


def _sweep_often(folder: Path, spared: Collection[Path]) -> None:
    while True:
        time.sleep(SWEPT)
        sweep(folder, spared)


def sweep(folder: Path, spared: Collection[Path]) -> None:
    """Delete what was put into a folder too long ago.

    Gradio could, but forgets uploads that broke off, and what it has just made empty.

    Args:
        folder: where uploads and results are.
        spared: what stays there.
    """
    for path in set(folder.iterdir()) - set(spared):
        with suppress(OSError):  # Gradio may be at work on it; the next look is soon
            if time.time() - path.stat().st_mtime > KEPT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
