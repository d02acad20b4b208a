"""Pictures as NumPy arrays, in and out: rows from the top, channels last, in sRGB."""

import numpy as np
from PIL import Image

from pipeline.system.errors import PipelineError

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # by the number of channels
ALLOWED = "(height, width) or (height, width, 1 to 4 channels: grey, grey and alpha, RGB, RGBA)"


def to_picture(array: np.ndarray) -> Image.Image:
    """A picture of an array.

    Args:
        array: (H, W) greys, or (H, W, C) with C of 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; sRGB as uint8, uint16, or
            floats in [0, 1].

    Returns:
        A picture of mode L, LA, RGB or RGBA; greys without alpha of more than 8 bits have mode I;16.

    Raises:
        PipelineError: it has another shape or type, or floats that are not in [0, 1].
    """
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in MODES:
        raise PipelineError(f"an array of shape {array.shape}, allowed: {ALLOWED}")
    if array.dtype not in (np.uint8, np.uint16) and array.dtype.kind != "f":
        raise PipelineError(f"an array of {array.dtype}, allowed: uint8, uint16, and floats in [0, 1]")
    if array.dtype.kind == "f" and not ((array >= 0) & (array <= 1)).all():
        raise PipelineError("an array of floats beyond [0, 1], or not finite; allowed: 0, black, to 1, white")
    wanted = np.uint8 if channels > 1 or array.dtype == np.uint8 else np.uint16
    pixels = np.ascontiguousarray(_scaled(array, wanted))
    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and channels == 1 else pixels)


def from_picture(picture: Image.Image, dtype: np.dtype) -> np.ndarray:
    """A picture as an array, (H, W, C), of uint8, uint16 or floats in [0, 1]; the inverse of `to_picture`."""
    return _scaled(np.array(picture), dtype)


def _scaled(values: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """Black stays black, and white white."""
    if values.dtype == dtype:
        return values
    black_to_white = values.astype(np.float64) / _white(values.dtype) * _white(np.dtype(dtype))
    return (black_to_white if np.dtype(dtype).kind == "f" else black_to_white.round()).astype(dtype)


def _white(dtype: np.dtype) -> int:
    return 1 if dtype.kind == "f" else np.iinfo(dtype).max
