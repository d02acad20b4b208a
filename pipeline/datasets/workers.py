"""Pictures that all cores read: processes that are given a few at a time, however many there are."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing.connection import Connection
from typing import TypeVar

from pipeline.photographs import reading
from pipeline.system.errors import PipelineError, printable

CHUNK = 16  # pictures that a process is given at once
AHEAD = 3  # times as much is given to each, so that none waits for more
FEW = 256  # pictures that are read sooner than processes start
MOST = 61  # processes; Windows waits for no more of them

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(function: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result]:
    """What a function makes of each item, in their order. A few of them alone are in memory at a time.

    Args:
        function: one that other processes can import.
        items: any number of them.

    Raises:
        PipelineError: one of the processes is gone.
    """
    items = iter(items)
    first = list(islice(items, FEW + 1))
    rest = chain(first, items)
    chunks = iter(lambda: list(islice(rest, CHUNK)), [])
    processes = min(cores(), MOST)
    if processes == 1 or len(first) <= FEW:
        for chunk in chunks:
            yield from _all(function, chunk)
        return
    context = multiprocessing.get_context("spawn")  # as on all systems
    stays_open, end = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(processes, context, _begin, (stays_open,))
    given = deque[tuple[list[Item], Future[list[Result]]]]()
    try:
        with _ctrl_c_waits():
            given.extend((chunk, pool.submit(_all, function, chunk)) for chunk in islice(chunks, AHEAD * processes))
        while given:
            results = given[0][1].result()
            given.popleft()
            given.extend((chunk, pool.submit(_all, function, chunk)) for chunk in islice(chunks, 1))
            yield from results
    except BrokenProcessPool:
        out = [_name(item) for chunk, future in given if not future.done() or future.exception() for item in chunk]
        where = f", one of {len(out)} from {printable(out[0])} to {printable(out[-1])}" if out else ""
        raise PipelineError(
            "a process that reads pictures was ended, for want of memory, or by a broken picture over which its reader "
            f"crashed{where}; close other programs, or take that picture away, and run the same command again"
        ) from None
    finally:
        end.close()  # ends the processes, whatever they are at
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _name(item: object) -> object:
    """Of a file, which may come with its content."""
    return item[0] if isinstance(item, tuple) else item


def _all(function: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result]:
    with reading.large_ones():
        return [function(item) for item in chunk]


def _begin(stays_open: Connection) -> None:
    """In each process, first: Ctrl-C is for the parent to heed, and without a parent there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(stays_open,), daemon=True).start()


def _end_with(stays_open: Connection) -> None:
    """Wait until the parent closes its end, or is gone, and end this process."""
    try:
        stays_open.recv_bytes()
    except (EOFError, OSError):
        os._exit(0)


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Processes that start meanwhile never hear of Ctrl-C: until one is ready, it would end in a traceback."""
    if hasattr(signal, "pthread_sigmask"):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    else:
        yield
