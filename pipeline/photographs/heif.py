"""HEIC and HEIF, by pillow-heif: what Pillow has to be told of such files, and what it does not tell of them."""

import re
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from pipeline.system.errors import PipelineError

SUFFIXES = {".heic", ".heif", ".hif"}
SIDES = re.compile(rb"ispe\0{4}(.{4})(.{4})", re.DOTALL)  # a property of each picture, and of each tile (ISO 23008-12)
# Transfer characteristics (ITU-T H.273) whose tones are not those of sRGB, or of television, which is near it.
TONES = {8: "linear", 9: "logarithmic", 10: "logarithmic", 16: "PQ (HDR)", 17: "of the cinema", 18: "HLG (HDR)"}


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


def check_tones(info: Mapping[Any, Any]) -> None:
    """See that a picture without a profile has tones that are read here; what Pillow says of it is given.

    Raises:
        PipelineError: it has others.
    """
    coded = info.get("nclx_profile")
    tones = TONES.get(coded.get("transfer_characteristics", 0)) if isinstance(coded, dict) else None
    if tones:
        raise PipelineError(f"tones that are {tones}, which are not read here; save it as JPEG, PNG or TIFF in sRGB")


def left_out(info: Mapping[Any, Any]) -> list[str]:
    """What belongs to a picture and is not read, a line each; what Pillow says of it is given."""
    views = [*(info.get("depth_images") or ()), *(info.get("aux") or ())]
    others = [str(block.get("content_type") or block.get("type")) for block in info.get("metadata") or ()]
    return [
        *(["what belongs to the photograph in its file: a gain map, depths or masks"] if views else []),
        *(f"metadata called {name}" for name in others),
    ]
