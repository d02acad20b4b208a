"""Colour spaces, as named inverse pairs on tensors: the only place that knows how RGB becomes L and ab.

sRGB (IEC 61966-2-1) ↔ linear RGB ↔ XYZ (D65, 2° observer) ↔ CIE 1976 L*a*b*, with scikit-image's matrix.
Networks see

    l   (N, 1, H, W)  L* / 50 − 1, in [-1, 1]
    ab  (N, 2, H, W)  a*, b* / 110, in about [-1, 1] (sRGB reaches −0.98 to 0.90)

Each function takes torch tensors or NumPy arrays and returns the same kind, on the same device: training needs the
former, a photograph is coloured with the latter alone, without waiting for torch.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from array_api_compat import array_namespace

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", "torch.Tensor", np.ndarray)  # of floats where nothing else is said

AB_SCALE = 110.0
BISECTIONS = 4  # to within a sixteenth of a colour's chroma

_RGB_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_EPSILON, _KAPPA = 0.008856, 7.787  # where Lab's cube root becomes a line, and the slope of that line


# White is where R = G = B = 1 lands, so that greys have no colour at all; tables of D65 round it to 5 digits.
_RGB_TO_XYZ_OF_WHITE = np.array(_RGB_TO_XYZ) / np.sum(_RGB_TO_XYZ, axis=1, keepdims=True)
# As Python's numbers, which take on the precision and the device of what they are multiplied by.
_FORWARD, _INVERSE = _RGB_TO_XYZ_OF_WHITE.tolist(), np.linalg.inv(_RGB_TO_XYZ_OF_WHITE).tolist()


def _mix(weights: Sequence[float], channels: Array) -> Array:
    """Add up the three channels of each pixel, (N, 3, H, W) → (N, H, W), by their weights."""
    first, second, third = weights
    return first * channels[:, 0] + second * channels[:, 1] + third * channels[:, 2]


def srgb_to_linear(srgb: Array) -> Array:
    """Undo sRGB's transfer function; values in [0, 1], any shape."""
    return _where(srgb > 0.04045, ((srgb + 0.055) / 1.055).clip(0) ** 2.4, srgb / 12.92)


def linear_to_srgb(linear: Array) -> Array:
    """Apply sRGB's transfer function; values in [0, 1], any shape."""
    return _where(linear > 0.0031308, 1.055 * linear.clip(0.0031308) ** (1 / 2.4) - 0.055, linear * 12.92)


def _where(condition: Array, true: Array, false: Array) -> Array:
    return array_namespace(condition).where(condition, true, false)


def _lab_root(ratio: Array) -> Array:
    return _where(ratio > _EPSILON, ratio.clip(_EPSILON) ** (1 / 3), _KAPPA * ratio + 16 / 116)


def _lab_cube(root: Array) -> Array:
    return _where(root > 0.2068966, root * root * root, (root - 16 / 116) / _KAPPA)


def rgb_to_l_ab(rgb: Array) -> tuple[Array, Array]:
    """Split pictures into what the network sees and what it paints.

    Args:
        rgb: sRGB, (N, 3, H, W), float in [0, 1].

    Returns:
        l (N, 1, H, W) in [-1, 1] and ab (N, 2, H, W) in about [-1, 1].
    """
    linear = srgb_to_linear(rgb)
    x, y, z = (_lab_root(_mix(weights, linear)) for weights in _FORWARD)  # each (N, H, W)
    ab = array_namespace(rgb).stack((500 * (x - y), 200 * (y - z)), axis=1) / AB_SCALE
    return _root_to_l(y)[:, None], ab


def rgb_to_l(rgb: Array) -> Array:
    """The lightness alone, for less than half the work: sRGB, (N, 3, H, W) in [0, 1] → l (N, 1, H, W)."""
    return _root_to_l(_lab_root(_mix(_FORWARD[1], srgb_to_linear(rgb))))[:, None]


def l_ab_to_rgb(l: Array, ab: Array) -> Array:  # noqa: E741  (L is the field's name for lightness)
    """The inverse of `rgb_to_l_ab`; colours outside sRGB are clipped, which has gradients but moves L* by up to 9.

    Returns:
        sRGB, (N, 3, H, W), float in [0, 1].
    """
    return linear_to_srgb(_l_ab_to_linear(l, ab).clip(0, 1)).clip(0, 1)


