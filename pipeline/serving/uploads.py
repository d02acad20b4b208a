"""Where uploads and results are: a folder of this process alone, whose files are deleted whatever ends the process."""

import os
import secrets
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import lock_descriptor

from pipeline.serving.queueing import address
from pipeline.serving.refusals import Refusal
from pipeline.system.files import WINDOWS

PREFIX = "colourgan-page-"
LOCK = "lock"  # the file in the folder that tells a later server whether this one is alive
KEPT = 30 * 60  # seconds that uploads and results are there
SWEPT = 60  # seconds from one look for old ones to the next
ROOM = 4 << 30  # bytes of uploads and results, at most, half of them for one address; one more result may be written
SMALLEST = 1 << 20  # bytes that an upload counts as, at least
GRACE = 2 * 60  # seconds for which nothing is deleted to make room


class Uploads:
    """A folder with one of its own for each upload and each result.

    A lock in it tells a later server that this one is alive; what servers left that were killed is deleted by the next.

    Args:
        folder: of mode 0700; by default a new one where temporary files are.
    """

    def __init__(self, folder: Path | None = None):
        delete_abandoned()
        self.folder = folder or Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock: BinaryIO | None = None
        self._counting, self._owning = threading.Lock(), threading.Lock()  # the second is never held for long
        self._promised: Counter[str] = Counter()  # bytes, by address
        self._senders: dict[Path, str] = {}  # whose a folder is
        self._spared: set[Path] = set()
        self.hold()

    def hold(self) -> None:
        """Lock the folder, and make it anew should it be gone: some systems tidy up where temporary files are.

        Raises:
            OSError: there is something else in its place.
        """
        while not self._is_held():
            with suppress(FileExistsError):
                self.folder.mkdir(mode=0o700)
            with suppress(FileNotFoundError):  # a server that starts has just deleted it
                opened = _open_lock(self.folder)
                lock_descriptor(opened.fileno())  # one that starts may have it for a moment, to delete the folder
                if self._lock is not None:
                    self._lock.close()
                self._lock = opened

    def _is_held(self) -> bool:
        with suppress(FileNotFoundError):
            there = os.lstat(self.folder / LOCK)
            return self._lock is not None and os.path.samestat(os.fstat(self._lock.fileno()), there)
        return False

    def new(self, host: str = "") -> Path:
        """A new folder whose name nobody can guess, for a visitor with that address."""
        self.hold()
        path = self.folder / secrets.token_hex(16)
        with self._owning:
            path.mkdir(mode=0o700)
            self._senders[path] = address(host)
        return path

    def delete(self, folder: Path) -> None:
        """Delete one of the folders that `new` made."""
        _delete(folder)

    def spare(self) -> None:
        """What is there now stays until the end."""
        self._spared = set(self.folder.iterdir())

    def has(self, path: str) -> bool:
        """Whether this is a file in the folder: no link, and nothing by a way that leads elsewhere."""
        parts = Path(path).parts
        if not path.isprintable() or ".." in parts or Path(*parts[:-2]) != self.folder:
            return False
        with suppress(OSError):
            return all(
                kind(os.lstat(place).st_mode)
                for place, kind in ((Path(path).parent, stat.S_ISDIR), (path, stat.S_ISREG))
            )
        return False

    @contextmanager
    def room(self, size: int, host: str = "") -> Iterator[None]:
        """Keep room for a file while it is made; the oldest ones go, should that be needed, and do.

        Args:
            size: of the file, in bytes, at most.
            host: the address of the visitor who sends or gets it.

        Raises:
            Refusal: there is none.
        """
        sender = address(host)
        with self._counting:
            self._make_room(size, sender)
            self._promised[sender] += size
        try:
            yield
        finally:
            with self._counting:
                self._promised -= Counter({sender: size})  # which forgets who is promised nothing any longer

    def _make_room(self, size: int, sender: str) -> None:
        """Delete files, or none if that does not do: a sender's own beyond half of all room, then anybody's."""
        with self._owning:
            paths = self._paths()
            self._senders = senders = {path: whose for path, whose in self._senders.items() if path in paths}
        sizes = {path: _size(path) for path in paths}
        own = {path: taken for path, taken in sizes.items() if senders.get(path) == sender}
        gone = _oldest(own, sum(own.values()) + self._promised[sender] + size - ROOM // 2)
        others = {path: taken for path, taken in sizes.items() if path not in gone}
        gone += _oldest(others, sum(others.values()) + self._promised.total() + size - ROOM)
        for path in gone:
            _delete(path)

    def sweep(self) -> None:
        """Delete what has been there for too long."""
        for path in self._paths():
            if time.time() - _changed(path) > KEPT:
                _delete(path)

    def sweep_often(self) -> None:
        """Have `sweep` called until the process ends."""

        def often() -> None:
            while True:
                time.sleep(SWEPT)
                self.sweep()

        threading.Thread(target=often, daemon=True).start()

    def close(self) -> None:
        """Delete the folder."""
        if self._lock is not None:
            with self._lock as lock:
                _delete_locked(self.folder, lock)
        self._lock = None

    def _paths(self) -> set[Path]:
        with suppress(OSError):  # it is gone, and so is what was in it
            return set(self.folder.iterdir()) - self._spared - {self.folder / LOCK}
        return set()


def delete_abandoned() -> None:
    """Delete what servers left that were killed: folders of this user that none holds the lock of."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), _open_lock(path) as lock:  # a link, or somebody else's
            if lock_descriptor(lock.fileno(), blocking=False):
                _delete_locked(path, lock)


def _open_lock(folder: Path) -> BinaryIO:
    """Open, or make, the lock of a folder.

    Raises:
        OSError: the folder is none, but a link or the like, or somebody else's.
    """
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{folder} is no folder")
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        raise PermissionError(f"{folder} is somebody else's")
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(folder / LOCK, flags, mode=0o600), "r+b")


def _delete_locked(folder: Path, lock: BinaryIO) -> None:
    """Delete a folder, while its lock is held if the system can delete a file that is open."""
    if WINDOWS:
        lock.close()
    _delete(folder)


def _changed(path: Path) -> float:
    with suppress(OSError):
        return path.lstat().st_mtime
    return 0.0


def _size(place: Path) -> int:
    """Bytes of what is in a folder; of many small files there are no more than of large ones."""
    with suppress(OSError):
        return max(SMALLEST, sum(path.lstat().st_size for path in place.iterdir()))
    return SMALLEST


def _oldest(sizes: Mapping[Path, int], missing: int) -> list[Path]:
    """Those of some folders to delete, so that so many bytes are free.

    Raises:
        Refusal: they do not do, without those of the last minutes.
    """
    gone = []
    for path in sorted(sizes, key=_changed):
        if missing <= 0 or time.time() - _changed(path) < GRACE:
            break
        gone.append(path)
        missing -= sizes[path]
    if missing > 0:
        raise Refusal(503, "there is no room for more photographs now; come back in a few minutes")
    return gone


def _delete(path: Path) -> None:
    try:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        print(f"{path} could not be deleted: {error.strerror}", file=sys.stderr)
