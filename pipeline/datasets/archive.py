"""Fetch an archive once, check it, and read it as a stream."""

import fcntl
import gzip
import logging
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pooch
import requests
from tqdm import tqdm

from pipeline.errors import PipelineError
from pipeline.params import Archive

TIMEOUT = 30  # seconds without an answer or a byte
BLOCK = 1 << 20  # bytes read at a time
WAY_OUT = "give the URL and checksum of the published archive under datasets in params.yaml"

# Makes an array of a member of an archive, given the open member and its size in bytes; ValueError if it cannot.
Reader = Callable[[IO[bytes], int], np.ndarray]


class _Unusable(Exception):
    """Why one URL did not do."""


def cache() -> Path:
    """Where downloads are kept: outside the repository, so that queued experiments share them."""
    return Path(os.environ.get("COLOURGAN_CACHE") or pooch.os_cache("colourgan")).expanduser()


def fetch(archive: Archive) -> Path:
    """The checked file of the first URL that works. Local files are used in place, downloads are kept in the cache.

    Raises:
        PipelineError: no URL gives the file that the checksum promises.
    """
    stored = cache() / archive.checksum.replace(":", "-") / "archive"
    if stored.is_file() and pooch.file_hash(stored, _algorithm(archive)) == _digest(archive):
        return stored
    reasons = []
    for url in archive.urls:
        try:
            return _fetch_one(url, archive, stored)
        except _Unusable as reason:
            reasons.append(f"{url}: {reason}")
    raise PipelineError(
        f"none of the URLs gives the file: {'; '.join(reasons)}. Mend datasets in params.yaml (file:///… works, too), "
        "or use the case that needs no network: -S case=photos"
    )


def _algorithm(archive: Archive) -> str:
    return archive.checksum.partition(":")[0]


def _digest(archive: Archive) -> str:
    return archive.checksum.partition(":")[2]


def _wrong(given: str, archive: Archive) -> str:
    return f"wrong checksum, given {given}, expected {_digest(archive)}"


def _fetch_one(url: str, archive: Archive, stored: Path) -> Path:
    parts = urlsplit(url)
    match parts.scheme:
        case "http" | "https":
            return _download(url, archive, stored)
        case "file":
            return _local(Path(url2pathname(parts.path)), archive)
        case "":
            return _local(Path(url).expanduser(), archive)
        case scheme:
            raise _Unusable(f"{scheme} is not supported, give http, https, file or a path")


def _local(path: Path, archive: Archive) -> Path:
    try:
        given = pooch.file_hash(path, _algorithm(archive))
    except OSError as error:
        raise _Unusable(error.strerror) from None
    if given != _digest(archive):
        raise _Unusable(_wrong(given, archive))
    return path


def _download(url: str, archive: Archive, stored: Path) -> Path:
    """Download into the cache. Pooch puts the file in its place only once its checksum is right."""
    pooch.get_logger().setLevel(logging.WARNING)  # it announces each download with the whole checksum
    # A server that calls a .tar.gz a gzip-encoded .tar would have it unpacked on the way: ask for the bytes as they are
    downloader = pooch.HTTPDownloader(
        progressbar=True, chunk_size=BLOCK, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}
    )
    try:
        with _alone(stored.parent):
            pooch.retrieve(url, archive.checksum, stored.name, stored.parent, downloader=downloader)
    except requests.RequestException as error:
        raise _Unusable(_reason(error)) from None
    except ValueError as error:  # pooch's word for a wrong checksum
        given = re.search(r"but got (\w+)", str(error))
        raise _Unusable(_wrong(given[1], archive) if given else " ".join(str(error).split())) from None
    except OSError as error:
        raise PipelineError(
            f"{stored.parent}: {error.strerror or error}; set COLOURGAN_CACHE to a folder with room that may be written"
        ) from None
    return stored


def _reason(error: requests.RequestException) -> str:
    match error:
        case requests.HTTPError():
            return f"{error.response.status_code} {error.response.reason}"
        case requests.Timeout():
            return f"no answer for {TIMEOUT} seconds"
        case requests.exceptions.SSLError():
            return "no trusted connection"
        case requests.exceptions.ChunkedEncodingError():
            return "connection broke off"
        case requests.ConnectionError():
            return "no connection"
        case _:
            return " ".join(str(error).split())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time download into a folder; whoever waited finds the file there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for remainder in sorted(folder.glob("tmp*")):  # of a download that was killed
            remainder.unlink()
        yield


def read(path: Path, readers: dict[str, Reader]) -> dict[str, np.ndarray]:
    """Read members of a tar archive as a stream: nothing is unpacked to disk, nothing read behind the last of them.

    Args:
        path: the archive, a .tar.gz or a .tar.
        readers: what makes an array of a member, by the member's file name without folders.

    Returns:
        The arrays by the same names.

    Raises:
        PipelineError: the archive is damaged, lacks a member or holds one of the wrong form.
    """
    contents: dict[str, np.ndarray] = {}
    try:
        with (
            path.open("rb") as file,
            tqdm.wrapattr(file, "read", total=path.stat().st_size, desc="reading", leave=False, disable=None) as stream,
            tarfile.open(fileobj=_unzipped(stream, file.peek(2)[:2]), mode="r|", bufsize=BLOCK) as archive,
        ):
            for member in archive:
                name = PurePosixPath(member.name).name
                if not member.isfile() or name not in readers:
                    continue
                try:
                    contents[name] = readers[name](archive.extractfile(member), member.size)
                except ValueError as error:
                    raise PipelineError(f"{path}: {name} {error}; {WAY_OUT}") from None
                if len(contents) == len(readers):
                    return contents
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise PipelineError(f"{path}: damaged, or no tar archive: {' '.join(str(error).split())}; {WAY_OUT}") from None
    missing = ", ".join(name for name in readers if name not in contents)
    raise PipelineError(f"{path}: {missing} missing; {WAY_OUT}")


def _unzipped(stream: IO[bytes], start: bytes) -> IO[bytes]:
    # tarfile's own unzipping holds all that a block becomes: a gigabyte of it if the pictures are black.
    return gzip.GzipFile(fileobj=stream) if start == b"\x1f\x8b" else stream
