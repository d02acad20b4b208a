"""What the pixels of a photograph mean: colours or greys in sRGB, the right way up, and how much of them is seen."""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageOps

from pipeline.errors import PipelineError

ORIENTATION = 0x0112  # the EXIF tag; 1 is upright


class Seen(NamedTuple):
    """A picture that is understood.

    opaque: the right way up, in sRGB: of mode RGB, L or (16-bit grey; Pillow reads no other 16 bits) I;16.
    alpha: how much of it is seen, of mode L and the same size; None if all of it is.
    """

    opaque: Image.Image
    alpha: Image.Image | None


def understand(picture: Image.Image) -> Seen:
    """What to see of a picture of any mode, and how much of it.

    Raises:
        PipelineError: there are no pixels, or they are floating-point numbers.
    """
    if picture.getexif().get(ORIENTATION, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    if 0 in picture.size:
        raise PipelineError(f"{picture.width}×{picture.height} pixels, so there is nothing to see; give a larger one")
    if picture.mode == "F":
        raise PipelineError("floating-point pixels, whose range is not known; save it with 8 or 16 bits")
    if picture.mode.startswith("I"):  # Pillow's own conversion clips it to 8 bits
        return Seen(Image.fromarray(np.asarray(picture).clip(0, 65535).astype(np.uint16)), None)
    alpha = None
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
    if picture.mode not in ("RGB", "L", "CMYK"):
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    return Seen(_to_srgb(picture), alpha)


def to_rgb(seen: Seen) -> Image.Image:
    """A picture as one of mode RGB; transparent parts are white."""
    rgb = to_8_bits(seen.opaque).convert("RGB")
    return Image.composite(rgb, Image.new("RGB", rgb.size, "white"), seen.alpha) if seen.alpha else rgb


def to_8_bits(opaque: Image.Image) -> Image.Image:
    """A picture of mode I;16 as one of mode L; one of another mode as it is."""
    if opaque.mode != "I;16":
        return opaque
    return Image.fromarray((np.asarray(opaque) // 257).astype(np.uint8))


def _to_srgb(picture: Image.Image) -> Image.Image:
    """A picture of mode RGB, L or CMYK in the colours that its profile means: phones save Display P3.

    Without a usable profile, RGB and L are taken for sRGB.
    """
    profile = picture.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            pass
    return picture.convert("RGB") if picture.mode == "CMYK" else picture
