import os
import socket
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

# Tests run side by side, a process on each core; more threads than cores would wait for each other, not compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Nor on a GPU: trainings are compared to the last bit, and the processes would share its memory.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

from pipeline.datasets import archive
from pipeline.system import environment
from tests import needs

# Begun last, one of them would keep one core, and the other would wait.
LONGEST = [
    *("test_study.py", "test_study_run.py", "test_published.py", "test_serve.py", "test_processes.py"),
    *("test_tour.py", "test_export.py", "test_pretrain.py", "test_contributing.py", "test_wheel.py"),
]


def pytest_collection_modifyitems(items):
    """Begin with the longest, and skip what needs something that this system does not have."""
    items.sort(key=lambda item: LONGEST.index(name) if (name := item.path.name) in LONGEST else len(LONGEST))
    for item in items:
        if what := needs.missing(item.function):
            item.add_marker(pytest.mark.skip(reason=what))


@pytest.fixture(autouse=True, scope="session")
def settled():
    """The environment of the tests stays as it is when one of them runs a command in this very process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("settle", "without_network"):
            patch.setattr(environment, name, lambda: None)
        patch.setattr("torch.accelerator.current_accelerator", lambda check_available=False: None)  # Apple's GPU, too
        yield


class Server(ThreadingHTTPServer):
    """Serves a folder on 127.0.0.1, notes what it is asked for, and misbehaves on purpose."""

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.requested: list[str] = []
        self.ranges: list[str | None] = []  # what part of it was asked for
        self.knows_ranges = True
        self.faults: list[str] = []  # what is wrong with the next answers, one each; then all is well
        self.retry_after = "0"  # seconds
        self.ended = threading.Event()  # a stall lasts until then

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        name, range_ = self.path.lstrip("/"), self.headers["Range"]
        self.server.requested.append(name)
        self.server.ranges.append(range_)
        fault = self.server.faults.pop(0) if self.server.faults else ""
        path = self.server.folder / name
        if fault.startswith("to "):
            self.send_response(302)
            self.send_header("Location", fault.removeprefix("to "))
            self.end_headers()
        elif fault.isdigit():
            self.send_response(int(fault))
            self.send_header("Retry-After", self.server.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif not path.is_file():
            self.send_error(404)
        else:
            self.send(path.read_bytes(), range_ if self.server.knows_ranges else None, fault)

    def send(self, content, range_, fault):
        start = int(range_.removeprefix("bytes=").removesuffix("-")) if range_ else 0
        rest = content[start:]
        if range_ and not rest:
            self.send_error(416)
            return
        self.send_response(206 if range_ else 200)
        self.send_header("Content-Length", str(len(rest)))
        if fault == "encoded":
            self.send_header("Content-Encoding", "x-gzip")
        if range_:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(rest[: len(rest) // 2] if fault in ("cut", "stall") else rest)
        if fault == "stall":
            self.wfile.flush()
            self.server.ended.wait(30)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """An HTTP server for tmp_path/www; downloads are cached in tmp_path/cache."""
    monkeypatch.setenv("COLOURGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(archive, "BACK_OFF", 0)
    folder = tmp_path / "www"
    folder.mkdir()
    with Server(folder) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.ended.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def closed_url():
    """A URL at which nobody answers, as without a network."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    return f"http://127.0.0.1:{port}/archive.tar.gz"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page, and the interface for programs, with stand-ins for models."""
    from tests.sites import stand_ins  # takes seconds, and few tests need it

    with stand_ins(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def painter(site):
    """What paints for the site, which has painted nothing yet."""
    site.painter.visitors, site.painter.most = [], 0
    yield site.painter
    site.painter.may_go_on.set()
