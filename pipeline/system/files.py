"""Files that are written whole or not at all, and what tells one from another."""

import errno
import hashlib
import os
import secrets
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from filelock import lock_descriptor

UNFINISHED = ".colourgan-"  # how names begin of files that are being written; 16 hexadecimal digits follow

# Windows neither deletes nor renames a file that is open, nor replaces one that may not be written.
WINDOWS = sys.platform == "win32"

_begun: set[Path] = set()  # by this process
_beginning = threading.Lock()


def write_all(writers: Mapping[Path, Callable[[Path], Any]]) -> None:
    """Write files, in place of what was there, once all of them are finished; make their folders where there are none.

    A new file takes the old one's place, instead of its content: DVC may have linked the old one into its cache.

    Args:
        writers: path → what writes the file, at the path that it is given, whose name has no suffix.
    """
    with ExitStack() as held:
        unfinished = {path: held.enter_context(_unfinished(path.parent)) for path in writers}
        for path, write in writers.items():
            write(Path(unfinished[path].name))
            sync(Path(unfinished[path].name))
        for path in writers:
            if path.is_dir():  # no file can take its place, and others would have had theirs already
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        for path, finished in unfinished.items():
            if WINDOWS:
                finished.close()
            allow_writing(path)
            Path(finished.name).replace(path)


def allow_writing(path: Path) -> None:
    """Take the protection from a file, if it is there, that DVC gives to what it has linked into its cache.

    Windows alone needs that to delete or replace it. Elsewhere the file in the cache would lose its mode, too.
    """
    if WINDOWS:
        with suppress(FileNotFoundError):
            path.chmod(stat.S_IWRITE)


@contextmanager
def _unfinished(folder: Path) -> Iterator[BinaryIO]:
    """A new file for what will be written into a folder.

    It is locked while it has this name, and deleted if it still has it in the end. On Windows that it is open is its
    lock: there a lock would keep this very process from writing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder.resolve())
    while True:
        path = folder / (UNFINISHED + secrets.token_hex(8))
        with _beginning:
            file = path.open("xb")
            _begun.add(path)
        try:
            if not WINDOWS:
                with suppress(OSError):  # a file system without locks
                    lock_descriptor(file.fileno())
            if path.exists():  # no other run swept it before it was locked
                yield file
                return
        finally:
            file.close()
            path.unlink(missing_ok=True)
            with _beginning:  # where `give_up` was called, what fails without its file waits here for the end
                _begun.discard(path)


def give_up() -> None:
    """Delete what is being written, by whatever thread, and let nothing be begun: the process is about to end."""
    _beginning.acquire()
    for path in tuple(_begun):
        with suppress(OSError):  # on Windows a file that is open stays, until the next run
            path.unlink()


@cache
def _sweep(folder: Path) -> None:
    """Delete what runs that were killed left in a folder, once a process: files that nobody holds locked, or open.

    A lock goes with its process, however that ends.
    """
    for path in folder.glob(UNFINISHED + "[0-9a-f]" * 16):
        with suppress(OSError):
            if WINDOWS:
                path.unlink()
                continue
            with path.open("r+b") as file:
                if lock_descriptor(file.fileno(), blocking=False):
                    path.unlink()


def sync(path: Path) -> None:
    """Have the system put a file's content on the disk: a power failure might leave its name, and nothing in it."""
    with path.open("r+b") as file:  # for reading alone, Windows would refuse
        os.fsync(file.fileno())


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