def l_ab_to_rgb_by_chroma(l: Array, ab: Array) -> Array:  # noqa: E741
    """The inverse of `rgb_to_l_ab`; colours outside sRGB keep lightness and hue, and lose chroma until they fit in.

    Only those cost more than in `l_ab_to_rgb`. Without gradients.

    Returns:
        sRGB, (N, 3, H, W), float in [0, 1].
    """
    linear = _l_ab_to_linear(l, ab)
    outside = ~_within_srgb(linear)  # (N, H, W)
    if outside.any():
        pixels = _lower_chroma(*(channel[outside][None] for channel in (l[:, 0], ab[:, 0], ab[:, 1])))
        for channel in range(3):
            linear[:, channel][outside] = pixels[0, channel]
    return linear_to_srgb(linear.clip(0, 1)).clip(0, 1)


def _lower_chroma(l: Array, a: Array, b: Array) -> Array:  # noqa: E741
    """Linear RGB, (1, 3, W), on the edge of sRGB, of pixels outside: of their l, a and b, (1, W) each.

    Bisection finds a share of the chroma that is just outside. What is left is mixed with the grey of that lightness
    in linear light, which does not change lightness, and over so short a way hardly changes hue.
    """
    xp = array_namespace(l, a, b)
    root = _l_to_root(l)
    grey, to_x, to_z = _lab_cube(root), a * (AB_SCALE / 500), b * (-AB_SCALE / 200)

    def linear(share: Array) -> Array:
        xyz = (_lab_cube(root + share * to_x), grey, _lab_cube(root + share * to_z))
        return _xyz_to_linear(xp.stack(xyz, axis=1))

    share = 1 + 0 * l
    for step in range(1, BISECTIONS + 1):
        less = share - 0.5**step
        share = _where(_within_srgb(linear(less)), share, less)
    outside, grey = linear(share), grey[:, None]
    lightest, darkest = (edge(outside, axis=1, keepdims=True) for edge in (xp.max, xp.min))
    # How far the colour is from its grey, as a multiple of what sRGB has room for; white and black have none.
    up, down = (lightest - grey) / (1 - grey).clip(1e-6), (grey - darkest) / grey.clip(1e-6)
    return grey + (outside - grey) / _where(up > down, up, down).clip(1)


def _within_srgb(linear: Array) -> Any:
    """Whether each pixel's channels are in [0, 1]: bool (N, H, W), of the same kind."""
    xp = array_namespace(linear)
    return xp.all((linear >= 0) & (linear <= 1), axis=1)


def _l_ab_to_linear(l: Array, ab: Array) -> Array:  # noqa: E741
    """Linear RGB, beyond [0, 1] where sRGB has no such colour."""
    y = _l_to_root(l)  # (N, 1, H, W)
    a, b = ab[:, :1] * AB_SCALE, ab[:, 1:] * AB_SCALE
    return _xyz_to_linear(_lab_cube(array_namespace(l, ab).concat((y + a / 500, y, y - b / 200), axis=1)))


def _xyz_to_linear(xyz: Array) -> Array:
    return array_namespace(xyz).stack([_mix(weights, xyz) for weights in _INVERSE], axis=1)


def _root_to_l(root: Array) -> Array:
    return (116 * root - 16) / 50 - 1


def _l_to_root(l: Array) -> Array:  # noqa: E741
    return ((l + 1) * 50 + 16) / 116


def l_to_grey(l: Array) -> Array:  # noqa: E741
    """The sRGB value, in [0, 1], of the grey that has lightness l, in [-1, 1]; any shape."""
    return linear_to_srgb(_lab_cube(_l_to_root(l)).clip(0, 1))


def grey_to_l(grey: Array) -> Array:
    """The inverse of `l_to_grey`; any shape."""
    return _root_to_l(_lab_root(srgb_to_linear(grey)))


def bytes_to_rgb(pictures: Array) -> Array:
    """8-bit pictures, (N, H, W, 3), as the data sets store them → float (N, 3, H, W) in [0, 1]."""
    xp = array_namespace(pictures)
    return xp.astype(xp.permute_dims(pictures, (0, 3, 1, 2)), xp.float32) / 255


def rgb_to_bytes(rgb: Array) -> Array:
    """The inverse of `bytes_to_rgb`, rounded to the nearest of 256 steps."""
    xp = array_namespace(rgb)
    return xp.permute_dims(xp.astype((rgb.clip(0, 1) * 255).round(), xp.uint8), (0, 2, 3, 1))
