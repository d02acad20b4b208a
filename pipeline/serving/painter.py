"""Has photographs painted in a process of its own, and ends it when it takes too long or too much memory."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

import psutil

from pipeline.serving.refusals import Refusal
from pipeline.system.errors import PipelineError, printable

DEADLINE = 30  # seconds for one photograph; the largest one takes about 4 where nothing else runs
LEFT = 5  # seconds after which a photograph that nobody waits for is given up; before, loading models takes longer
LOADING = 120  # seconds for the models
MEMORY = 3 << 30  # bytes beyond what the models take; the largest photograph needs a third of that
POLL = 0.05  # seconds from one look at the process to the next
ANSWER = 64 * 1024  # bytes, at most
UNLOADED = "the models could not be loaded; ask again in a minute"
REFUSALS = {"unread": 415, "refusal": 422}  # what the process says of a file → the status that HTTP has for it


class _Ended(Refusal):
    """The process was ended, or ended itself; in words why."""


class Painter:
    """A process that paints, and a new one in its place when it had to be ended.

    Args:
        models: the paths of what it loads, by name.

    Raises:
        PipelineError: one of them is no model.
    """

    def __init__(self, models: Mapping[str, Path]):
        self._models = {name: str(path) for name, path in models.items()}
        self._free = threading.Lock()
        self._visitor: str | None = None
        self._start()
        self._await_models()

    def paint(self, visitor: str, **task: Any) -> dict[str, str]:
        """See `worker.paint`; one photograph at a time.

        Args:
            visitor: who waits for it; see `leave`.
            task: what to paint, and where to.

        Raises:
            Refusal: the photograph cannot be painted; in words why.
        """
        return self._ask(visitor, task="paint", **task)

    def example(self, name: str, folder: Path) -> dict[str, str]:
        """See `worker.example`."""
        return self._ask("", task="example", name=name, folder=str(folder))

    def leave(self, visitor: str) -> None:
        """What is being painted for this visitor need not be painted any longer."""
        if visitor == self._visitor:
            self._visitor = None

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _ask(self, visitor: str, **task: Any) -> dict[str, str]:
        with self._free:
            if self._process.poll() is not None:
                self._start()
            if self._base is None:
                self._await_models_again()
            self._visitor = visitor
            try:
                self._send(task)
                answer = self._answer(DEADLINE, (self._base or 0) + MEMORY)
            except _Ended as ended:
                self.close()
                self._start()
                raise Refusal(ended.status, str(ended)) from None
        if "fault" in answer:
            print(f"a photograph could not be painted: {printable(answer['fault'])}", file=sys.stderr)
            raise Refusal(500, "something went wrong with this photograph; save it as JPEG or PNG and try again")
        for kind, status in REFUSALS.items():
            if kind in answer:
                raise Refusal(status, answer[kind])
        return answer

    def _start(self) -> None:
        """Start the process, which then loads the models while nobody need wait for it."""
        self._base: int | None = None  # bytes of memory, once the models are loaded
        self._process = subprocess.Popen(
            # -P: where the page was started from may lie files that are called like modules.
            [sys.executable, "-P", "-W", "ignore", "-m", "pipeline.serving.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the parent's; on Windows it is by the next line
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert self._process.stdin
        self._input = self._process.stdin
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=_listen, args=(self._process.stdout, self._lines), daemon=True).start()
        self._send(self._models)

    def _await_models(self) -> None:
        self._visitor = ""
        try:
            answer = self._answer(LOADING)
        except _Ended:
            self.close()
            self._start()
            raise Refusal(503, UNLOADED) from None
        if "refusal" in answer:
            self.close()
            raise PipelineError(answer["refusal"])
        self._base = self._memory()

    def _await_models_again(self) -> None:
        """After a process was ended; that a model has gone meanwhile is no fault of the photograph."""
        try:
            self._await_models()
        except Refusal:
            raise
        except PipelineError as error:
            print(f"the models could not be loaded again: {printable(error)}", file=sys.stderr)
            raise Refusal(503, UNLOADED) from None

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            self._input.write(f"{json.dumps(message)}\n".encode())
            self._input.flush()
        except OSError:  # a broken pipe, for which Windows has another name
            raise _Ended(503, "the painting process had ended; ask again") from None

    def _answer(self, seconds: float, memory: float = float("inf")) -> dict[str, str]:
        began, line = time.monotonic(), None
        while line is None:
            taken = time.monotonic() - began
            if taken > seconds:
                raise _Ended(
                    422, f"takes too long: more than {seconds} seconds; save it as JPEG or PNG, or make it smaller"
                )
            if self._memory() > memory:
                raise _Ended(422, "takes too much memory; save it as JPEG or PNG, or make it smaller")
            if self._visitor is None and taken > LEFT:
                raise _Ended(429, "nobody waits for it any longer; ask again")
            with suppress(Empty):
                line = self._lines.get(timeout=POLL)
        if not line.endswith(b"\n"):
            raise _Ended(422, "a broken picture, over which its reader crashed; save it as JPEG or PNG again")
        return json.loads(line)

    def _memory(self) -> int:
        try:
            return psutil.Process(self._process.pid).memory_info().rss
        except psutil.Error:
            return 0  # it has ended, which its pipe tells


def _listen(answers: IO[bytes], lines: SimpleQueue[bytes]) -> None:
    """Hand on each line; the last one, of a process that has ended, or of one that goes on for too long, has no end."""
    while (line := answers.readline(ANSWER)).endswith(b"\n"):
        lines.put(line)
    lines.put(line)
