"""What a file says beside its pixels."""

from typing import NamedTuple

from PIL import Image

# TIFF's tags of how pixels are stored, and what has a place of its own: profile and XMP.
STORAGE = {254, 255, *range(256, 267), 273, 274, *range(277, 282), 284, *range(288, 294), 301, *range(317, 348)}
STORAGE |= {*range(512, 533), 700, 33723, 34377, 34675, 37724}


class Carried(NamedTuple):
    """What a page carries beside its pixels, so far as it holds for a result, too.

    exif: EXIF data, which say that the page is upright.
    xmp: an XMP packet.
    """

    exif: bytes | None = None
    xmp: bytes | None = None


def look(picture: Image.Image) -> Carried:
    """What a page carries; it has been read, and stands at that page."""
    exif = picture.getexif()
    for tag in STORAGE.intersection(exif):
        del exif[tag]
    return Carried(exif.tobytes() if exif else None, picture.info.get("xmp"))
