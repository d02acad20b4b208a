"""Colour profiles: pixels that mean other tones or colours than those of sRGB, brought to sRGB.

A profile that fits is applied by Little CMS. Between greys and colours it fits by its tone curve: greys in a profile of
RGB are its neutral colours, and RGB pixels in a profile of greys are three grey channels, for such a picture was grey.
"""

import io
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from pipeline.photographs import heif
from pipeline.system.errors import PipelineError

Profile = ImageCms.ImageCmsProfile

_WAY_OUT = "save it with the right one, or, if it is in sRGB, without"


def find(info: Mapping[Any, Any]) -> Profile | None:
    """What the pixels of a picture are said to mean, by its `info`; None if that is sRGB.

    That is an ICC profile or, in a PNG file that has none, a gamma.

    Raises:
        PipelineError: there is a profile or a gamma, but it is broken; or tones that are not read here.
    """
    if info.get("icc_profile", b"") != b"":
        try:
            return Profile(io.BytesIO(info["icc_profile"] or b""))  # None where Pillow could not unpack it
        except OSError:
            raise PipelineError(f"a broken colour profile; {_WAY_OUT}") from None
    heif.check_tones(info)
    gamma = info.get("gamma")
    if gamma and "srgb" not in info and not 0.95 < gamma * 2.2 < 1.05:  # libpng's threshold
        if not 0.1 < gamma < 10:
            raise PipelineError(f"a gamma of {gamma:g}, which no picture has; {_WAY_OUT}")
        return _grey_profile(b"para" + struct.pack(">IHHi", 0, 0, 0, round(65536 / gamma)))
    return None


def to_srgb(opaque: Image.Image, profile: Profile | None) -> Image.Image:
    """A picture of mode L, I;16, RGB, CMYK or LAB as one in sRGB: of mode L, I;16 or RGB.

    Greys with a profile become I;16, lest two of them become one.

    Raises:
        PipelineError: the profile is broken, or made for pixels of another kind.
    """
    space = profile.profile.xcolor_space.strip() if profile else ""
    try:
        if not profile or (opaque.mode, space) == ("LAB", "Lab"):
            return opaque.convert("RGB") if opaque.mode in ("CMYK", "LAB") else opaque
        if opaque.mode in ("L", "I;16") and space in ("GRAY", "RGB"):
            curve = _tone_curve(profile, space)
            return Image.fromarray(curve[:: 257 if opaque.mode == "L" else 1][np.asarray(opaque)])
        if (opaque.mode, space) == ("RGB", "GRAY"):
            curve = (_tone_curve(profile, space)[::257] / 257).round().astype(int)
            return opaque.point(curve.tolist() * 3)
        if opaque.mode == space:
            to_srgb = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), opaque.mode, "RGB")
            return to_srgb.apply(opaque)
    except ImageCms.PyCMSError:
        raise PipelineError(f"a broken colour profile; {_WAY_OUT}") from None
    kind = "grey" if opaque.mode in ("L", "I;16") else opaque.mode
    raise PipelineError(f"a colour profile for {space} on {kind} pixels; {_WAY_OUT}")


def _tone_curve(profile: Profile, space: str) -> np.ndarray:
    """What 16-bit greys mean, (65536,) uint16, as those of sRGB."""
    srgb = _grey_profile(_tags(Profile(ImageCms.createProfile("sRGB")).tobytes())[b"rTRC"])
    if space == "GRAY":
        ramp = Image.fromarray(np.arange(65536, dtype=np.uint16)[None])
    else:  # of RGB, Pillow has 8 bits
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2))
    exact = ImageCms.Flags.NOOPTIMIZE  # otherwise dark tones are off by up to 4 %
    transform = ImageCms.buildTransform(profile, srgb, ramp.mode, "I;16", flags=exact)
    curve = np.asarray(transform.apply(ramp))[0]
    return np.interp(np.linspace(0, 1, 65536), np.linspace(0, 1, len(curve)), curve).round().astype(np.uint16)


def _grey_profile(curve: bytes) -> Profile:
    """A profile of greys with a tone curve, which is the content of a tag of type `curv` or `para` (ICC.1:2022)."""
    like = Profile(ImageCms.createProfile("sRGB")).tobytes()
    tags = {name: _tags(like)[name] for name in (b"desc", b"cprt", b"wtpt")} | {b"kTRC": curve}
    start = 132 + 12 * len(tags)
    table = content = b""
    for name, tag in tags.items():
        table += name + struct.pack(">II", start + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    size, number = struct.pack(">I", start + len(content)), struct.pack(">I", len(tags))
    return Profile(io.BytesIO(size + like[4:16] + b"GRAY" + like[20:128] + number + table + content))


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Name → content of each tag of a profile (ICC.1:2022, 7.3)."""
    (number,) = struct.unpack_from(">I", profile, 128)
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(number))
    return {name: profile[start : start + size] for name, start, size in entries}
