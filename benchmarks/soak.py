"""Twenty visitors at once, good and hostile: who waits for whom, what memory and disk it takes, and what is left.

The good ones are alone for a third of the time, to see how long they wait for one another.

    python -m benchmarks.soak models/unet.onnx             # ten minutes
    python -m benchmarks.soak models/unet.onnx --minutes 3

Ends with exit code 1, and says why, if a good visitor was not served, or waited longer for the hostile ones than the
bound; if memory or disk grew beyond theirs; if a hostile one was served; if the server logs anything; or if anything is
left in the end.
"""

import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import psutil
import typer
from PIL import Image

from pipeline.serving import painter, uploads
from tests.test_painter import in_scans
from tests.test_serve import Refused, Site, claiming, encoded, free_port

GOOD = 8  # of the visitors; the others are hostile
ALONE = 1 / 3  # of the time
WAIT = 2 * painter.DEADLINE  # seconds that hostile ones cost a good one, at most: one's deadline, and loading models
USUALLY = 2  # times as long as without hostile ones, at most, waits the median
MEMORY = painter.MEMORY + (2 << 30)  # bytes of all processes, at most
PAUSE = 1  # seconds between two photographs of a visitor


def _size(path: Path) -> int:
    with suppress(OSError):  # it has just been deleted
        return path.lstat().st_size
    return 0


def grainy() -> bytes:
    """A JPEG of 6 megapixels."""
    rows, columns = np.mgrid[:2000, :3000]
    grey = 128 + 60 * np.sin(rows / 90) * np.cos(columns / 70) + np.random.default_rng(0).normal(0, 8, rows.shape)
    content = io.BytesIO()
    Image.fromarray(grey.astype(np.uint8)).save(content, "JPEG")
    return content.getvalue()


