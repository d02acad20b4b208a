"""A page that is served, with stand-ins for models, and what programs see of it."""

import io
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import uuid
import zlib
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from pipeline import serve
from pipeline.colourise import SIZE
from pipeline.serving import address, http
from pipeline.serving.painter import Painter
from pipeline.serving.uploads import Uploads
from tests.painters import tinting

ROOT = Path.cwd()
ONE_USE = httpx.Limits(max_connections=None, max_keepalive_connections=0)  # none that the server is about to close
TINTS = {"unet": (33, -22), "gan": (-22, 33)}  # a and b of all that a stand-in paints


class Watched:
    """A painter, how many photographs it was given, and how many at the same time."""

    def __init__(self, painter):
        self.painter, self.lock = painter, threading.Lock()
        self.visitors, self.running, self.most, self.left = [], 0, 0, set()
        self.example = painter.example
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def leave(self, visitor):
        self.left.add(visitor)
        self.painter.leave(visitor)

    def paint(self, visitor, **task):
        with self.lock:
            self.visitors.append(visitor)
            self.running += 1
            self.most = max(self.most, self.running)
        self.may_go_on.wait()
        try:
            return self.painter.paint(visitor, **task)
        finally:
            with self.lock:
                self.running -= 1


class Refused(Exception):
    pass


class Site:
    """A page that is served, as a program sees it that speaks to the server itself."""

    def __init__(self, url, folder=None, painter=None, address=None):
        self.url, self.folder, self.painter = url, folder, painter
        transport = httpx.HTTPTransport(limits=ONE_USE, local_address=address)
        self.client = httpx.Client(base_url=url, trust_env=False, timeout=60, transport=transport)
        functions = self.client.get("config").json()["dependencies"]
        self.colours = next(function["id"] for function in functions if len(function["inputs"]) == 4)

    def upload(self, name, content):
        return self.upload_all((name, content))[0]

    def upload_all(self, *files):
        answer = self.client.post("gradio_api/upload", files=[("files", file) for file in files])
        if answer.status_code != 200:
            raise Refused(answer.text)
        paths = zip(answer.json(), files, strict=True)
        return [{"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}} for path, (name, _) in paths]

    def join(self, file, model="unet", size=SIZE, strength=1):
        """Ask for colours of a file, or of a list of some; returns what to wait for."""
        session = uuid.uuid4().hex
        data = [[file] if isinstance(file, dict) else file, model, size, strength]
        body = {"data": data, "fn_index": self.colours, "session_hash": session}
        answer = self.client.post("gradio_api/queue/join", json=body)
        if answer.status_code != 200:
            raise Refused(answer.text)
        return session

    def answer(self, session):
        """The values of slider, download and refusal."""
        with self.client.stream("GET", "gradio_api/queue/data", params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data:") or "{}")
                if message.get("msg") == "process_completed":
                    if not message["success"]:
                        raise Refused(json.dumps(message))
                    shown = message["output"]["data"]
                    assert [update["visible"] for update in shown] == [bool(update["value"]) for update in shown]
                    return [update["value"] for update in shown]
        raise AssertionError("no answer")

    def colour(self, *asked):
        return self.answer(self.join(*asked))

    def fetch(self, file):
        return self.client.get(f"gradio_api/file={file['path']}")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return unused.getsockname()[1]


@contextmanager
def served(painter, uploads, host="127.0.0.1", url="https://photos.example"):
    """The address of a page."""
    listening = address.listen(host, 0)
    server = http.server(serve.make_app(list(TINTS), painter, uploads, host, url))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    yield f"http://{address.in_url(host)}:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join()


@contextmanager
def stand_ins(folder, **where):
    """A site whose models are stand-ins that paint in one tint each."""
    models = {name: folder / f"{name}.onnx" for name in TINTS}
    for name, path in models.items():
        path.write_bytes(tinting(*TINTS[name]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setenv("NO_PROXY", "127.0.0.1")
        with closing(Uploads()) as uploads, closing(Painter(models)) as painter:
            watched = Watched(painter)
            with served(watched, uploads, **where) as url:
                yield Site(url, uploads.folder, watched)


def encoded(kind="JPEG", mode="RGB", size=(60, 40), **options):
    picture = Image.linear_gradient("L").resize(size).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize(size))
    content = io.BytesIO()
    picture.save(content, format=kind, **options)
    return content.getvalue()


def claiming(width, height):
    """A PNG that says it were so large."""
    content = encoded("PNG")
    header = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def median_tint(content):
    with Image.open(io.BytesIO(content)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    return np.median(rgb2lab(pixels)[..., 1:].reshape(-1, 2), axis=0)


@contextmanager
def command(folder, *arguments, host="127.0.0.1"):
    """A server of its own, and where it is."""
    port = free_port()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-m", "pipeline", "serve", "--host", host, "--port", str(port), *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as serving:
        try:
            url = f"http://{address.in_url(host)}:{port}/"
            assert serving.stdout.readline() == f"the page is at {url} (Ctrl-C ends it)\n"
            yield serving, Site(url)
        finally:
            serving.kill()
