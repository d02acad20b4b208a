"""HEIC and HEIF, by pillow-heif: what Pillow has to be told of such files, and what it does not tell of them."""

import re
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

SUFFIXES = {".heic", ".heif", ".hif"}
SIDES = re.compile(rb"ispe\0{4}(.{4})(.{4})", re.DOTALL)  # a property of each picture, and of each tile (ISO 23008-12)


def register() -> None:
    """Have Pillow open such files, and never take a thumbnail for the picture."""
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)


def count_pixels(file: BinaryIO) -> int:
    """Of all pictures in a file together, or of what the largest is cut out of, should that be more.

    Raises:
        ValueError, RuntimeError, EOFError, SyntaxError, OSError: it is broken.
    """
    import pillow_heif

    file.seek(0)
    content = file.read()
    stored = (struct.unpack(">II", b"".join(sides)) for sides in SIDES.findall(content))
    largest = max((width * height for width, height in stored), default=0)
    return max(largest, sum(width * height for width, height in (one.size for one in pillow_heif.open_heif(content))))


def left_out(info: Mapping[Any, Any]) -> list[str]:
    """What belongs to a picture and is not read, a line each; what Pillow says of it is given."""
    views = [*(info.get("depth_images") or ()), *(info.get("aux") or ())]
    others = [str(block.get("content_type") or block.get("type")) for block in info.get("metadata") or ()]
    return [
        *(["what belongs to the photograph in its file: a gain map, depths or masks"] if views else []),
        *(f"metadata called {name}" for name in others),
    ]
