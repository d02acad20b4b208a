"""Serving page and programs: the process that paints, the folder of uploads, the requests that are let in."""

import os
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.model_files.names import find_model, models
from pipeline.serving import address
from pipeline.system.errors import PipelineError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from pipeline.serving.painter import Painter
    from pipeline.serving.uploads import Uploads

ENDINGS = "SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"  # each system has some of them; Windows alone the last
ADDRESS = re.compile(r"https?://[^/?#@\s]+(/[\w.~-]+)*/?", re.ASCII)
SESSIONS = 1000  # visitors whose choices are remembered, at most


def run(host: str, port: int, model: str | None, url: str | None = None) -> None:
    """Serve the page until the process is ended.

    Args:
        host: the address to listen on; 0.0.0.0 for all networks.
        port: where to listen.
        model: chosen at first, see `names.find_model`.
        url: the address that a proxy gives the page, such as https://photos.example or https://example.com/photos.

    Raises:
        PipelineError: there is no model, or nothing can listen there.
    """
    check_url(url)
    listening = address.listen(host, port)
    paths = find(model)
    endings = [getattr(signal, name) for name in ENDINGS if hasattr(signal, name)]
    heeded = [ending for ending in endings if signal.getsignal(ending) != signal.SIG_IGN]  # as `nohup` has it
    for ending in heeded:  # so that uploads are deleted then, too
        signal.signal(ending, lambda *_: sys.exit())
    os.umask(0o077)
    from pipeline.serving import http
    from pipeline.serving.painter import Painter
    from pipeline.serving.uploads import Uploads

    with closing(Uploads()) as uploads, closing(Painter(paths)) as painter:
        server = http.server(make_app(list(paths), painter, uploads, host, url))
        if (hangup := getattr(signal, "SIGHUP", None)) and hangup in heeded:
            signal.signal(hangup, server.handle_exit)  # uvicorn knows the others
        shown = url or f"http://{address.in_url(host)}:{port}"
        print(f"the page is at {shown.rstrip('/')}/ (Ctrl-C ends it)", flush=True)
        server.run([listening])


def check_url(url: str | None) -> None:
    """Check the address that a proxy gives the page.

    Raises:
        PipelineError: it is none, or says more than scheme, host, port and path.
    """
    if url is None:
        return
    try:
        if not ADDRESS.fullmatch(url):
            raise ValueError
        address.as_sent(url)
    except ValueError:
        raise PipelineError(
            f"--url {url}: not an address, allowed: http(s)://NAME, with :PORT and /PATH if need be"
        ) from None


def find(model: str | None) -> dict[str, Path]:
    """The models there are to choose from, by name.

    Args:
        model: which comes first, see `names.find_model`.

    Raises:
        PipelineError: there is no such model, or none at all.
    """
    path = find_model(model)
    first = {path.stem: path}
    runs = {".onnx", ".safetensors"} if find_spec("torch") else {".onnx"}
    return first | {name: other for name, other in models().items() if other.suffix in runs} | first


def make_app(names: Sequence[str], painter: "Painter", uploads: "Uploads", host: str, url: str | None) -> "ASGIApp":
    """All that is served.

    Args:
        names: of the models.
        painter: what paints.
        uploads: where files are.
        host: the address to listen on.
        url: that a proxy gives the page.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(uploads.folder)  # before Gradio is imported, whose own default is for all users
    import gradio

    from pipeline.serving import api, middleware, page
    from pipeline.serving.files import Files
    from pipeline.serving.queueing import FairQueue
    from pipeline.serving.service import MEGABYTES, SEVERAL, TOGETHER, WAITING, Service

    service = Service(list(names), painter, uploads, FairQueue(WAITING))
    built = page.build(service)
    built.state_session_capacity = SESSIONS
    app = api.make(service, Files(uploads, MEGABYTES, SEVERAL, page.SUFFIXES), middleware.root(url))
    gradio.mount_gradio_app(
        app,
        built,
        "/",
        theme=page.THEME,
        css=page.CSS,
        head=page.head(middleware.root(url)),
        root_path=middleware.root(url),
        max_file_size=MEGABYTES << 20,
        run_history=False,
        footer_links=[],
        show_error=False,
        # What environment variables could turn on, past the guard or beyond this computer.
        **dict.fromkeys(("ssr_mode", "mcp_server", "enable_monitoring", "pwa"), False),
    )
    uploads.spare()
    uploads.sweep_often()
    return middleware.Guard(
        app,
        hosts=middleware.hosts(host, url),
        root=middleware.root(url),
        is_upload=uploads.has,
        functions={
            number: [isinstance(block, gradio.File) for block in function.inputs]
            for number, function in built.fns.items()
        },
        left=service.leave,
        megabytes=(MEGABYTES, TOGETHER),
    )
