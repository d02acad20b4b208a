"""What a file says beside its pixels, so far as it holds for a result, too."""

import re
import struct
from typing import Any, BinaryIO, NamedTuple

from PIL import Image

from pipeline.photographs import heif, tags
from pipeline.photographs.formats import HEAD
from pipeline.photographs.tags import ASCII, EXIF, GPS, INTEROPERABILITY, LONG, SHORT, Directory, Tag, Tags

ORIENTATION, SOFTWARE, XMP, IPTC, LAYERS = 0x0112, 0x0131, 0x02BC, 0x83BB, 0x935C
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
PIXELS_ACROSS, PIXELS_DOWN, COLOUR_SPACE = 0xA002, 0xA003, 0xA001
# Of how a file stores its pixels, of its profile, of Photoshop's layers and previews; and what has a place of its own.
STORAGE = {*range(254, 267), 273, 274, *range(277, 282), 284, *range(288, 294), 301, *range(317, 348), *range(512, 533)}
STORAGE |= {XMP, IPTC, 34377, 34675, LAYERS}
COMPRESSED_BITS, GAMMA = 0x9102, 0xA500
PLACES = (0x9214, 0xA214)  # of the subject, in a photograph that is not turned yet
# Of what a camera writes, what holds of a photograph that is developed: what it is, of whom, by whom and when.
OF_RAW = {0x010E, 0x010F, 0x0110, SOFTWARE, 0x0132, 0x013B, 0x4746, 0x4749, 0x8298, EXIF, GPS}
LONGEST = 1 << 20  # letters of a PNG's text, of which a few bytes of a file may be any number
XMP_TEXT = "XML:com.adobe.xmp"
XMP_NAMES = "xmp", XMP_TEXT  # what Pillow calls XMP
PROFILES = "Raw profile type "  # what ImageMagick calls a PNG's texts that are metadata in hexadecimal
UNREAD_PROFILES = "APP1", "xmp"  # EXIF data or XMP, which may contradict what the result says

FILM = {rb"moov[\0-\xff]{4}mvhd": "the film in it"}
UNREAD: dict[str, dict[bytes, str]] = {  # what Pillow does not find in a file
    "JPEG": {
        rb"http://ns\.adobe\.com/xmp/extension/\0": "what XMP says beyond 64 kB",
        rb"\xff\xeb[\0-\xff]{2}JP": "JUMBF, such as content credentials",
        **FILM,
    },
    "GIF": {rb"XMP DataXMP": "XMP"},
    "JPEG2000": {
        rb"uuid\xbe\x7a\xcf\xcb\x97\xa9\x42\xe8\x9c\x71\x99\x94\x91\xe3\xaf\xac": "XMP",
        rb"uuidJpgTiffExif->JP2": "EXIF data",
    },
    "HEIF": FILM,
    "PPM": {rb"\AP[1-6]\s+(\d+\s+)*#": "comments"},
}


