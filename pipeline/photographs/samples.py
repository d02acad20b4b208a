"""What the numbers are that a file stores: of how many bits, which of them is white, and which is transparent."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from pipeline.system.errors import PipelineError

# Tags of TIFF 6.0
_BITS, _COMPRESSION, _PHOTOMETRIC, _MAXIMUM, _PLANES, _FORMAT = 258, 259, 262, 281, 284, 339
_UNKNOWN = {2: "signed integers", 3: "floating-point pixels", 5: "complex integers", 6: "complex pixels"}  # by format
_WHITE_IS_ZERO, _YCBCR = 0, 6  # photometric interpretations
_UNCOMPRESSED, _SEPARATE = 1, 2  # a compression, and a configuration of planes
_PNG_SCALES = {"L;2": 85, "L;4": 17}  # Pillow brings these pixels to 8 bits, but not the key among them


class Stored(NamedTuple):
    """How a file stores a picture.

    raw: Pillow's name for the layout, such as `L;4`; empty once the picture is loaded.
    bits: of a grey pixel, where the file says so.
    maximum: of all pixels, where the file says so.
    white_is_zero: and Pillow does not undo that.
    """

    raw: str
    bits: int | None
    maximum: int | None
    white_is_zero: bool


def look(picture: Image.Image) -> Stored:
    """How the file of a picture stores it.

    Raises:
        PipelineError: in a way that does not say which number is black and which is white.
    """
    tags = getattr(picture, "tag_v2", {})  # of a TIFF file; turning the picture upright would lose them
    formats = {3} if picture.mode == "F" else set(tags.get(_FORMAT, ()))
    for number in formats & _UNKNOWN.keys():
        raise PipelineError(f"{_UNKNOWN[number]}, whose range is not known; save it with 8 or 16 bits, without a sign")
    photometric, uncompressed = tags.get(_PHOTOMETRIC), tags.get(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED
    bits = next(iter(tags.get(_BITS, ())), None)
    if uncompressed and tags.get(_PLANES) == _SEPARATE and picture.getbands() != ("I",) and (bits or 8) > 8:
        raise PipelineError(
            f"colours of {bits} bits, each by itself, which Pillow takes for 8 bits; save it compressed"
        )
    if photometric == _YCBCR and uncompressed and picture.mode == "RGB":
        raise PipelineError("YCbCr pixels without compression, which Pillow takes for RGB; save it as RGB")
    tiles = getattr(picture, "tile", None)
    raw = tiles[0].args if tiles else ""
    return Stored(
        raw=raw if isinstance(raw, str) else next((part for part in raw or () if isinstance(part, str)), ""),
        bits=bits,
        maximum=max(np.atleast_1d(tags.get(_MAXIMUM, ())), default=None),
        white_is_zero=photometric == _WHITE_IS_ZERO,
    )


def to_16_bits(values: np.ndarray, stored: Stored) -> np.ndarray:
    """Grey pixels, (H, W), of a picture of one of the modes I, as uint16 from 0, black, to 65535, white.

    Raises:
        PipelineError: they leave 16 bits, and the file does not say how many they have.
    """
    highest = 65535
    if stored.bits == 32:  # TIFF's are unsigned; Pillow takes them for signed
        values, highest = values.view(np.uint32), 2**32 - 1
    elif values.dtype.itemsize == 2 and stored.bits:
        highest = 2**stored.bits - 1
    if values.min() < 0 or values.max() > highest:
        raise PipelineError(
            f"integers from {values.min()} to {values.max()}, whose range is not known; save it with 8 or 16 bits"
        )
    # The file may say that fewer bits than it has room for are used, as the 12 of many cameras and scanners. TIFF means
    # the highest value that is there by that tag; only what is the end of a range is taken for one.
    used = stored.maximum or 0
    if used in [2**bits - 1 for bits in range(9, 32)] and values.max() <= used < highest:
        highest = used
    if stored.white_is_zero:
        values = highest - values
    return values.astype(np.uint16) if highest == 65535 else (values * (65535 / highest)).round().astype(np.uint16)


def key(picture: Image.Image, stored: Stored) -> int | tuple[int, ...] | bytes | None:
    """What is transparent: a pixel's value, as the picture has it, or of a palette its alpha; None if nothing is so."""
    found = picture.info.get("transparency")
    if isinstance(found, int):
        return found * _PNG_SCALES.get(stored.raw, 1)
    if isinstance(found, tuple) and stored.raw == "RGB;16B":  # of which Pillow keeps the upper 8 bits
        return tuple(value >> 8 for value in found)
    return found
