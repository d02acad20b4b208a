"""A `python` that begins commands of the pipeline at once, for tests that run the study.

A stage needs five seconds to load torch and fastai, and these tests run forty of them. So they put a folder with this
`python` first in their PATH. A server has loaded the libraries, but nothing of the project, and forks a worker for each
command. The `python` hands over its arguments, folder, environment and streams, waits for the worker, and ends with its
exit code. The worker joins its process group, to hear the same signals, and does not outlive it.
"""

import atexit
import gc
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from runpy import run_module
from typing import Any, NamedTuple

LIBRARIES = (
    *("torch", "torch._dynamo", "fastai.learner", "fastai.vision.models.unet", "fastai.callback.schedule", "timm"),
    *("pandas", "matplotlib.pyplot", "psutil"),
)
MOST = 2**17  # bytes that are handed over: the system sends little more at once
SETTINGS = {  # that are read when a process starts or a library is loaded, and which the commands set, too
    "GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1099511627776",
    "MPLBACKEND": "agg",
    "MATPLOTLIBRC": os.devnull,
}

# Isolated and without installed packages, it begins in an instant.
CLIENT = """
import json, os, signal, socket, sys

_, *arguments = sys.argv
if arguments[:2] != ["-m", "pipeline"]:
    os.execv({python!r}, [{python!r}, *arguments])
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect({address!r})
    asked = json.dumps([arguments[2:], os.getcwd(), dict(os.environ), os.getpgrp()])
    socket.send_fds(server, [asked.encode()], [0, 1, 2])
    begun = server.recv(16)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the worker gets them, too
    ended = begun and server.recv(16)
if not ended:
    sys.exit("the server of tests/warm.py is gone")
os._exit(int(ended))
"""


class Asked(NamedTuple):
    """A command of the pipeline, and what it finds around it."""

    arguments: list[str]
    folder: str
    variables: dict[str, str]
    group: int


@cache
def folder() -> Path | None:
    """Where this `python` is, for as long as this process lives; None on systems that cannot do all of it."""
    if sys.platform != "linux":
        return None
    here = Path(tempfile.mkdtemp(prefix="warm-"))
    python, client, address = here / "python", here / "client.py", f"\0{here}"  # of no file, so it may be long
    client.write_text(CLIENT.format(python=sys.executable, address=address))
    python.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-IS", str(client)])} "$@"\n')
    python.chmod(0o755)
    # Pipes, as are the streams of a worker: Python keeps in mind whether a stream can be wound back.
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    command = [sys.executable, "-P", "-W", "ignore", __file__, here]
    server = subprocess.Popen(command, env=os.environ | SETTINGS, process_group=0, **pipes)
    said = b""
    for line in server.stdout:
        if line == b"ready\n":
            return here
        said += line
    raise RuntimeError(said.decode())


def serve(here: Path) -> None:
    """Load all, and fork for each that asks, until stdin ends, as it does with the process that started this one."""
    for library in LIBRARIES:
        import_module(library)
    gc.freeze()  # else each fork would copy all of it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # how they ended matters to their clients alone
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(f"\0{here}")
        server.listen(64)
        threading.Thread(target=end_with_stdin, args=(here,), daemon=True).start()
        print("ready", flush=True)
        while True:
            client, _ = server.accept()
            if not os.fork():
                server.close()
                alone(attend, client, here)
            client.close()


def end_with_stdin(here: Path) -> None:
    """Take the folder away and end, when nobody has the other end of stdin any more."""
    os.read(0, 1)
    shutil.rmtree(here)
    os._exit(0)


def alone(function: Any, *arguments: Any) -> None:
    """What a forked process does; it never goes on with what its parent was at, nor takes down what that has loaded."""
    code = 1
    try:
        code = function(*arguments) or 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # nobody reads it any more
                stream.flush()
        os._exit(code)


def attend(client: socket.socket, here: Path) -> None:
    """Have a worker do what is asked, tell how it ended, and see to it that it does not outlive the client."""
    import psutil

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, *_ = socket.recv_fds(client, MOST, 3)
    if not (number := os.fork()):
        for stream, given in enumerate(streams):
            os.dup2(given, stream)
            os.close(given)
        alone(work, Asked(*json.loads(message)), client, here)
    worker = psutil.Process(number)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    for stream in streams:
        os.close(stream)
    threading.Thread(target=kill_with, args=(client, worker), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    client.send(str(code if code >= 0 else 128 - code).encode())  # as a shell has it


def kill_with(client: socket.socket, worker: Any) -> None:
    """Kill a worker, and all that it began, when its client is gone."""
    import psutil

    client.recv(1)
    try:
        worker.suspend()  # lest it begin more
        for process in (*worker.children(recursive=True), worker):
            process.kill()
    except psutil.NoSuchProcess:
        worker.kill()


def work(asked: Asked, client: socket.socket, here: Path) -> int:
    """Be the process that was asked for; its exit code."""
    os.setpgid(0, asked.group)
    client.send(b"begun")
    client.close()
    os.chdir(asked.folder)
    os.environ.clear()
    os.environ |= asked.variables | {"GLIBC_TUNABLES": SETTINGS["GLIBC_TUNABLES"]}  # else it starts itself anew
    if "PYTHONUNBUFFERED" in os.environ:
        sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.executable, sys.argv = str(here / "python"), ["pipeline", *asked.arguments]
    sys.path.insert(0, asked.folder)
    try:
        run_module("pipeline", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        atexit._run_exitfuncs()
        return int(end.code or 0)
    return 0


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