class Carried(NamedTuple):
    """What a page carries beside its pixels.

    exif: EXIF data, which say that the page is upright, and sRGB; of a TIFF, its tags, too.
    xmp: an XMP packet.
    iptc: what IPTC calls IIM.
    dpi: pixels an inch, across and down.
    comment: as it stands there.
    texts: of a PNG, by keyword.
    duration: milliseconds that a frame of an animation is shown; None if it is none.
    loop: how often an animation is shown; 0 is for ever.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    comment: bytes | None = None
    texts: tuple[tuple[str, str], ...] = ()
    duration: float | None = None
    loop: int | None = None


def look(picture: Image.Image, directory: Tags | None, size: tuple[int, int]) -> tuple[Carried, list[str]]:
    """What a page carries.

    Args:
        picture: as Pillow opened it; its pixels have been read.
        directory: of a TIFF's page.
        size: of the page, upright.

    Returns:
        It, and what was left out, a line each.
    """
    found, left_out = directory, []
    try:
        found = found or _exif(picture)
    except (ValueError, struct.error) as error:
        left_out.append(f"EXIF data ({error})")
    own = found.directory if found else {}
    faulty = found.broken if found else []
    if broken := [number for number in faulty if number != LAYERS]:
        left_out.append(f"{len(broken)} EXIF or TIFF tags (broken)")
    if LAYERS in own or LAYERS in faulty:  # of which many are far too long
        left_out.append("Photoshop's layers")
    way = own.get(ORIENTATION)
    turned = found is not None and isinstance(way, Tag) and way.number(found.order) in range(5, 9)
    if picture.format == "HEIF":  # whose reader turned it, and its EXIF data with it
        turned = picture.info["original_orientation"] in range(5, 9)
        left_out += heif.left_out(picture.info)
    dpi, left = (None, []) if directory and X_RESOLUTION not in own else _resolution(picture)  # Pillow would say 1
    texts = _texts(picture)
    left += [f"the text {PROFILES}{name} (not read)" for name in UNREAD_PROFILES if _text(picture, PROFILES + name)]
    left += [f"the text {key} ({len(text):,} characters)" for key, text in texts if len(text) > LONGEST]
    carried = Carried(
        exif=_corrected(found, size, turned) if found else None,
        xmp=_data(own, XMP) or _text(picture, XMP_TEXT) or _info(picture, "xmp", bytes),
        iptc=_data(own, IPTC) or _info(picture, "photoshop", dict, {}).get(0x0404),
        dpi=dpi[::-1] if dpi and turned else dpi,
        comment=_comment(picture),
        texts=tuple((key, text) for key, text in texts if len(text) <= LONGEST),
    )
    return carried, left_out + left


def of_raw(file: BinaryIO, size: tuple[int, int], turned: bool) -> tuple[Carried, list[str]]:
    """What a camera's raw data carry, and what was left out, a line each.

    Args:
        file: of the camera.
        size: of the photograph, upright.
        turned: whether its sides were swapped for that.
    """
    try:
        found = tags.pages(file)[0]
        kept = {number: tag for number, tag in found.directory.items() if number in OF_RAW}
        exif = _corrected(found._replace(directory=kept), size, turned)
    except (ValueError, LookupError, struct.error):  # those of some cameras are no TIFF
        return Carried(), ["EXIF data and XMP (of such raw data not read)"]
    return Carried(exif=exif, xmp=_data(found.directory, XMP), iptc=_data(found.directory, IPTC)), []


def unread(file: BinaryIO, kind: str) -> list[str]:
    """What a file of a format carries that is not looked at, and so left out, a line each."""
    if kind not in UNREAD:
        return []
    file.seek(0)
    content = file.read(HEAD if kind == "PPM" else -1)
    return [f"{name} (of {kind} not read)" for pattern, name in UNREAD[kind].items() if re.search(pattern, content)]


def heal(picture: Image.Image) -> list[str]:
    """Of a picture that is loaded, take away at what Pillow would stumble; returns what was left out, a line each."""
    if picture.format == "PNG":  # whose texts stand among all else that Pillow found, be they called as that is
        for name in [name for name, value in picture.info.items() if isinstance(value, str)]:
            if not str(name).startswith(PROFILES):
                del picture.info[name]
    try:
        picture.getexif()
    except Exception as error:
        for name in ("exif", PROFILES + "exif"):
            picture.info.pop(name, None)
        return [f"EXIF data ({error})"]
    return []


def load(picture: Image.Image) -> None:
    """Read the pixels, which of a TIFF file Pillow turns by its EXIF data or else by XMP, which viewers do not heed."""
    hidden = {name: picture.info.pop(name) for name in XMP_NAMES if name in picture.info}
    try:
        picture.load()
    finally:
        picture.info.update(hidden)


def orientation(picture: Image.Image) -> int:
    """How a picture that is loaded lies, as EXIF data number it; 1 is upright.

    Pillow takes what XMP says for what EXIF data do not say, so where there is XMP they are looked at themselves.
    """
    if not any(name in picture.info for name in XMP_NAMES):
        return picture.getexif().get(ORIENTATION, 1)
    try:
        found = _exif(picture)
    except (ValueError, struct.error):
        return 1
    way = found.directory.get(ORIENTATION) if found else None
    return way.number(found.order) if found and isinstance(way, Tag) else 1


def _info(picture: Image.Image, name: str, kind: type, otherwise: Any = None) -> Any:
    """What Pillow found, unless it is a PNG's text of that name."""
    value = picture.info.get(name)
    return value if isinstance(value, kind) else otherwise


