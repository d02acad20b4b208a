"""Directories of tags, which TIFF files and EXIF data consist of: read and written byte by byte, so nothing is lost.

Of a tag, its type and its bytes are kept, whatever they mean; but a directory within another is one here, too.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Union

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
CLASSIC = range(1, 14)  # types that others than BigTIFF know
POINTERS = (LONG, 13, 16, 18)
EXIF, GPS, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
WITHIN: dict[int | None, tuple[int, ...]] = {None: (EXIF, GPS), EXIF: (INTEROPERABILITY,)}
LONGEST = 1 << 24  # bytes of all tags of a file
MOST = 10_000  # tags of a directory, and directories of a file
MOST_BELOW = 16  # directories that a tag points to


class Tag(NamedTuple):
    """What a directory says under a number."""

    kind: int  # its type, as TIFF counts them
    data: bytes

    def number(self, order: str) -> int:
        """The first of its whole numbers."""
        return int.from_bytes(self.data[: SIZES[self.kind]], "little" if order == "<" else "big")


Directory = dict[int, Union[Tag, "Directory"]]


class Tags(NamedTuple):
    """A directory with what it takes to understand it.

    order: of bytes, as `struct` has it.
    broken: numbers of the tags that point outside the file, or are of no known type, or far too long.
    """

    order: str
    directory: Directory
    broken: list[int]


def text(line: str) -> Tag:
    """A tag that says something."""
    return Tag(ASCII, line.encode() + b"\0")


def pages(file: BinaryIO) -> list[Tags]:
    """The directories of a TIFF file, one for each page, or of EXIF data, of which the second is about a thumbnail.

    Raises:
        ValueError: it is neither, or far too large.
    """
    reader = _Reader(file)
    offset, found, seen = reader.first, list[Tags](), set[int]()
    while offset and offset not in seen and len(found) < MOST:
        seen.add(offset)
        found.append(Tags(reader.order, {}, []))
        offset = reader.fill(found[-1], offset)
    return found


def below(file: BinaryIO, found: Sequence[Tags], number: int) -> list[Tags]:
    """The directories that a tag of others points to, but for what is none."""
    reader, below = _Reader(file), []
    for page in found:
        tag = page.directory.get(number)
        if not isinstance(tag, Tag) or tag.kind not in POINTERS or (size := SIZES[tag.kind]) == 1:
            continue
        places = [tag.data[place : place + size] for place in range(0, len(tag.data), size)]
        for place in places[:MOST_BELOW]:
            directory = Tags(page.order, {}, [])
            with suppress(ValueError):
                reader.fill(directory, Tag(tag.kind, place).number(page.order))
                below.append(directory)
    return below


def parse(exif: bytes) -> Tags:
    """EXIF data, without what they say about a thumbnail.

    Raises:
        ValueError: they are none.
    """
    data = exif
    while data.startswith(b"Exif\0\0"):
        data = data[6:]
    return pages(io.BytesIO(data))[0]


def encode(tags: Tags) -> bytes:
    """EXIF data; the inverse of `parse`."""
    magic = b"II\x2a\0" if tags.order == "<" else b"MM\0\x2a"
    return b"Exif\0\0" + magic + struct.pack(tags.order + "I", 8) + _encode(tags.directory, tags.order, 8)


def add(path: Path, added: Sequence[Tags]) -> None:
    """Add tags to the pages of a TIFF file, in place of those that are there under the same numbers."""
    with path.open("r+b") as file:
        link = 4
        for own, more in zip(pages(file), added, strict=True):
            end = file.seek(0, io.SEEK_END)
            end += file.write(bytes(end % 2))
            directory = own.directory | _in_order(more.directory, more.order, own.order)
            file.write(_encode(directory, own.order, end))
            file.seek(link)
            file.write(struct.pack(own.order + "I", end))
            link = end + 2 + 12 * len(directory)


class _Reader:
    """Reads directories, of BigTIFF with longer fields, and no more bytes in all than an honest file has."""

    def __init__(self, file: BinaryIO):
        file.seek(0)
        start = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(start[:2])
        big = b"\x2b" in start[2:4]
        if order is None or len(start) < (16 if big else 8):
            raise ValueError("no directory of tags")
        self.file, self.order, self.left = file, order, LONGEST
        self.size = file.seek(0, io.SEEK_END)
        self.count, self.entry, self.next = (
            order + form for form in (("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I"))
        )
        (self.first,) = struct.unpack_from(self.next, start, 8 if big else 4)

    def fill(self, tags: Tags, offset: int, of: int | None = None) -> int:
        """Read the directory there; returns where the next one is, 0 if there is none."""
        (count,) = self._unpack(self.count, offset) or (0,)
        if count > MOST:
            raise ValueError(f"a directory of {count} tags")
        table, size = offset + struct.calcsize(self.count), struct.calcsize(self.entry)
        for place in range(table, table + count * size, size):
            entry = self._unpack(self.entry, place)
            if entry is None:  # the file ends here
                return 0
            number, tag = entry[0], self._tag(*entry[1:])
            if tag is None:
                tags.broken.append(number)
            elif number in WITHIN.get(of, ()) and tag.kind in POINTERS:
                inner = tags.directory[number] = {}
                self.fill(Tags(self.order, inner, tags.broken), tag.number(self.order), number)
            else:
                tags.directory[number] = tag
        return (self._unpack(self.next, table + count * size) or (0,))[0]

    def _tag(self, kind: int, values: int, field: bytes) -> Tag | None:
        length = SIZES.get(kind, self.left + 1) * values
        if length > len(field):
            if length > self.left:
                return None
            self.left -= length
            field = self._read(Tag(POINTERS[-1], field).number(self.order), length)
        return Tag(kind, field[:length]) if len(field) >= length and kind in SIZES else None

    def _unpack(self, form: str, offset: int) -> tuple | None:
        data = self._read(offset, struct.calcsize(form))
        return struct.unpack(form, data) if len(data) == struct.calcsize(form) else None

    def _read(self, offset: int, length: int) -> bytes:
        if offset >= self.size:
            return b""
        self.file.seek(offset)
        return self.file.read(length)


def _encode(directory: Directory, order: str, offset: int) -> bytes:
    """A directory, at a place in a file, after which none comes."""
    table, rest = b"", b""
    after = offset + 2 + 12 * len(directory) + 4
    for number, tag in sorted(directory.items()):
        place = after + len(rest)
        if isinstance(tag, dict):
            rest += _encode(tag, order, place)
            tag = Tag(LONG, struct.pack(order + "I", place))
        field = tag.data.ljust(4, b"\0")
        if len(field) > 4:
            rest += tag.data + bytes(len(tag.data) % 2)
            field = struct.pack(order + "I", place)
        table += struct.pack(order + "HHI", number, tag.kind, len(tag.data) // SIZES[tag.kind]) + field
    return struct.pack(order + "H", len(directory)) + table + bytes(4) + rest


def _in_order(directory: Directory, given: str, wanted: str) -> Directory:
    """The same in another order of bytes."""
    if given == wanted:
        return directory
    return {
        number: _in_order(tag, given, wanted) if isinstance(tag, dict) else Tag(tag.kind, b"".join(_reversed(tag)))
        for number, tag in directory.items()
    }


def _reversed(tag: Tag) -> Iterator[bytes]:
    size = 4 if tag.kind in (5, 10) else SIZES[tag.kind]  # rationals are two numbers
    return (tag.data[place : place + size][::-1] for place in range(0, len(tag.data), size))
