"""What the pixels of a photograph mean: colours or greys in sRGB, the right way up, and how much of them is seen.

In this order, each step needing what the next one loses: what the numbers are (`samples`), which way is up, what is
seen of them, and only then what tones and colours they stand for (`profiles`).
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from pipeline.photographs import carried, profiles, samples
from pipeline.system.errors import PipelineError


class Seen(NamedTuple):
    """A picture that is understood.

    opaque: the right way up, in sRGB: of mode RGB, L or (16-bit grey; Pillow reads no other 16 bits) I;16.
    alpha: how much of it is seen, of mode L and the same size; None if all of it is.
    """

    opaque: Image.Image
    alpha: Image.Image | None


def understand(picture: Image.Image, stored: samples.Stored | None = None) -> Seen:
    """What to see of a picture of any mode, and how much of it.

    Args:
        picture: as Pillow opened it, best not loaded.
        stored: how its file stores it, if that was looked at already.

    Raises:
        PipelineError: there are no pixels; they are signed, floating-point, or of a range that is not known; or their
            colour profile is broken, or made for pixels of another kind.
    """
    if 0 in picture.size:
        raise PipelineError(f"{picture.width}×{picture.height} pixels, so there is nothing to see; give a larger one")
    stored = stored or samples.look(picture)
    carried.load(picture)
    profile = profiles.find(picture)
    if carried.orientation(picture) != 1:
        picture = ImageOps.exif_transpose(picture)
    opaque, alpha = _split(picture, stored)
    opaque = profiles.to_srgb(opaque, profile)
    if profile:  # now it is another picture, of which these are not true any more
        for heeded in ("icc_profile", "gamma"):
            opaque.info.pop(heeded, None)
    return Seen(opaque, alpha)


def _split(picture: Image.Image, stored: samples.Stored) -> tuple[Image.Image, Image.Image | None]:
    """Opaque pixels, of mode L, I;16, RGB, CMYK or LAB, as their profile wants them, and alpha."""
    key = samples.key(picture, stored)  # the colour that is transparent
    if picture.mode.startswith("I"):
        values = np.asarray(picture)
        alpha = None if key is None else Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
        return Image.fromarray(samples.to_16_bits(values, stored)), alpha
    if picture.has_transparency_data:
        if key != picture.info.get("transparency"):
            picture = picture.copy()  # the one given stays as it is: further frames of it may follow
            picture.info["transparency"] = key
        opaque = "L" if picture.mode in ("1", "L", "LA", "La") else "RGB"
        picture = picture.convert(f"{opaque}A")
        return picture.convert(opaque), picture.getchannel("A")
    if picture.mode in ("L", "RGB", "CMYK", "LAB"):
        return picture, None
    return picture.convert("L" if picture.mode == "1" else "RGB"), None


def to_rgb(seen: Seen) -> Image.Image:
    """A picture as one of mode RGB; transparent parts are white."""
    rgb = to_8_bits(seen.opaque).convert("RGB")
    return Image.composite(rgb, Image.new("RGB", rgb.size, "white"), seen.alpha) if seen.alpha else rgb


def to_8_bits(opaque: Image.Image) -> Image.Image:
    """A picture of mode I;16 as one of mode L; one of another mode as it is."""
    if opaque.mode != "I;16":
        return opaque
    return Image.fromarray(((np.asarray(opaque).astype(np.uint32) + 128) // 257).astype(np.uint8))