def _resolution(picture: Image.Image) -> tuple[tuple[float, float] | None, list[str]]:
    shape = _info(picture, "aspect", tuple, ()) or _info(picture, "pixel_aspect_ratio", tuple, ())
    if picture.info.get("jfif_unit") == 0:
        shape = _info(picture, "jfif_density", tuple, ())
    dpi = _info(picture, "dpi", tuple)
    if dpi and all(0 < float(side) < 65535 for side in dpi):
        return (float(dpi[0]), float(dpi[1])), []
    return None, ["the shape of its pixels, which are no squares"] if len(set(shape)) > 1 else []


def _exif(picture: Image.Image) -> Tags | None:
    """EXIF data, wherever a file may have them."""
    exif = _info(picture, "exif", bytes)
    if not exif and (hexadecimal := _info(picture, PROFILES + "exif", str)):
        exif = bytes.fromhex("".join(hexadecimal.split("\n")[3:]))
    return tags.parse(exif) if exif else None


def _corrected(found: Tags, size: tuple[int, int], turned: bool) -> bytes | None:
    """EXIF data as they are, but for what does not hold of a result that is upright, in colour and sRGB."""
    order, given, _ = found
    kept: Directory = {
        number: tag
        for number, tag in given.items()
        if number not in STORAGE and (isinstance(tag, dict) or tag.kind in tags.CLASSIC)
    }
    if turned and {X_RESOLUTION, Y_RESOLUTION} <= kept.keys():
        kept[X_RESOLUTION], kept[Y_RESOLUTION] = kept[Y_RESOLUTION], kept[X_RESOLUTION]
    inner = kept.get(EXIF)
    if isinstance(inner, dict):
        inner = {number: tag for number, tag in inner.items() if number not in (COMPRESSED_BITS, GAMMA)}
        if turned:
            inner = {number: tag for number, tag in inner.items() if number not in PLACES}
        for number, value in ((PIXELS_ACROSS, size[0]), (PIXELS_DOWN, size[1])):
            if number in inner:
                inner[number] = Tag(LONG, struct.pack(order + "I", value))
        if COLOUR_SPACE in inner:
            inner[COLOUR_SPACE] = Tag(SHORT, struct.pack(order + "H", 1))
        if isinstance(below := inner.get(INTEROPERABILITY), dict):
            inner[INTEROPERABILITY] = below | {1: Tag(ASCII, b"R98\0")}  # sRGB; R03 is Adobe RGB
        kept[EXIF] = inner
    return tags.encode(Tags(order, kept, [])) if kept else None


def _data(directory: Directory, number: int) -> bytes | None:
    tag = directory.get(number)
    return tag.data if isinstance(tag, Tag) else None


def _comment(picture: Image.Image) -> bytes | None:
    """All comments of a JPEG, of which Pillow keeps the last, or that of another file."""
    comments = [content for marker, content in getattr(picture, "applist", ()) if marker == "COM"]
    return b"\n".join(comments) or _info(picture, "comment", bytes)


def _text(picture: Image.Image, keyword: str) -> bytes:
    """A PNG's text of that name, which another one may hide where Pillow keeps it."""
    return getattr(picture, "text", {}).get(keyword, "").encode() if picture.format == "PNG" else b""


def _texts(picture: Image.Image) -> tuple[tuple[str, str], ...]:
    """A PNG's texts, but for those that are EXIF data, a profile or XMP."""
    elsewhere = {XMP_TEXT, *(PROFILES + name for name in ("exif", "icc", "icm", *UNREAD_PROFILES))}
    texts = getattr(picture, "text", {}) if picture.format == "PNG" else {}
    return tuple((key, value) for key, value in texts.items() if key not in elsewhere)
