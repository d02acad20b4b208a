"""Ctrl-C where threads are at work: Python would wait until each of them is done with what it is at."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.system import files
from pipeline.system.errors import printable


@contextmanager
def at_once(say: Callable[[], str]) -> Iterator[None]:
    """While this lasts, Ctrl-C and SIGTERM end the process at once, and what was being written is deleted.

    A thread waits for them: the main one may be in the midst of a long computation.

    Args:
        say: the line to end with.
    """
    ears, mouth = socket.socketpair()
    mouth.setblocking(False)
    heeded = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda *_: None) for number in heeded}
    woken = signal.set_wakeup_fd(mouth.fileno())
    threading.Thread(target=_listen, args=(ears, heeded, say), daemon=True).start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken)
        mouth.close()


def _listen(ears: socket.socket, heeded: list[int], say: Callable[[], str]) -> None:
    """Wait for a signal, or the end of signals."""
    with ears:
        while number := ears.recv(1):
            if number[0] in heeded:
                try:
                    files.give_up()
                    sys.stdout.flush()
                    print("\n" * sys.stderr.isatty() + f"error: {printable(say())}", file=sys.stderr, flush=True)
                finally:  # whoever read what we say may have been stopped as well
                    os._exit(128 + number[0])  # as the shell has it
