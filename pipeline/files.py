"""Files that are written whole or not at all, and what tells one from another."""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def write_all(writers: Mapping[Path, Callable[[Path], Any]]) -> None:
    """Write files, in place of what was there, once all of them are finished; make their folders where there are none.

    A new file takes the old one's place, instead of its content: DVC may have linked the old one into its cache.

    Args:
        writers: path → what writes the file, at the path that it is given.
    """
    unfinished = {path: path.with_name(f".unfinished-{path.name}") for path in writers}
    try:
        for path, write in writers.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write(unfinished[path])
            keep(unfinished[path])
        for path, finished in unfinished.items():
            finished.replace(path)
    finally:
        for path in unfinished.values():
            path.unlink(missing_ok=True)


def keep(path: Path) -> None:
    """Have the system put a file's content on the disk: a power failure might leave its name, and nothing in it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
