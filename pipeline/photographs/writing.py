"""Results as files, with what the photograph carried and what made the colours."""

import io
import os
import struct
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageCms, PngImagePlugin

from pipeline.photographs import formats, tags, xmp
from pipeline.photographs.carried import (
    IPTC,
    RESOLUTION_UNIT,
    SOFTWARE,
    X_RESOLUTION,
    XMP,
    XMP_TEXT,
    Y_RESOLUTION,
    Carried,
)
from pipeline.photographs.pages import Photograph
from pipeline.photographs.tags import ASCII, BYTE, RATIONAL, SHORT, UNDEFINED, Tag, Tags
from pipeline.photographs.xmp import Made

OPTIONS: dict[str, dict[str, Any]] = {  # of Pillow, for each format that results are written in
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},  # colours as fine as the lightness that they follow
    "PNG": {},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
HOLDS = {  # beside pixels
    "JPEG": {"exif", "xmp", "iptc", "dpi", "comment"},
    "PNG": {"exif", "xmp", "dpi", "comment", "texts"},
    "WEBP": {"exif", "xmp", "dpi"},
    "TIFF": {"exif", "xmp", "iptc", "dpi"},
}
NAMES = {
    **{"exif": "EXIF data", "xmp": "XMP", "iptc": "IPTC data", "dpi": "the resolution", "comment": "the comment"},
    "texts": "the texts of a PNG",
}
LONGEST = 0xFFFF - 64  # bytes of each that a JPEG can hold
LARGEST = {"JPEG": 65_500, "WEBP": 16_383}  # pixels of a side
LENGTH = 0x0101  # the tag of a page's height
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"\0\0\0\0IEND\xaeB`\x82"}


def fit(kind: str, photograph: Photograph) -> str:
    """The format to write a photograph's result in: the given one of `OPTIONS`, or another if that cannot hold it."""
    first, several = photograph.pages[0], len(photograph.pages) > 1
    if several and photograph.carried[0].duration is None:
        return "TIFF"
    holds = kind in ("PNG", "WEBP") if several else kind != "JPEG" or not first.alpha
    return kind if holds and max(first.opaque.size) <= LARGEST.get(kind, sys.maxsize) else "PNG"


def save(
    pages: Sequence[Image.Image], path: Path, kind: str, carried: Sequence[Carried] = (), made: Made | None = None
) -> list[str]:
    """Write a result; its profile says that it is in sRGB.

    Args:
        pages: of mode RGB or RGBA.
        path: the file, which is there: one that was taken away because the process ends must not come back.
        kind: its format, one of `OPTIONS`, which holds such pages; see `fit`.
        carried: by each of the pages.
        made: what the result was made of.

    Returns:
        What was left out, because it is broken or the format cannot hold it, a line each.

    Raises:
        OSError: the file cannot be written.
    """
    carried = carried or [Carried()] * len(pages)
    told: list[str] = []
    try:
        _write(pages, path, kind, [_prepared(page, kind, made, told) for page in carried])
    except Exception as error:  # odd metadata make Pillow's writers stumble over just about anything
        if isinstance(error, OSError) and error.errno:
            raise
        bare = [Carried(duration=page.duration, loop=page.loop) for page in carried]
        _write(pages, path, kind, [_prepared(page, kind, made, []) for page in bare])
        told = [f"all metadata ({error})"]
    return [f"left out: {line}" for line in dict.fromkeys(told)]


def made(path: Path) -> Made | None:
    """What a result was made of; None if the file is not a whole one of ours."""
    try:
        with formats.open_file(path) as file, Image.open(file, formats=list(OPTIONS)) as picture:
            return xmp.made_of(picture.info["xmp"]) if _is_whole(file, picture.format) else None
    except Exception:  # a broken file makes Pillow's readers stumble over just about anything
        return None


def _prepared(carries: Carried, kind: str, made: Made | None, told: list[str]) -> Carried:
    """What a result is to carry, of what its format holds; adds to `told` what is left out."""
    kept = {}
    for field, name in NAMES.items():
        value = getattr(carries, field)
        say = SAY.get(field, lambda value, made: value)
        try:
            if value and field not in HOLDS[kind]:
                raise ValueError(f"{kind} holds none")
            kept[field] = say(value, made)
            if kind == "JPEG" and value and isinstance(value, bytes) and len(kept[field]) > LONGEST:
                raise ValueError(f"{len(value):,} bytes, too long for {kind}")
        except ValueError as error:
            told.append(f"{name} ({error})")
            kept[field] = say(Carried._field_defaults[field], made)
    return carries._replace(**kept)


def _say_xmp(packet: bytes | None, made: Made | None) -> bytes | None:
    return xmp.merge(packet, made) if packet or made else None


