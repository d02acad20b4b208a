"""A `python` whose commands of the pipeline begin at once: for each, one that has loaded all is forked.

A stage needs five seconds to load torch and fastai, which the tests that run the study would wait for forty times. So
they put a folder with this `python` first in their PATH. It hands its arguments, folder, environment and streams to a
server that has loaded the libraries, but nothing of the project, and ends as what that forks ends. What is forked is
in the process group of who asked, so that signals to all of it reach it, and is killed when who asked is.
"""

import atexit
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache
from importlib import import_module
from pathlib import Path
from runpy import run_module
from typing import Any, NamedTuple

LIBRARIES = (
    *("torch", "torch._dynamo", "fastai.learner", "fastai.vision.models.unet", "fastai.callback.schedule", "timm"),
    *("pandas", "matplotlib.pyplot", "psutil"),
)
LONGEST = 2**17  # bytes of what is handed over, more than an environment has
SETTINGS = {  # which are read when a process starts or a library is loaded; the commands themselves set them, too
    "GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1099511627776",
    "MPLBACKEND": "agg",
    "MATPLOTLIBRC": os.devnull,
}

# Isolated and without installed packages, it begins in an instant.
CLIENT = """#!{python} -IS
import json, os, signal, socket, sys

_, *arguments = sys.argv
if arguments[:2] != ["-m", "pipeline"]:
    os.execv({python!r}, [{python!r}, *arguments])
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)  # what works for this one hears them
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect({address!r})
    asked = json.dumps([arguments[2:], os.getcwd(), dict(os.environ), os.getpgrp()])
    socket.send_fds(server, [asked.encode()], [0, 1, 2])
    code = int(server.recv(16) or 1)
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class Asked(NamedTuple):
    """A command of the pipeline, and what it finds around it."""

    arguments: list[str]
    folder: str
    variables: dict[str, str]
    group: int


@cache
def folder() -> Path | None:
    """Where this `python` is, for as long as this process lives; None where nothing can be forked so."""
    if sys.platform != "linux":
        return None
    here = Path(tempfile.mkdtemp(prefix="warm-"))
    python, address = here / "python", here / "server"
    python.write_text(CLIENT.format(python=sys.executable, address=str(address)))
    python.chmod(0o755)
    # Pipes, as are the streams of what is forked: Python keeps in mind whether a stream can be wound back.
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    command = [sys.executable, "-W", "ignore", __file__, python, address]
    server = subprocess.Popen(command, env=os.environ | SETTINGS, **pipes)
    atexit.register(lambda: (server.communicate(), shutil.rmtree(here)))  # it ends with its stdin
    assert server.stdout.readline() == b"ready\n"
    return here


def serve(python: str, address: str) -> None:
    """Load all, and fork for each that asks, until stdin ends."""
    for library in LIBRARIES:
        import_module(library)
    gc.freeze()  # else each fork would copy all of it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # how they ended matters to their clients alone
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(address)
        server.listen(64)
        threading.Thread(target=lambda: os._exit(len(os.read(0, 1))), daemon=True).start()
        print("ready", flush=True)
        while True:
            client, _ = server.accept()
            if not os.fork():
                server.close()
                attend(client, python)
            client.close()


def attend(client: socket.socket, python: str) -> None:
    """Fork once more to do what is asked, tell how that ended, and see to it that it does not outlive the client."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, *_ = socket.recv_fds(client, LONGEST, 3)
    worker = os.fork()
    if not worker:
        client.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        work(Asked(*json.loads(message)), python)
    for stream in (0, 1, 2, *streams):
        os.close(stream)
    threading.Thread(target=kill_with, args=(client, worker), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    client.send(str(code).encode())
    os._exit(0)


def kill_with(client: socket.socket, worker: int) -> None:
    """Kill what is done for a client, and all that it began, when that is gone."""
    import psutil

    client.recv(1)
    process = psutil.Process(worker)
    for one in (*process.children(recursive=True), process):
        one.kill()


def work(asked: Asked, python: str) -> None:
    """Be the process that was asked for."""
    os.setpgid(0, asked.group)
    os.chdir(asked.folder)
    os.environ.clear()
    os.environ |= asked.variables | {"GLIBC_TUNABLES": SETTINGS["GLIBC_TUNABLES"]}  # else it starts itself anew
    if "PYTHONUNBUFFERED" in os.environ:
        sys.stdout.reconfigure(write_through=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.executable, sys.path[0], sys.argv = python, asked.folder, ["pipeline", *asked.arguments]
    try:
        run_module("pipeline", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code or 0)  # what was loaded need not be taken down


if __name__ == "__main__":
    serve(*sys.argv[1:])