def progressive() -> bytes:
    """A JPEG in 400 scans."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bomb.jpg")
        in_scans(path, 400)
        return path.read_bytes()


def endless() -> bytes:
    """A GIF of 50,000 frames, which takes longer than the deadline."""
    frames = [Image.new("L", (30, 30), number % 256) for number in range(50_000)]
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:])
    return content.getvalue()


class Soak:
    """A server, and what its visitors saw."""

    def __init__(self, model: str, folder: Path):
        port = free_port()
        self.folder, self.waited, self.faults = folder, defaultdict(list), []
        self.url = f"http://127.0.0.1:{port}/"
        self.most = {"memory": 0, "disk": 0}
        self.over, self.ended = threading.Event(), threading.Event()
        command = [sys.executable, "-m", "pipeline", "serve", "--port", str(port), "--model", model]
        self.log = Path(folder, "log").open("w+")  # noqa: SIM115
        environment = os.environ | {"TMPDIR": str(folder)}
        self.server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True)
        if not self.server.stdout.readline():
            sys.exit(Path(self.log.name).read_text())
        self.site, self.model = Site(self.url, address="127.0.1.0"), Path(model).stem
        self.photograph, self.scans, self.frames = grainy(), progressive(), endless()

    def good(self, site: Site) -> bool:
        """A photograph is coloured and taken home."""
        _, download, _ = site.colour(site.upload("photo.jpg", self.photograph), self.model)
        return site.fetch(download).status_code == 200

    def refused(self, content: bytes) -> bool:
        """A file that cannot be coloured is refused in words."""
        return bool(self.site.colour(self.site.upload("photo.jpg", content), self.model)[2])

    def many(self, content: bytes, count: int) -> bool:
        """Files that cannot be coloured, at once, are refused in words, so far as they are waited for."""
        site = Site(self.url, address="127.0.3.0")
        file = site.upload("photo.jpg", content)
        sessions = [site.join(file, self.model, 256) for _ in range(count)]
        return all(site.answer(session)[2] for session in sessions if not self.over.is_set())

    def too_large(self) -> bool:
        """An upload of 40 MB."""
        answer = self.site.client.post("gradio_api/upload", files={"files": ("a.jpg", bytes(40 << 20))})
        return answer.status_code == 413

    def cut_off(self) -> bool:
        """An upload of which half arrives."""
        with self._begun(20 << 20) as visitor:
            visitor.sendall(bytes(10 << 20))
        return True

    def slow(self) -> bool:
        """An upload that dawdles until it is cut off."""
        with self._begun(20 << 20) as visitor:
            visitor.settimeout(1)
            while not self.over.is_set():
                try:
                    visitor.sendall(b"slow")
                    if b" 408 " in visitor.recv(1 << 16):
                        return True
                except TimeoutError:
                    pass
        return True

    def foreign(self, **headers: str) -> bool:
        """A request under another name, or of another site."""
        answer = self.site.client.post("gradio_api/upload", files={"files": ("a.jpg", b"")}, headers=headers)
        return answer.status_code in (403, 421)

    def leaves(self) -> bool:
        """A photograph that is asked for, and not waited for."""
        session = self.site.join(self.site.upload("photo.jpg", self.photograph), self.model, 256)
        with self.site.client.stream("GET", "gradio_api/queue/data", params={"session_hash": session}) as stream:
            return next(stream.iter_lines()) is not None

    def _begun(self, length: int) -> socket.socket:
        visitor = socket.create_connection((httpx.URL(self.url).host, httpx.URL(self.url).port), timeout=60)
        part = '--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
        kind = "Content-Type: multipart/form-data; boundary=x"
        head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\n{kind}\r\nContent-Length: {length}\r\n\r\n"
        visitor.sendall((head + part).encode())
        return visitor

    def visit(self, name: str, ask: Callable[[], bool]) -> None:
        """Ask again and again."""
        while not self.over.wait(PAUSE):
            began = time.monotonic()
            try:
                if not ask():
                    self.faults.append(f"{name}: not answered as it should be")
            except (Refused, httpx.HTTPError, OSError, AssertionError) as error:
                self.faults.append(f"{name}: {type(error).__name__} {error}"[:200])
            self.waited[name].append(time.monotonic() - began)

    def watch(self) -> None:
        """Note the most memory and disk."""
        server = psutil.Process(self.server.pid)
        while not self.ended.wait(0.5):
            total = 0
            for process in (server, *server.children(recursive=True)):
                with suppress(psutil.Error):  # it has just ended
                    total += process.memory_info().rss
            used = sum(_size(path) for path in self.folder.rglob("*"))
            self.most = {"memory": max(self.most["memory"], total), "disk": max(self.most["disk"], used)}

    def run(self, minutes: float) -> None:
        """Let the good ones in, then all of them, for a while, and end the server."""
        hostile = {
            "progressive bomb": lambda: self.refused(self.scans),
            "decompression bomb": lambda: self.refused(claiming(20_000, 20_000)),
            "many pixels": lambda: self.refused(claiming(10_000, 6_000)),
            "broken": lambda: self.refused(encoded(size=(3000, 2000))[:-900]),
            "no picture": lambda: self.refused(b"I am a photograph"),
            "too large": self.too_large,
            "cut off": self.cut_off,
            "slow": self.slow,
            "other name": lambda: self.foreign(Host="evil.example"),
            "other site": lambda: self.foreign(Origin="http://evil.example"),
            "leaves": self.leaves,
            "over the deadline, five at once": lambda: self.many(self.frames, 5),
        }
        sites = [Site(self.url, address=f"127.0.2.{number}") for number in range(GOOD)]
        good = [partial(self.good, site) for site in sites]
        watching = threading.Thread(target=self.watch)
        watching.start()
        self._let_in([("good, alone", ask) for ask in good], minutes * 60 * ALONE)
        self._let_in([("good", ask) for ask in good] + list(hostile.items()), minutes * 60 * (1 - ALONE))
        self.ended.set()
        watching.join()
        self.server.send_signal(signal.SIGTERM)
        self.server.wait(60)

    def _let_in(self, visitors: Sequence[tuple[str, Callable[[], bool]]], seconds: float) -> None:
        self.over.clear()
        threads = [threading.Thread(target=self.visit, args=visitor) for visitor in visitors]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.over.set()
        for thread in threads:
            thread.join()

    def judge(self) -> list[str]:
        """What is wrong."""
        left = [path.name for path in self.folder.iterdir() if path.name.startswith(uploads.PREFIX)]
        log = Path(self.log.name).read_text().splitlines()
        with_others, alone = self.waited["good"], self.waited["good, alone"]
        bounds = {
            f"hostile visitors cost a good one more than {WAIT} s": max(with_others) > max(alone) + WAIT,
            f"the median is more than {USUALLY} times as long": np.median(with_others) > USUALLY * np.median(alone),
            f"more than {MEMORY >> 20} MB of memory": self.most["memory"] > MEMORY,
            f"more than {uploads.ROOM >> 20} MB on the disk": self.most["disk"] > uploads.ROOM,
            f"left behind: {left}": bool(left),
            f"the server logs {len(log)} lines, such as {log[:3]}": bool(log),
        }
        return [*sorted(set(self.faults)), *(said for said, broken in bounds.items() if broken)]


def main(model: Annotated[str, typer.Argument(help="The path of a model.")], minutes: float = 10) -> None:
    """Soak the page."""
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(model, Path(folder))
        soak.run(minutes)
        print("| visitor | asked | median s | most s |\n| --- | --- | --- | --- |")
        for name, seconds in soak.waited.items():
            print(f"| {name} | {len(seconds)} | {np.median(seconds):.1f} | {max(seconds):.1f} |")
        print(f"\nmost memory {soak.most['memory'] >> 20} MB, most on the disk {soak.most['disk'] >> 20} MB")
        wrong = soak.judge()
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    typer.run(main)
