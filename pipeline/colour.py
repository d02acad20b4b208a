"""Colour spaces, as named inverse pairs on tensors: the only place that knows how RGB becomes L and ab.

sRGB (IEC 61966-2-1) ↔ linear RGB ↔ XYZ (D65, 2° observer) ↔ CIE 1976 L*a*b*, with scikit-image's matrix.
Networks see

    l   (N, 1, H, W)  L* / 50 − 1, in [-1, 1]
    ab  (N, 2, H, W)  a*, b* / 110, in about [-1, 1] (sRGB reaches −0.98 to 0.90)
"""

from functools import cache

import torch
from torch import Tensor

AB_SCALE = 110.0

_RGB_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_EPSILON, _KAPPA = 0.008856, 7.787  # where Lab's cube root becomes a line, and the slope of that line


@cache
def _matrices(device: torch.device) -> tuple[Tensor, Tensor]:
    """Linear RGB → XYZ relative to white, and its inverse, each (3, 3)."""
    forward = torch.tensor(_RGB_TO_XYZ, dtype=torch.float64)
    # White is where R = G = B = 1 lands, so that greys have no colour at all; tables of D65 round it to 5 digits.
    forward /= forward.sum(dim=1, keepdim=True)
    return forward.float().to(device), torch.linalg.inv(forward).float().to(device)


def _mix(matrix: Tensor, channels: Tensor) -> Tensor:
    """Multiply the channels of each pixel, (N, 3, H, W), by a (3, 3) matrix."""
    return torch.einsum("ij,njhw->nihw", matrix, channels)


def srgb_to_linear(srgb: Tensor) -> Tensor:
    """Undo sRGB's transfer function; values in [0, 1], any shape."""
    return torch.where(srgb > 0.04045, ((srgb + 0.055) / 1.055).clamp_min(0) ** 2.4, srgb / 12.92)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Apply sRGB's transfer function; values in [0, 1], any shape."""
    return torch.where(linear > 0.0031308, 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055, linear * 12.92)


def _lab_root(ratio: Tensor) -> Tensor:
    return torch.where(ratio > _EPSILON, ratio.clamp_min(_EPSILON) ** (1 / 3), _KAPPA * ratio + 16 / 116)


def _lab_cube(root: Tensor) -> Tensor:
    return torch.where(root > 0.2068966, root**3, (root - 16 / 116) / _KAPPA)


def rgb_to_l_ab(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Split pictures into what the network sees and what it paints.

    Args:
        rgb: sRGB, (N, 3, H, W), float in [0, 1].

    Returns:
        l (N, 1, H, W) in [-1, 1] and ab (N, 2, H, W) in about [-1, 1].
    """
    forward, _ = _matrices(rgb.device)
    x, y, z = _lab_root(_mix(forward, srgb_to_linear(rgb))).unbind(1)  # each (N, H, W)
    lightness = (116 * y - 16) / 50 - 1
    ab = torch.stack((500 * (x - y), 200 * (y - z)), dim=1) / AB_SCALE
    return lightness.unsqueeze(1), ab


def l_ab_to_rgb(l: Tensor, ab: Tensor) -> Tensor:  # noqa: E741  (L is the field's name for lightness)
    """The inverse of `rgb_to_l_ab`; colours outside sRGB are clipped.

    Returns:
        sRGB, (N, 3, H, W), float in [0, 1].
    """
    _, inverse = _matrices(l.device)
    y = ((l + 1) * 50 + 16) / 116  # (N, 1, H, W)
    a, b = (ab * AB_SCALE).split(1, dim=1)
    roots = torch.cat((y + a / 500, y, y - b / 200), dim=1)
    return linear_to_srgb(_mix(inverse, _lab_cube(roots)).clamp(0, 1)).clamp(0, 1)


def l_to_grey(l: Tensor) -> Tensor:  # noqa: E741
    """The sRGB value, in [0, 1], of the grey that has lightness l, in [-1, 1]; any shape."""
    return linear_to_srgb(_lab_cube(((l + 1) * 50 + 16) / 116).clamp(0, 1))


def grey_to_l(grey: Tensor) -> Tensor:
    """The inverse of `l_to_grey`; any shape."""
    return (116 * _lab_root(srgb_to_linear(grey)) - 16) / 50 - 1


def bytes_to_rgb(pictures: Tensor) -> Tensor:
    """8-bit pictures, (N, H, W, 3), as the data sets store them → float (N, 3, H, W) in [0, 1]."""
    return pictures.permute(0, 3, 1, 2).float() / 255


def rgb_to_bytes(rgb: Tensor) -> Tensor:
    """The inverse of `bytes_to_rgb`, rounded to the nearest of 256 steps."""
    return (rgb.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1)