def _say_exif(exif: bytes | None, made: Made | None) -> bytes | None:
    """EXIF data that name what wrote the result, and what wrote the photograph."""
    if made is None:
        return exif
    found = _parsed(exif)
    ours = f"ColourGAN {made.version}".encode()
    before = found.directory.get(SOFTWARE)
    if isinstance(before, Tag) and before.data.strip(b"\0 ") and not before.data.startswith(b"ColourGAN"):
        ours += b", after " + before.data.strip(b"\0 ")
    return tags.encode(found._replace(directory=found.directory | {SOFTWARE: Tag(ASCII, ours + b"\0")}))


SAY = {"xmp": _say_xmp, "exif": _say_exif}


def _write(pages: Sequence[Image.Image], path: Path, kind: str, carried: Sequence[Carried]) -> None:
    first = carried[0]
    options = OPTIONS[kind] | {"icc_profile": srgb()} | ({"dpi": first.dpi} if first.dpi else {})
    if len(pages) > 1:
        options |= {"save_all": True, "append_images": list(pages[1:])}
    if first.duration is not None:
        options |= {"duration": [page.duration for page in carried], "loop": first.loop}
        if len({page.mode for page in pages}) > 1:
            pages = [page.convert("RGBA") for page in pages]
            options["append_images"] = pages[1:]
    if kind != "TIFF":
        options |= ({"exif": first.exif} if first.exif else {}) | _MORE[kind](first)
    encoded = io.BytesIO()  # given a file, some of Pillow's encoders do not notice that its disk is full
    pages[0].save(encoded, format=kind, **options)
    with path.open("r+b") as file:
        file.truncate()
        file.write(encoded.getbuffer())
    if kind == "TIFF":
        tags.add(path, [_tiff(page) for page in carried])


def _jpeg(carries: Carried) -> dict[str, Any]:
    segments = b""
    if carries.comment:  # not by Pillow's option, for which its buffer may be too short
        segments += b"\xff\xfe" + struct.pack(">H", len(carries.comment) + 2) + carries.comment
    if carries.iptc:
        resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(carries.iptc)) + carries.iptc
        content = b"Photoshop 3.0\0" + resource + bytes(len(resource) % 2)
        segments += b"\xff\xed" + struct.pack(">H", len(content) + 2) + content
    return {"comment": b"", "extra": segments} | ({"xmp": carries.xmp} if carries.xmp else {})


def _png(carries: Carried) -> dict[str, Any]:
    info = PngImagePlugin.PngInfo()
    if carries.comment:
        info.add_itxt("Comment", _decode(carries.comment))
    for keyword, text in carries.texts:
        info.add_text(keyword, text)
    if carries.xmp:  # last, for Pillow would take a text called xmp for it
        info.add_itxt(XMP_TEXT, carries.xmp.decode())
    return {"pnginfo": info}


def _webp(carries: Carried) -> dict[str, Any]:
    options: dict[str, Any] = {"xmp": carries.xmp} if carries.xmp else {}
    found = _parsed(carries.exif)
    if carries.dpi and X_RESOLUTION not in found.directory:  # which has no other place here
        resolution = {
            tag: Tag(RATIONAL, struct.pack(f"{found.order}II", round(side * 100), 100))
            for tag, side in zip((X_RESOLUTION, Y_RESOLUTION), carries.dpi, strict=True)
        }
        unit = {RESOLUTION_UNIT: Tag(SHORT, struct.pack(f"{found.order}H", 2))}  # inches
        options["exif"] = tags.encode(found._replace(directory=found.directory | resolution | unit))
    return options


_MORE = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp}


def _tiff(carries: Carried) -> Tags:
    found = _parsed(carries.exif)
    own = {XMP: Tag(BYTE, carries.xmp or b""), IPTC: Tag(UNDEFINED, carries.iptc or b"")}
    return found._replace(directory=found.directory | {number: tag for number, tag in own.items() if tag.data})


def _parsed(exif: bytes | None) -> Tags:
    return tags.parse(exif) if exif else Tags("<", {}, [])


def _decode(comment: bytes) -> str:
    try:
        return comment.decode()
    except UnicodeDecodeError:
        return comment.decode("latin-1")


@cache
def srgb() -> bytes:
    """A profile that says sRGB, always the same."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + profile[36:]  # instead of the time of now


def _is_whole(file: BinaryIO, kind: str | None) -> bool:
    size = file.seek(0, os.SEEK_END)
    if kind in ENDS:
        file.seek(-len(ENDS[kind]), os.SEEK_END)
        return file.read() == ENDS[kind]
    if kind == "TIFF":  # whose directories are at its end
        return all(LENGTH in page.directory and not page.broken for page in tags.pages(file))
    file.seek(4)
    return struct.unpack("<I", file.read(4))[0] + 8 == size
