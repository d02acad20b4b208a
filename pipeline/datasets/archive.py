"""Fetch an archive once, check it, and read it as a stream."""

import gzip
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pooch
import requests
from requests.adapters import HTTPAdapter
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_random
from tqdm import tqdm
from urllib3.util import Retry

from pipeline.params import Archive
from pipeline.system import environment, lock
from pipeline.system.errors import PipelineError

TIMEOUT = 30  # seconds without an answer or a byte
ATTEMPTS = 5
BACK_OFF, LONGEST_WAIT = 1, 120  # seconds; between attempts it doubles
BUSY = (429, 500, 502, 503, 504)  # statuses that may be others a little later
BLOCK = 1 << 20  # bytes read at a time
BYTES = {"unit": "B", "unit_scale": True, "unit_divisor": 1024, "leave": False, "disable": None}
LARGEST = 20 << 30  # bytes of a download; seven times the largest archive
BROKEN = tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError  # type: ignore[attr-defined]  # typeshed lacks them
LONGEST_HEADER = SLACK = 1 << 20  # bytes of a header, and of all headers and what fills up the blocks
OTHER_CACHE = "set COLOURGAN_CACHE to a folder on a local disk, with room, that may be written"
CERTIFICATES = (
    "if your network has certificates of its own, set REQUESTS_CA_BUNDLE to a file of them; "
    "or fetch the file by other means and give its file:///…"
)
ELSEWHERE = "Mend datasets in params.yaml (file:///… works, too), or use the case that needs no network: -S case=photos"
PROXIES = "set HTTPS_PROXY and HTTP_PROXY to http://NAME:PORT and unset ALL_PROXY, or name the server in NO_PROXY"
WAY_OUT = "give the URL and checksum of the published archive under datasets in params.yaml"

# Makes an array of a member of an archive, given the open member and its size in bytes; ValueError if it cannot.
Reader = Callable[[IO[bytes], int], np.ndarray]
Read = TypeVar("Read")


@dataclass(frozen=True)
class Member:
    """A file that may be in an archive: of how many bytes at most, and what reads it; without, it is passed over."""

    most: int
    reader: Reader | None = None


class _Unusable(Exception):
    """Why one URL did not do."""


class _BrokeOff(Exception):
    """A connection that was there is no more, and why."""

    def __init__(self, why: requests.RequestException):
        super().__init__(why)
        self.why = why


def cache() -> Path:
    """Where downloads are kept: outside the repository, so that queued experiments share them.

    Raises:
        PipelineError: COLOURGAN_CACHE is no such place.
    """
    try:
        return Path(os.environ.get("COLOURGAN_CACHE") or pooch.os_cache("colourgan")).expanduser()
    except RuntimeError:  # it begins with the home of somebody whom the system does not know
        raise PipelineError(f"COLOURGAN_CACHE={os.environ['COLOURGAN_CACHE']}: no such home; {OTHER_CACHE}") from None


