"""Results as files, with what the photograph carried and what made the colours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from pipeline.photographs import xmp
from pipeline.photographs.carried import Carried
from pipeline.photographs.xmp import Made

OPTIONS: dict[str, dict[str, Any]] = {  # of Pillow, for each format that results are written in
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},  # colours as fine as the lightness that they follow
    "PNG": {},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
SOFTWARE, XMP = 0x0131, 0x02BC  # TIFF's tags


def save(
    pages: Sequence[Image.Image], path: Path, kind: str, carried: Sequence[Carried] = (), made: Made | None = None
) -> list[str]:
    """Write a result.

    Args:
        pages: of mode RGB or RGBA.
        path: the file.
        kind: its format, one of `OPTIONS`, which holds such pages.
        carried: by each of the pages.
        made: what the result was made of.

    Returns:
        What was left out, a line each.

    Raises:
        OSError: the file cannot be written.
    """
    first = carried[0] if carried else Carried()
    exif = Image.Exif()
    if first.exif:
        exif.load(first.exif)
    if made:
        exif[SOFTWARE] = f"ColourGAN {made.version}"
    packet = xmp.merge(first.xmp, made) if made else first.xmp
    options = OPTIONS[kind] | _packet(kind, packet, exif)
    pages[0].save(path, format=kind, **options, **({"exif": exif} if exif else {}))
    return []


def _packet(kind: str, packet: bytes | None, exif: Image.Exif) -> dict[str, Any]:
    """Pillow's options that write an XMP packet; in TIFF it is one of the tags."""
    if not packet:
        return {}
    if kind == "TIFF":
        exif[XMP] = packet
        return {}
    if kind == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", packet.decode())
        return {"pnginfo": texts}
    return {"xmp": packet}


def made(path: Path) -> Made | None:
    """What a result was made of; None if the file is not a whole one of ours."""
    try:
        with Image.open(path, formats=list(OPTIONS)) as picture:
            return xmp.made_of(picture.info["xmp"])
    except Exception:  # a broken file makes Pillow's readers stumble over just about anything
        return None
