"""Photographs as people have them: any format that Pillow reads, the right way up, in the colours that are meant."""

import io
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from pipeline.errors import PipelineError

ORIENTATION = 0x0112  # the EXIF tag; 1 is upright


def find(folder: Path) -> list[Path]:
    """Files below a folder whose suffix is that of a picture, sorted.

    The others are counted on stderr, hidden ones not even that.
    """
    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    below = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    visible = [path for path in below if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    others = Counter(path.suffix.lower() or path.name for path in visible if path.suffix.lower() not in suffixes)
    if others:
        listed = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(5))
        print(f"{folder}: files of other kinds passed over: {listed}", file=sys.stderr)
    return [path for path in visible if path.suffix.lower() in suffixes]


def read(path: Path, smallest: int | None = None) -> Image.Image:
    """The first picture of a file, in whatever mode it is, the right way up; its `format` says what the file is.

    Args:
        path: the file.
        smallest: a side in pixels that is enough; lets a JPEG decode at a fraction of its size, much faster.

    Raises:
        Exception: whatever Pillow raises for a file that it cannot read, and for one too large to be honest; see
            `reason`. A broken file makes its readers stumble over just about anything.
    """
    with Image.open(path) as picture:
        if smallest:
            picture.draft(None, (smallest, smallest))
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
    return picture


def reason(error: Exception) -> str:
    """Why a file could not be read or written, in one line, without its path."""
    if isinstance(error, UnidentifiedImageError):  # whose message is the path again
        return "not a picture"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def large_ones() -> Iterator[None]:
    """Photographs of 90 to 180 megapixels are read without a warning: a camera can. Larger ones stay an error.

    For the main thread: Python's warnings are the same for all threads.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def upright(picture: Image.Image) -> Image.Image:
    """A picture turned as its EXIF orientation says; itself if that is upright."""
    if picture.getexif().get(ORIENTATION, 1) == 1:
        return picture
    return ImageOps.exif_transpose(picture)


def separate(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """What to see of a picture of any mode, and how much of it.

    Returns:
        Colours or greys in sRGB, of mode RGB, L or (16-bit grey; Pillow reads no other 16 bits) I;16, and alpha, of
        mode L, if any of it may be transparent.

    Raises:
        PipelineError: there are no pixels, or they are floating-point numbers.
    """
    if 0 in picture.size:
        raise PipelineError(f"{picture.width}×{picture.height} pixels, so there is nothing to see; give a larger one")
    if picture.mode == "F":
        raise PipelineError("floating-point pixels, whose range is not known; save it with 8 or 16 bits")
    if picture.mode.startswith("I"):  # Pillow's own conversion clips it to 8 bits
        return Image.fromarray(np.asarray(picture).clip(0, 65535).astype(np.uint16)), None
    alpha = None
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
    if picture.mode not in ("RGB", "L", "CMYK"):
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    return _to_srgb(picture), alpha


def to_rgb(picture: Image.Image) -> Image.Image:
    """A picture of any mode as one of mode RGB, in sRGB; transparent parts are white.

    Raises:
        PipelineError: as `separate`.
    """
    opaque, alpha = separate(picture)
    rgb = to_8_bits(opaque).convert("RGB")
    return Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha) if alpha else rgb


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
