"""Colour profiles: pixels that mean other tones or colours than those of sRGB, brought to sRGB.

A profile that fits is applied by Little CMS. Between greys and colours it fits by its tone curve: greys in a profile of
RGB are its neutral colours, and RGB pixels in a profile of greys are three grey channels, for such a picture was grey.
"""

import io
import re
import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms

from pipeline.photographs.tags import EXIF, INTEROPERABILITY
from pipeline.system.errors import PipelineError

Profile = ImageCms.ImageCmsProfile

COLOUR_SPACE, UNCALIBRATED = 0xA001, 0xFFFF
# Transfer characteristics (ITU-T H.273) whose tones are not those of sRGB, or of television, which is near it.
TONES = {8: "linear", 9: "logarithmic", 10: "logarithmic", 16: "PQ (HDR)", 17: "of the cinema", 18: "HLG (HDR)"}
CODED = {  # where files have them of which Pillow does not tell
    "AVIF": re.compile(rb"colrnclx..(..)", re.DOTALL),
    "PNG": re.compile(rb"\0\0\0\x04cICP.(.)", re.DOTALL),
}
NOTED = "nclx_profile"  # what pillow-heif calls them

_WAY_OUT = "save it with the right one, or, if it is in sRGB, without"


def note_tones(picture: Image.Image, file: BinaryIO) -> None:
    """Note what tones a file says that it has, which of a HEIF alone is noted already, and a JPEG 2000's profile.

    Args:
        picture: as Pillow opened it, not loaded.
        file: at the same place afterwards.
    """
    kind = picture.format or ""
    if kind not in (*CODED, "JPEG2000"):
        return
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    if kind == "JPEG2000":
        if profile := _in_jp2(content):
            picture.info["icc_profile"] = profile
    elif found := CODED[kind].search(content):
        picture.info[NOTED] = {"transfer_characteristics": int.from_bytes(found[1])}


def _in_jp2(content: bytes) -> bytes | None:
    """The profile that a JPEG 2000 begins its colours with, of which Pillow does not tell (ISO 15444-1, I.5.3.3)."""
    header = next((box for kind, box in _boxes(content) if kind == b"jp2h"), b"")
    colours = next((box for kind, box in _boxes(header) if kind == b"colr"), b"")
    return colours[3:] if colours[:1] in (b"\2", b"\3") else None  # or it is enumerated, as Pillow reads it


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box of a JPEG 2000; nothing of what is none (ISO 15444-1, I.4)."""
    start = 0
    while start + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, start)
        head = 8
        if length == 1 and start + 16 <= len(content):  # too long for four bytes
            (length,), head = struct.unpack_from(">Q", content, start + 8), 16
        end = start + length if length else len(content)
        if end < start + head:
            return
        yield kind, content[start + head : end]
        start = end


def find(picture: Image.Image) -> Profile | None:
    """What the pixels of a picture are said to mean; None if that is sRGB.

    That is an ICC profile; where there is none, in a PNG file a gamma, and in EXIF data Adobe RGB, as cameras have it.

    Args:
        picture: which is loaded.

    Raises:
        PipelineError: there is a profile or a gamma, but it is broken; or tones that are not read here.
    """
    info = picture.info
    if info.get("icc_profile", b"") != b"":
        try:
            return Profile(io.BytesIO(info["icc_profile"] or b""))  # None where Pillow could not unpack it
        except OSError:
            raise PipelineError(f"a broken colour profile; {_WAY_OUT}") from None
    _check_tones(info.get(NOTED))
    gamma = info.get("gamma")
    if gamma and "srgb" not in info and not 0.95 < gamma * 2.2 < 1.05:  # libpng's threshold
        if not 0.1 < gamma < 10:
            raise PipelineError(f"a gamma of {gamma:g}, which no picture has; {_WAY_OUT}")
        return _grey_profile(b"para" + struct.pack(">IHHi", 0, 0, 0, round(65536 / gamma)))
    said = "srgb" in info or NOTED in info or picture.mode in ("CMYK", "LAB")  # which counts more than EXIF data
    return _adobe_rgb() if not said and _says_adobe_rgb(picture.getexif()) else None


def _check_tones(coded: object) -> None:
    code = coded.get("transfer_characteristics", 0) if isinstance(coded, dict) else 0
    if code in TONES:
        raise PipelineError(
            f"tones that are {TONES[code]}, which are not read here; save it as JPEG, PNG or TIFF in sRGB"
        )


def _says_adobe_rgb(exif: Image.Exif) -> bool:
    """As cameras say it (DCF 2.0): a colour space that is not calibrated, and the rule R03."""
    try:
        inner, rule = exif.get_ifd(EXIF), exif.get_ifd(INTEROPERABILITY)
    except Exception:  # broken EXIF data make Pillow stumble over just about anything
        return False
    return inner.get(COLOUR_SPACE) == UNCALIBRATED and rule.get(1) == "R03"


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
    return _profile(b"GRAY", {b"kTRC": curve})


def _adobe_rgb() -> Profile:
    """Adobe RGB (1998): its gamma of 2 + 51/256, and its primaries, adapted to the white of profiles."""
    curve = b"curv" + struct.pack(">IIH", 0, 1, 0x0233)
    primaries = (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)
    tags = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True):
        tags[name] = b"XYZ " + struct.pack(">I3i", 0, *(round(65536 * part) for part in xyz))
    return _profile(b"RGB ", tags)


def _profile(space: bytes, own: Mapping[bytes, bytes]) -> Profile:
    """A profile of a space, with tags of its own."""
    like = Profile(ImageCms.createProfile("sRGB")).tobytes()
    tags = {name: _tags(like)[name] for name in (b"desc", b"cprt", b"wtpt")} | dict(own)
    start = 132 + 12 * len(tags)
    table = content = b""
    for name, tag in tags.items():
        table += name + struct.pack(">II", start + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    size, number = struct.pack(">I", start + len(content)), struct.pack(">I", len(tags))
    return Profile(io.BytesIO(size + like[4:16] + space + like[20:128] + number + table + content))


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Name → content of each tag of a profile (ICC.1:2022, 7.3)."""
    (number,) = struct.unpack_from(">I", profile, 128)
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(number))
    return {name: profile[start : start + size] for name, start, size in entries}
