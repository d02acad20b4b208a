"""A stage in as many processes as there are GPUs, which begin, fail and end as one."""

import importlib
import multiprocessing
import os
import pickle
import platform
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import distributed

from pipeline.system import environment, files
from pipeline.system.errors import PipelineError
from pipeline.system.lock import FOLDER, Held, checkpoints, hold
from pipeline.system.place import Place
from pipeline.training import processes
from pipeline.training.processes import Lost

WAY_OUT = "work in a copy of the project on a local disk"
LOOK = 5  # seconds from one look for a free GPU to the next
GRACE = 10  # seconds, in which a process may end by itself, or another one say what went wrong


def run(module: str, *arguments: Any) -> None:
    """Run a stage's module: in this process, if a launcher started it or there is but one GPU, else in one for each.

    Args:
        module: such as pipeline.train_unet, which has a function `run`.
        arguments: of that function.
    """
    gpus = torch.cuda.device_count()
    with ExitStack() as held:
        if environment.place:
            held.enter_context(processes.join(environment.place))
        elif gpus > 1 and checkpoints() != FOLDER:  # an experiment of DVC's queue, of which several may run
            torch.cuda.set_device(held.enter_context(gpu_of_its_own(gpus)))
        elif gpus > 1:
            return share(gpus, module, *arguments)
        _stage(module, arguments)


def _stage(module: str, arguments: tuple[Any, ...]) -> None:
    importlib.import_module(module).run(*arguments)


@contextmanager
def gpu_of_its_own(gpus: int) -> Iterator[int]:
    """Hold one of so many GPUs, by a lock beside the checkpoints: one that no other experiment has, or wait for one.

    Raises:
        PipelineError: the file system has no locks.
    """
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")  # what they are called, if only some may be used
    names = names[:gpus] if len(names) >= gpus else [str(number) for number in range(gpus)]
    checkpoints().mkdir(exist_ok=True)
    locks = [checkpoints() / f"gpu-{platform.node()}-{name.strip()}.lock" for name in names]
    with ExitStack() as held:
        told = False
        while (free := next((number for number, lock in enumerate(locks) if _take(lock, held)), None)) is None:
            if not told:
                print(f"each of the {gpus} GPUs has an experiment; waiting for one to end", flush=True)
            told = True
            time.sleep(LOOK)
        yield free


def _take(lock: Path, held: ExitStack) -> bool:
    with suppress(Held):
        held.enter_context(hold(lock, WAY_OUT))
        return True
    return False


class Worker(NamedTuple):
    """One of the processes, and the connection through which it tells why it failed."""

    process: Any  # of multiprocessing
    connection: Connection

    def error(self) -> BaseException | None:
        """Why it ended; None if it was done."""
        self.process.join()
        with suppress(EOFError, OSError):
            if self.connection.poll():
                return self.connection.recv()
        if code := self.process.exitcode:
            how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            return PipelineError(f"one of the processes was ended {how}; run the same command again to go on")
        return None


def share(count: int, module: str, *arguments: Any) -> None:
    """Run a stage in several processes on this machine, and wait for them.

    If one fails, the others are ended, and its error is raised here. If this process ends, however that happens, so do
    they.

    Args:
        count: how many.
        module: see `run`.
        arguments: see `run`.
    """
    store = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    workers: list[Worker] = []
    try:
        with _unheard_ctrl_c():
            for rank in range(count):
                workers.append(_start(Place(rank, count, rank), store.port, module, arguments))
        if error := _first_error(workers):
            raise error
    finally:
        for worker in workers:
            worker.connection.close()  # by which it ends
        end = time.monotonic() + GRACE
        for worker in workers:
            worker.process.join(max(0, end - time.monotonic()))
            worker.process.kill()
            worker.process.join()


@contextmanager
def _unheard_ctrl_c() -> Iterator[None]:
    """What starts meanwhile does not hear Ctrl-C, which a terminal sends to all: who started it tells it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _start(place: Place, port: int, module: str, arguments: tuple[Any, ...]) -> Worker:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_work, args=(theirs, place, port, module, arguments))
    process.start()
    theirs.close()
    return Worker(process, ours)


def _first_error(workers: list[Worker]) -> BaseException | None:
    """Wait until all are done, or one is not: its error, which is not that another one was lost, if any says more."""
    running: dict[Any, Worker] = {worker.process.sentinel: worker for worker in workers}
    lost = None
    while running and (ended := wait(list(running), GRACE if lost else None)):
        for error in filter(None, [running.pop(sentinel).error() for sentinel in ended]):
            if not isinstance(error, Lost):
                return error
            lost = lost or error
    return lost


def _work(parent: Connection, place: Place, port: int, module: str, arguments: tuple[Any, ...]) -> None:
    """What each process does."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        environment.settle()
        torch.set_num_threads(max(1, torch.get_num_threads() // place.count))
        with processes.join(place, distributed.TCPStore("127.0.0.1", port, is_master=False)):
            _stage(module, arguments)
    except SystemExit:
        os._exit(0)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno:
            error.args = (error.errno, error.strerror)  # as it had them, by which it comes through; fastai changes them
        told = "".join(traceback.format_exception(error))
        error.add_note(told)
        try:
            parent.send(error)
        except (pickle.PicklingError, TypeError, AttributeError):
            parent.send(RuntimeError(told))
        os._exit(1)


def _end_with(parent: Connection) -> None:
    """End with the process that started this one, at once: it never says anything else."""
    with suppress(EOFError, OSError):
        parent.recv()
    files.give_up()
    os._exit(1)
