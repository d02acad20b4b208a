"""The formats of pictures: which a file is in, by its first bytes, and which are read here."""

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from pipeline.photographs import tags
from pipeline.photographs.tags import Tag
from pipeline.system.errors import PipelineError

HEAD = 1024  # bytes from which a format is known

RAW = "a camera's raw data"
# What cameras, scanners and browsers write, as Pillow calls it. None of them is a program that a reader would run.
READ = {
    RAW: (  # first, for some begin as a TIFF does
        rb"....ftypcrx |FUJIFILMCCD-RAW|FOVb|\0MRM|IIU\0|IIR[OS]|MMOR|II\x1a\0\0\0HEAPCCDR|II\x2a\0.{4}CR"
    ),
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF....WEBP",
    "AVIF": rb"....ftyp(....){0,8}?avi[fs]",
    "HEIF": rb"....ftyp(....){0,8}?(hei[cxms]|hev[cxms]|mif1|msf1)",  # after AVIF, which may say that it resembles one
    "TIFF": rb"II[\x2a\x2b]\0|MM\0[\x2a\x2b]",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "JPEG2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "PPM": rb"P[1-6]\s+[#\d]",
}
NAMES = "JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF, BMP, JPEG 2000, PPM, raw data"
SAVE, EXPORT = "save it as JPEG, PNG or TIFF", "export it as PNG or TIFF"
# Pictures that are known, but not read, and the way out.
REFUSED = {
    "JPEG XL": (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", SAVE),
    "JPEG XR": (rb"II\xbc\x01", SAVE),
    "PSD of Photoshop": (rb"8BPS\0[\1\2]", SAVE),
    "XCF of GIMP": (rb"gimp xcf", SAVE),
    "SVG": (
        rb"(\xef\xbb\xbf)?\s*(?:(?><\?.*?\?>|<!--.*?-->|<!DOCTYPE svg.*?>)\s*+)*+<(\w+:)?svg[\s>]",
        EXPORT,
    ),
    "PDF": (rb"%PDF-", EXPORT),
    "PostScript": (rb"%!PS|\xc5\xd0\xd3\xc6", EXPORT),
    "DjVu": (rb"AT&TFORM....DJV", EXPORT),
    "DICOM": (rb".{128}DICM", EXPORT),
    "FITS": (rb"SIMPLE  =", EXPORT),
    "OpenEXR": (rb"\x76\x2f\x31\x01", EXPORT),
    "Radiance HDR": (rb"#\?(RADIANCE|RGBE)", EXPORT),
    "PAM or PFM": (rb"P7\s|P[Ff]\s+\d", SAVE),
    "QOI": (rb"qoif", SAVE),
}
KNOWN = {
    name: re.compile(pattern, re.DOTALL)
    for name, pattern in {**READ, **{name: known for name, (known, _) in REFUSED.items()}}.items()
}
RAW_SUFFIXES = {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos"}
RAW_SUFFIXES |= {".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
SUFFIX = re.compile(
    r"\.(apng|avifs?|bmp|dib|eps|gif|hei[cf]|hif|j2[ck]|jfif|jif|jp[2cefx]|jpe?g|jx[lr]|mpo|p[bgnp]m|png|ps[bd]|svgz?|tga"
    r"|tiff?|webp)",
    re.IGNORECASE,
)
PHOTOMETRIC, SUB_DIRECTORIES, DNG_VERSION = 0x0106, 0x014A, 0xC612
SENSOR = {32803, 34892}  # photometric interpretations: a colour filter's mosaic, and linear raw data


def open_file(path: Path) -> BinaryIO:
    """A file to be read; what is none, such as a pipe, is not waited for.

    Raises:
        OSError: it cannot be read.
        PipelineError: it is no ordinary file.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb")
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise PipelineError("not an ordinary file; give a picture")


def recognise(file: BinaryIO, suffix: str) -> str | None:
    """The format of a picture, a name in READ or REFUSED; None if it is none that is known.

    Args:
        file: at any place.
        suffix: of its name, which tells raw data of a camera from a TIFF where nothing else does.
    """
    file.seek(0)
    head = file.read(HEAD)
    name = next((name for name, pattern in KNOWN.items() if pattern.match(head)), None)
    if name == "TIFF" and (suffix.lower() in RAW_SUFFIXES or _is_raw(file)):
        return RAW
    return name


def is_called_so(path: Path) -> bool:
    """Whether a file has the name of a picture."""
    return path.suffix.lower() in RAW_SUFFIXES or bool(SUFFIX.fullmatch(path.suffix))


def is_picture(path: Path) -> bool:
    """Whether a file is a picture, or claims to be one, whether or not it is read here."""
    if is_called_so(path):
        return True
    try:
        with open_file(path) as file:
            return recognise(file, path.suffix) is not None
    except (OSError, PipelineError):
        return False


def check(file: BinaryIO, suffix: str) -> str:
    """The format of a picture, a name in READ. See `recognise`.

    Raises:
        PipelineError: it is another one, or not a picture.
    """
    name = recognise(file, suffix)
    if name in READ:
        return name
    if name is None:
        empty = file.seek(0, os.SEEK_END) == 0
        raise PipelineError(
            "an empty file; give a picture" if empty else f"not a picture that can be read here; give one of {NAMES}"
        )
    raise PipelineError(f"{name}, which is not read here; {REFUSED[name][1]}")


def _is_raw(file: BinaryIO) -> bool:
    """Whether what begins as a TIFF is what a camera's sensor saw; Pillow would take its thumbnail for the picture."""
    try:
        found = tags.pages(file)
    except ValueError:
        return False
    below = tags.below(file, found, SUB_DIRECTORIES)
    return any(DNG_VERSION in page.directory for page in found) or any(map(_sensor, found + below))


def _sensor(page: tags.Tags) -> bool:
    tag = page.directory.get(PHOTOMETRIC)
    return isinstance(tag, Tag) and tag.number(page.order) in SENSOR
