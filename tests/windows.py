"""What a program of ours finds on Windows, as far as another system can play it.

Import it in a process of its own, before any module of ours. Ours then miss the modules, functions and signals that
Windows does not have, while libraries find this system as it is; and no file that is open, or mapped into memory, can
be deleted, renamed or replaced, nor can one that may not be written.
"""

import builtins
import os
import shutil
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from tests.posix import MISSING, MODULES, SIGNALS


class Stripped(ModuleType):
    """A module without what Windows does not have of it."""

    def __init__(self, whole: ModuleType, missing: set[str], other: dict[str, Any] | None = None):
        super().__init__(whole.__name__)
        self.__dict__.update(_whole=whole, _missing=missing, _other=other or {})

    def __getattr__(self, name: str) -> Any:
        if name in self._missing:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows", name=name, obj=self)
        return self._other[name] if name in self._other else getattr(self._whole, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._whole, name, value)


STRIPPED = {
    "os": Stripped(os, MISSING),
    "signal": Stripped(signal, {name for name in vars(signal) if not name.startswith("_")} - SIGNALS),
    "sys": Stripped(sys, set(), {"platform": "win32"}),
}
find = builtins.__import__


def import_as_there(name: str, globals: Any = None, *rest: Any, **options: Any) -> ModuleType:
    """Give our modules what they would find."""
    if ((globals or {}).get("__package__") or "").partition(".")[0] == "pipeline":
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in STRIPPED:
            return STRIPPED[name]
    return find(name, globals, *rest, **options)


def in_use(path: Path) -> bool:
    """Whether this process, or one that it started, has a file open or mapped into memory."""
    process = psutil.Process()
    real = str(Path(path).parent.resolve() / Path(path).name)
    return any(
        real == place.path
        for one in (process, *process.children(recursive=True))
        for places in (one.open_files(), one.memory_maps())
        for place in places
    )


def careful(change: Any) -> Any:
    """A function of os that changes names, as Windows has it."""

    def changed(path: Any, *rest: Any, **options: Any) -> Any:
        files = [Path(os.fsdecode(one)) for one in (path, *rest[:1]) if isinstance(one, str | bytes | os.PathLike)]
        for file in files:
            if file.is_file() and not options.get("dir_fd") and (in_use(file) or not file.stat().st_mode & 0o200):
                raise PermissionError(13, "The process cannot access the file", str(file))
        return change(path, *rest, **options)

    return changed


builtins.__import__ = import_as_there
for name in ("replace", "rename", "unlink", "remove"):
    setattr(os, name, careful(getattr(os, name)))
fsync = os.fsync


def keep(number: int) -> None:
    """Files that are open for reading alone cannot be put on the disk."""
    import fcntl

    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(9, "Bad file descriptor")
    fsync(number)


os.fsync = keep
shutil._use_fd_functions = False  # by which other systems delete what lies in a folder
