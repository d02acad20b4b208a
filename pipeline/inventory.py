"""The stage inventory: what lies in the user's folder of pictures, if the case reads it.

DVC runs it each time, and download again only when what it writes has changed. Were the folder itself what download
depends on, no case could run without it.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from pipeline.datasets import folder
from pipeline.params import Params
from pipeline.photographs import folders, formats
from pipeline.system.files import write_all

INVENTORY = Path("data/inventory.json")


def run(params: Params) -> None:
    """Write data/inventory.json: how many files there are, and a digest of their names, sizes and times.

    Raises:
        PipelineError: the case reads the folder, and there is none.
    """
    content = of(params.datasets.folder.path if reads_folder(params) else None)
    write_all({INVENTORY: lambda path: path.write_bytes(content)})


def reads_folder(params: Params) -> bool:
    """Whether the case reads the user's folder of pictures."""
    roles = params.roles()
    return "folder" in (roles.target, roles.encoder)


def of(top: Path | None) -> bytes:
    """What data/inventory.json holds of a folder that the case reads, or of none; raises what `run` raises."""
    return _written(take(folder.find(top)) if top else None)


def of_pictures(top: Path) -> bytes | None:
    """As `of`, of a folder in which there are pictures by their names; None of another."""
    top = folder.find(top)
    files = folders.walk(top).files
    return _written(_digest(top, files)) if any(map(formats.is_called_so, files)) else None


def _written(content: dict[str, int | str] | None) -> bytes:
    return (json.dumps({"folder": content}, indent=2) + "\n").encode()


def take(top: Path) -> dict[str, int | str]:
    """The inventory of a folder: the same wherever that lies, and another when a file changes, or can be read now."""
    return _digest(top, folders.walk(top).files)


def _digest(top: Path, files: Iterable[Path]) -> dict[str, int | str]:
    digest = hashlib.sha256()
    number, develops = 0, find_spec("rawpy") is not None
    for path in files:
        try:
            status = path.stat()
        except FileNotFoundError:  # it has gone meanwhile
            continue
        number += 1
        readable = os.access(path, os.R_OK) and (develops or path.suffix.lower() not in formats.RAW_SUFFIXES)
        told = f"\0{status.st_size}\0{status.st_mtime_ns}\0" + "\0" * (not readable)
        digest.update(os.fsencode(path.relative_to(top).as_posix()) + told.encode())
    return {"files": number, "sha256": digest.hexdigest()}