def fetch(archive: Archive, way_out: str = ELSEWHERE) -> Path:
    """The checked file of the first URL that works. Local files are used in place, downloads are kept in the cache.

    Args:
        archive: what to fetch.
        way_out: what to do if that fails, with a capital.

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
    raise PipelineError(f"none of the URLs gives the file: {'; '.join(reasons)}. {way_out}")


def _algorithm(archive: Archive) -> str:
    return archive.checksum.partition(":")[0]


def _digest(archive: Archive) -> str:
    return archive.checksum.partition(":")[2]


def _wrong(given: str, archive: Archive) -> str:
    return f"wrong checksum, given {given}, expected {_digest(archive)}"


def _fetch_one(url: str, archive: Archive, stored: Path) -> Path:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _Unusable(f"no URL: {error}") from None
    match parts.scheme:
        case "http" | "https":
            return _download(url, archive, stored)
        case "hub":
            return _download(_on_hub(parts.path), archive, stored)
        case "file":
            return _local(Path(url2pathname(parts.path)), archive)
        case scheme if len(scheme) < 2:  # a letter is a drive of Windows
            return _local(Path(url), archive)
        case scheme:
            raise _Unusable(f"{scheme} is not supported, give http, https, hub, file or a path")


def _on_hub(place: str) -> str:
    """Where the hub of Hugging Face, or the one that HF_ENDPOINT names, has the weights of OWNER/NAME[@REVISION]."""
    from huggingface_hub import hf_hub_url

    repository, _, revision = place.partition("@")
    try:
        return hf_hub_url(repository, "model.safetensors", revision=revision or None)
    except ValueError:
        raise _Unusable("no name of the hub, give hub:OWNER/NAME or hub:OWNER/NAME@REVISION") from None


def _local(path: Path, archive: Archive) -> Path:
    try:
        path = path.expanduser()
        given = pooch.file_hash(path, _algorithm(archive))
    except (OSError, RuntimeError) as error:  # the latter of somebody's home whom the system does not know
        raise _Unusable(getattr(error, "strerror", error)) from None
    if given != _digest(archive):
        raise _Unusable(_wrong(given, archive))
    return path


def _download(url: str, archive: Archive, stored: Path) -> Path:
    """Download into the cache. The file comes to its place only once its checksum is right."""
    if environment.stand_in in stored.parents:
        raise PipelineError(f"there is no home folder to keep downloads in; {OTHER_CACHE}")
    part, whole = stored.with_name("part"), stored.with_name("whole")
    try:
        stored.parent.mkdir(parents=True, exist_ok=True)
        with lock.hold(stored.parent / "lock", OTHER_CACHE, wait=True), _session() as session:
            if stored.is_file() and pooch.file_hash(stored, _algorithm(archive)) == _digest(archive):
                return stored  # by who had the lock before
            whole.unlink(missing_ok=True)  # of a process that was killed
            continued = part.exists()
            received = _receive(session, url, part, whole)
            given = pooch.file_hash(received, _algorithm(archive))
            if given != _digest(archive) and continued and received == part:
                part.unlink()  # its beginning may have been of another file
                received = _receive(session, url, part, whole)
                given = pooch.file_hash(received, _algorithm(archive))
            if given != _digest(archive):
                raise _Unusable(_wrong(given, archive))
            received.replace(stored)
            part.unlink(missing_ok=True)
    except _Unusable:
        (whole if whole.exists() else part).unlink()
        raise
    except requests.RequestException as error:
        proxy = requests.utils.get_environ_proxies(url) and not isinstance(error, requests.HTTPError)
        raise _Unusable(_reason(error) + (f", by way of a proxy; {PROXIES}" if proxy else "")) from None
    except OSError as error:
        if error.errno is None:  # of requests, about REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE
            raise _Unusable(f"{error}; set REQUESTS_CA_BUNDLE to a file of certificates, or unset it") from None
        raise PipelineError(f"{stored.parent}: {error.strerror}; {OTHER_CACHE}") from None
    return stored


def _session() -> requests.Session:
    """HTTP that asks again when a server does not answer, or says that it is busy or broken, and when to come back."""
    retries = Retry(
        ATTEMPTS - 1,
        status_forcelist=BUSY,
        backoff_factor=BACK_OFF,
        backoff_jitter=BACK_OFF,
        backoff_max=LONGEST_WAIT,
        retry_after_max=LONGEST_WAIT,
        raise_on_status=False,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    return session


def _receive(session: requests.Session, url: str, part: Path, whole: Path) -> Path:
    """Add to a file what it lacks of what a URL gives, and go on where the connection breaks off.

    A server that gives all instead may be one that knows no ranges, or a page that asks for a password first: what it
    gives becomes another file, `whole`. Returns the one that was written.
    """
    again = Retrying(
        retry=retry_if_exception_type(_BrokeOff),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(BACK_OFF, LONGEST_WAIT) + wait_random(0, BACK_OFF),
        reraise=True,
    )
    try:
        return again(_receive_once, session, url, part, whole)
    except _BrokeOff as error:
        raise error.why from None


def _receive_once(session: requests.Session, url: str, part: Path, whole: Path) -> Path:
    there = part.stat().st_size if part.exists() else 0
    # A server may call a .tar.gz a gzip-encoded .tar: ask for the bytes as they are, and take them so in any case.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={there}-"} if there else {})
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if there and response.status_code == requests.codes.range_not_satisfiable:
            return part  # nothing is behind what is there: it is all, as the checksum will tell
        response.raise_for_status()
        response.raw.headers.pop("Content-Encoding", None)
        target = part
        if there and response.status_code != requests.codes.partial_content:
            target, there = whole, 0
        total = there + (response.raw.length_remaining or 0) or None
        with (
            target.open("ab" if there else "wb") as file,
            tqdm(desc="downloading", total=total, initial=there, **BYTES) as bar,
        ):
            try:
                for block in response.iter_content(BLOCK):
                    file.write(block)
                    bar.update(len(block))
                    if file.tell() > LARGEST:
                        raise _Unusable(f"gives more than {LARGEST:,} bytes")
            except requests.RequestException as error:
                raise _BrokeOff(error) from error
    return target


def _reason(error: requests.RequestException) -> str:
    match error:
        case requests.HTTPError() if error.response is not None:
            return f"{error.response.status_code} {error.response.reason}"
        case requests.Timeout():
            return f"no answer for {TIMEOUT} seconds"
        case requests.exceptions.SSLError():
            why = re.search(r"verify failed: (.*?)[.]? \(", str(error))
            return f"no trusted connection{f' ({why[1]})' if why else ''}; {CERTIFICATES}"
        case requests.exceptions.ChunkedEncodingError():
            return "connection broke off"
        case requests.ConnectionError() if "Read timed out" in str(error):
            return f"no answer for {TIMEOUT} seconds"
        case requests.ConnectionError():
            return "no connection"
        case _:
            return " ".join(str(error).split())


def read(path: Path, folder: str, members: Mapping[str, Member]) -> dict[str, np.ndarray]:
    """Read files of a tar archive as a stream: nothing is unpacked to disk, nothing read behind the last of them.

    An archive is trusted in nothing: it may hold these files and their folder, each once, and nothing else.

    Args:
        path: the archive, a .tar.gz or a .tar.
        folder: in the archive, where the files are.
        members: what may be there, by name; those with a reader must be.

    Returns:
        The arrays by the same names.

    Raises:
        PipelineError: the archive is damaged, lacks a file, or holds something else or more.
    """
    wanted = {name: member.reader for name, member in members.items() if member.reader}
    contents: dict[str, np.ndarray] = {}
    left = dict(members)
    with _opened(path, sum(member.most for member in members.values())) as archive:
        for found in archive:
            name = _check(found, folder, left)
            if name and name in wanted:
                contents[name] = _read_one(name, wanted[name], _content(archive, found), found.size)
            if len(contents) == len(wanted):
                return contents
    missing = ", ".join(name for name in members if name in wanted.keys() - contents.keys())
    raise PipelineError(f"{path}: {missing} missing; {WAY_OUT}")


def blocks(
    path: Path, folder: str, members: Mapping[str, Member], name: str, record: int, number: int
) -> Iterator[bytes]:
    """One file of a tar archive, so many records at a time; trusted as little as by `read`.

    Args:
        path: the archive, a .tar.gz or a .tar.
        folder: in the archive, where the files are.
        members: what may be there, by name.
        name: of the file that is read; behind it nothing is.
        record: how many bytes a record has.
        number: of records in a block; the last one may have fewer.

    Raises:
        PipelineError: the archive is damaged, lacks the file, or holds something else before it.
    """
    left = dict(members)
    with _opened(path, sum(member.most for member in members.values())) as archive:
        for found in archive:
            if _check(found, folder, left) == name:
                with _content(archive, found) as file:
                    _read_one(name, lambda _, size: records(size, record), file, found.size)
                    yield from iter(lambda: file.read(number * record), b"")
                return
    raise PipelineError(f"{path}: {name} missing; {WAY_OUT}")


def records(size: int, record: int) -> int:
    """How many records of so many bytes a file has.

    Raises:
        ValueError: there are none, or a part of one.
    """
    if size == 0 or size % record:
        raise ValueError(f"has {size} bytes, which is no number of {record}-byte records")
    return size // record


def files(path: Path, folder: str, names: re.Pattern, most: Member, number: int) -> Iterator[tuple[str, bytes]]:
    """The files of a tar archive, one at a time, with their names; trusted as little as by `read`.

    Args:
        path: the archive, a .tar.gz or a .tar.
        folder: in the archive, where the files are.
        names: how a file in the folder may be called.
        most: what any of them may be.
        number: of files and folders, at most.

    Raises:
        PipelineError: the archive is damaged, or holds something else or more.
    """
    names_seen: set[str] = set()
    with _opened(path, number * most.most) as archive:
        for found in archive:
            place = _place(found)
            if len(names_seen) == number:
                raise ValueError(f"holds more than the {number:,} files and folders that are allowed")
            if place in names_seen:
                raise ValueError(f"holds {found.name!r} twice")
            names_seen.add(place)
            name = place.removeprefix(f"{folder}/")
            if found.isdir() and (place in (".", folder) or place != name):
                continue
            if place == name or not names.fullmatch(name):
                raise ValueError(f"given {found.name!r}, allowed: in {folder}/, {names.pattern}")
            _check_plain(found, name, most)
            yield name, _content(archive, found).read()


@contextmanager
def _opened(path: Path, most: int) -> Iterator[tarfile.TarFile]:
    """A tar archive as a stream of at most so many bytes; what is wrong with it is a PipelineError."""
    try:
        with (
            path.open("rb") as file,
            tqdm.wrapattr(file, "read", total=path.stat().st_size, desc="reading", leave=False, disable=None) as stream,
        ):
            content: Any = _Bounded(_unzipped(stream, file.peek(2)[:2]), most)  # tarfile needs no more than `read`
            with tarfile.open(fileobj=content, mode="r|", bufsize=BLOCK, tarinfo=_Header) as archive:
                yield archive
    except ValueError as error:
        raise PipelineError(f"{path}: {error}; {WAY_OUT}") from None
    except (tarfile.TarError, zlib.error, EOFError, OSError, RecursionError, IndexError) as error:
        raise PipelineError(f"{path}: damaged, or no tar archive: {' '.join(str(error).split())}; {WAY_OUT}") from None


def _content(archive: tarfile.TarFile, found: tarfile.TarInfo) -> IO[bytes]:
    """What is in a plain file, see `_check_plain`."""
    file = archive.extractfile(found)
    assert file
    return file


def _read_one(name: str, reader: Callable[[IO[bytes], int], Read], file: IO[bytes], size: int) -> Read:
    try:
        return reader(file, size)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _check(found: tarfile.TarInfo, folder: str, left: dict[str, Member]) -> str | None:
    """The name of a member that may be there and was not yet, which is taken out of those left; None for the folder.

    Raises:
        ValueError: it may not be there.
    """
    place = _place(found)
    if found.isdir() and place in (".", folder):
        return None
    name = place.removeprefix(f"{folder}/")
    if place != f"{folder}/{name}" or name not in left:
        raise ValueError(f"given {found.name!r}, allowed: in {folder}/, each once, {', '.join(left)}")
    _check_plain(found, name, left.pop(name))
    return name


def _place(found: tarfile.TarInfo) -> str:
    return found.name.removeprefix("./").rstrip("/")


def _check_plain(found: tarfile.TarInfo, name: str, member: Member) -> None:
    if not found.isreg() or found.issparse():
        raise ValueError(f"{name} is no plain file")
    if not 0 <= found.size <= member.most:
        raise ValueError(f"{name} has {found.size:,} bytes, allowed: up to {member.most:,}")


class _Header(tarfile.TarInfo):
    """What stands before a member.

    tarfile takes long names and the like into memory, however long they are, and a broken header for the end.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        try:
            header = super().frombuf(buf, encoding, errors)
        except BROKEN as error:
            raise tarfile.ReadError(str(error)) from None
        if header.type == tarfile.GNUTYPE_SPARSE:  # whose list of parts tarfile reads first, however long it is
            raise ValueError(f"{header.name} is no plain file")
        if header.type not in (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE) and header.size > LONGEST_HEADER:
            raise ValueError(f"a header has {header.size:,} bytes, allowed: up to {LONGEST_HEADER:,}")
        return header

    def _proc_gnusparse_10(self, found: tarfile.TarInfo, *_: Any) -> None:
        """As above, where the list stands in the file itself; tarfile calls it by this name."""
        raise ValueError(f"{found.name} is no plain file")


class _Bounded:
    """A stream that must end: a small file may unzip to no end of bytes."""

    def __init__(self, stream: Any, most: int):
        self.stream, self.most = stream, most + SLACK
        self.left = self.most

    def read(self, size: int) -> bytes:
        """Up to so many bytes.

        Raises:
            ValueError: there have been too many.
        """
        content = self.stream.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise ValueError(f"unzips to more than {self.most:,} bytes, which is more than its files may have")
        return content


def _unzipped(stream: Any, start: bytes) -> Any:
    # tarfile's own unzipping holds all that a block becomes: a gigabyte of it if the pictures are black.
    return gzip.GzipFile(fileobj=stream) if start == b"\x1f\x8b" else stream
