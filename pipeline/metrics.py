"""How good colours are: pure functions that give each picture a number, and the distance between two sets of pictures.

Pictures are 8-bit sRGB as one is shown them, uint8 (N, H, W, 3); only `l1` and `edge_l1` look at the raw prediction.
Each function of pictures returns one number a picture, float (N,), so that means, differences and their intervals can
be had of them.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from skimage.color import deltaE_ciede2000
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from pipeline.colour import AB_SCALE, bytes_to_rgb, rgb_to_l_ab

# Rounding to 8 bits has a mean squared error of 1/12 of a step, so no picture is known better than to this, in dB.
PSNR_CEILING = 10 * math.log10(12 * 255**2)

TINY = 1e-30  # the root of 0 has no gradient


def l1(ab: Tensor, real_ab: Tensor) -> Tensor:
    """Mean absolute error over pixels and both channels, in units of ab / 110.

    Args:
        ab: raw prediction, (N, 2, H, W), as in pipeline/colour.py.
        real_ab: what it should have been, (N, 2, H, W).
    """
    return (ab - real_ab).abs().mean(dim=(1, 2, 3))


def edge_l1(ab: Tensor, real_ab: Tensor) -> Tensor:
    """L1 of what neighbouring pixels differ by, below plus to the right, in units of ab / 110.

    Colours that come in specks and spots, or as a checkerboard, have edges where the real picture has none, and lie
    above grey, which has no edges at all. After Mathieu et al. 2016, 'Deep Multi-Scale Video Prediction beyond Mean
    Square Error', eq. 6.

    Args:
        ab: raw prediction, (N, 2, H, W).
        real_ab: what it should have been, (N, 2, H, W).
    """
    return l1(ab.diff(dim=2), real_ab.diff(dim=2)) + l1(ab.diff(dim=3), real_ab.diff(dim=3))


def psnr(pictures: Tensor, real: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, at most `PSNR_CEILING`: equal pictures would make every mean infinite."""
    ratio = peak_signal_noise_ratio(
        bytes_to_rgb(pictures), bytes_to_rgb(real), data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    return ratio.clamp(max=PSNR_CEILING)


def ssim(pictures: Tensor, real: Tensor) -> Tensor:
    """Structural similarity, at most 1: Wang et al. 2004, a Gaussian window of σ = 1.5, the mean over the channels.

    The window's border is reflected, which needs sides of at least 6 pixels.
    """
    # All channels of all pictures are handed over as the channels of one: the same numbers in a third of the time,
    # because the convolution is slow with few channels.
    count, height, width, _ = pictures.shape
    flat = [bytes_to_rgb(batch).reshape(1, -1, height, width) for batch in (pictures, real)]
    _, similarity = structural_similarity_index_measure(*flat, data_range=1.0, return_full_image=True)
    return similarity.reshape(count, -1).mean(dim=1)


def ciede2000(pictures: Tensor, real: Tensor) -> Tensor:
    """Mean over the pixels of the CIEDE2000 colour difference (Sharma et al. 2005); 1 can just be seen."""
    differences = deltaE_ciede2000(_lab(real), _lab(pictures))  # (N, H, W)
    return torch.from_numpy(differences.mean(axis=(1, 2)))


def _lab(pictures: Tensor) -> np.ndarray:
    """CIE L*a*b*, (N, H, W, 3)."""
    l, ab = rgb_to_l_ab(bytes_to_rgb(pictures))  # noqa: E741
    return torch.cat(((l + 1) * 50, ab * AB_SCALE), dim=1).permute(0, 2, 3, 1).cpu().numpy()


def colourfulness(pictures: Tensor) -> Tensor:
    """Colourfulness M³ of Hasler & Süsstrunk 2003, from 0 (grey) to about 190 in sRGB; their 'quite colourful' is 59.

    The opponent channels rg = R − G and yb = (R + G) / 2 − B are signed, as in the paper. Pictures may be floats in
    [0, 255], too, through which gradients flow.
    """
    red, green, blue = pictures.permute(3, 0, 1, 2).float().flatten(2)  # each (N, H * W) in [0, 255]
    opponents = torch.stack((red - green, (red + green) / 2 - blue))  # (2, N, H * W)
    spread, mean = opponents.var(dim=2, correction=0).sum(dim=0), opponents.mean(dim=2).square().sum(dim=0)
    return spread.clamp_min(TINY).sqrt() + 0.3 * mean.clamp_min(TINY).sqrt()


class Gaussian(NamedTuple):
    """A mean, (F,), and a covariance, (F, F)."""

    mean: np.ndarray
    covariance: np.ndarray


def gaussian(features: np.ndarray, counts: np.ndarray) -> Gaussian:
    """The Gaussian of a set of features in which row i occurs counts[i] times: a bootstrap's resample, without a copy.

    Args:
        features: (N, F) float64; float32 is too coarse for the square roots of a Fréchet distance.
        counts: (N,), of which at least two together.
    """
    total = counts.sum()
    mean = counts @ features / total
    centred = features - mean
    return Gaussian(mean, (centred * counts[:, None]).T @ centred / (total - 1))


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """|µ₁ − µ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½): Dowson & Landau 1982; on features of pictures, Heusel et al. 2017.

    tr (Σ₁ Σ₂)^½ is the sum of the roots of the eigenvalues of Σ₁^½ Σ₂ Σ₁^½, which is symmetric and has none below 0
    but by rounding, so that singular covariances need no special care.
    """
    values, vectors = np.linalg.eigh(first.covariance)
    root = vectors * np.sqrt(values.clip(min=0))  # root @ root.T = Σ₁, which serves as Σ₁^½ does: same eigenvalues
    common = np.sqrt(np.linalg.eigvalsh(root.T @ second.covariance @ root).clip(min=0)).sum()
    spread = np.trace(first.covariance) + np.trace(second.covariance) - 2 * common
    return max(0.0, float(np.square(first.mean - second.mean).sum() + spread))
