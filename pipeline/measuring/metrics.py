"""How good colours are: pure functions that give each picture a number, and distances between two sets of pictures.

Pictures are 8-bit sRGB as one is shown them, uint8 (N, H, W, 3), or their CIE L*a*b*, see `lab`; only `l1` and
`edge_l1` look at the raw prediction. Each function of pictures returns one number a picture, float (N,), so that means,
differences and their intervals can be had of them.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from pipeline.colour import AB_SCALE, bytes_to_rgb

# Rounding to 8 bits has a mean squared error of 1/12 of a step, so no picture is known better than to this, in dB.
PSNR_CEILING = 10 * math.log10(12 * 255**2)

TINY = 1e-30  # the root of 0 has no gradient
TOGETHER = 1000  # pictures of which each is compared with each, for a kernel distance
AT_ONCE = 10_000  # pictures whose features are held in float64
RIDGE = 1e-6  # of the mean variance, added to each feature's, lest a map stretches one that has next to none


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
    painted, true = (bytes_to_rgb(batch).reshape(1, -1, height, width) for batch in (pictures, real))
    _, similarity = structural_similarity_index_measure(painted, true, data_range=1.0, return_full_image=True)
    return similarity.reshape(count, -1).mean(dim=1)


def rgb_error(pictures: Tensor, real: Tensor) -> Tensor:
    """Mean absolute error over pixels and channels of sRGB in [0, 1]."""
    return (pictures.float() - real.float()).abs().mean(dim=(1, 2, 3)) / 255


def lab(l: Tensor, ab: Tensor) -> Tensor:  # noqa: E741
    """CIE L*a*b*, (3, N, H, W), of what `rgb_to_l_ab` gives."""
    return torch.cat(((l + 1) * 50, ab * AB_SCALE), dim=1).movedim(1, 0)


def accuracy(painted: Tensor, real: Tensor, epsilon: float) -> Tensor:
    """Share of the pixels that have nearly the real colour: Nazeri et al. 2018, 'Image Colorization with Generative
    Adversarial Networks', as their program computes it.

    L*, a* and b* are rounded to whole numbers, and may be off by ε, 2.2 ε and 2.2 ε, which is the same share of each
    one's range. A picture of dull colours is mostly right if it is left grey.

    Args:
        painted: CIE L*a*b*, (3, N, H, W).
        real: likewise.
        epsilon: ε; they take 2 and 5.
    """
    off = (painted.round() - real.round()).abs()
    allowed = epsilon * off.new_tensor((1, 2.2, 2.2)).view(3, 1, 1, 1)
    return (off <= allowed).all(dim=0).float().mean(dim=(1, 2))


def ciede2000(painted: Tensor, real: Tensor) -> Tensor:
    """Mean over the pixels of the CIEDE2000 colour difference; 1 can just be seen.

    Args:
        painted: CIE L*a*b*, (3, N, H, W).
        real: likewise.
    """
    return ciede2000_of_lab(real, painted).mean(dim=(1, 2))


def ciede2000_of_lab(first: Tensor, second: Tensor) -> Tensor:
    """CIEDE2000 of pairs of colours: Sharma et al. 2005, 'The CIEDE2000 Color-Difference Formula', eq. 2 to 22.

    Args:
        first: L*, a*, b*, (3, …), float.
        second: likewise; which of the two is called first changes nothing.

    Returns:
        Differences, (…).
    """
    (l1, a1, b1), (l2, a2, b2) = first, second
    stretch = 1 + 0.5 * (1 - _high_power((a1.hypot(b1) + a2.hypot(b2)) / 2))  # of a*, of colours that are almost grey
    a1, a2 = stretch * a1, stretch * a2
    c1, c2 = a1.hypot(b1), a2.hypot(b2)
    h1, h2 = torch.atan2(b1, a1), torch.atan2(b2, a2)  # hues in [-π, π]; of greys 0, as the formula wants it
    coloured = c1 * c2 > 0
    apart = h2 - h1
    turn = torch.where(apart.abs() > math.pi, 2 * math.pi * apart.sign(), 0)  # the shorter way round
    apart = torch.where(coloured, apart - turn, 0)
    hue = torch.where(coloured, (h1 + h2 + turn.abs()) / 2, h1 + h2)  # between both, the shorter way round

    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    off_middle = (lightness - 50).square()
    towards = (
        1
        - 0.17 * torch.cos(hue - math.radians(30))
        + 0.24 * torch.cos(2 * hue)
        + 0.32 * torch.cos(3 * hue + math.radians(6))
        - 0.20 * torch.cos(4 * hue - math.radians(63))
    )
    in_l = (l2 - l1) / (1 + 0.015 * off_middle / (20 + off_middle).sqrt())
    in_c = (c2 - c1) / (1 + 0.045 * chroma)
    in_h = 2 * (c1 * c2).sqrt() * torch.sin(apart / 2) / (1 + 0.015 * chroma * towards)
    blue = torch.exp(-(((hue.rad2deg().remainder(360) - 275) / 25).square()))  # where chroma turns with hue
    rotation = -2 * _high_power(chroma) * torch.sin(math.radians(60) * blue)
    return (in_l.square() + in_c.square() + in_h.square() + rotation * in_c * in_h).clamp_min(0).sqrt()


def _high_power(chroma: Tensor) -> Tensor:
    """√(c⁷ / (c⁷ + 25⁷)): 0 for greys, 1 for lively colours, in a form that float32 has room for."""
    ratio = (chroma / 25) ** 7
    return (ratio / (ratio + 1)).sqrt()


def colourfulness(pictures: Tensor) -> Tensor:
    """Colourfulness M³ of Hasler & Süsstrunk 2003, from 0 (grey) to about 190 in sRGB; their 'quite colourful' is 59.

    The opponent channels rg = R − G and yb = (R + G) / 2 − B are signed, as in the paper. Pictures may be floats in
    [0, 255], too, through which gradients flow.
    """
    return _colourfulness(_opponents(pictures))


def absolute_colourfulness(pictures: Tensor) -> Tensor:
    """Colourfulness of |R − G| and |(R + G) / 2 − B|: what the program of Kang et al. 2023, 'DDColor', computes.

    Papers that measure with it give smaller numbers than Hasler & Süsstrunk's formula would.
    """
    return _colourfulness(_opponents(pictures).abs())


def _opponents(pictures: Tensor) -> Tensor:
    """R − G and (R + G) / 2 − B, (2, N, H * W)."""
    red, green, blue = pictures.permute(3, 0, 1, 2).float().flatten(2)  # each (N, H * W) in [0, 255]
    return torch.stack((red - green, (red + green) / 2 - blue))


def _colourfulness(opponents: Tensor) -> Tensor:
    spread, mean = opponents.var(dim=2, correction=0).sum(dim=0), opponents.mean(dim=2).square().sum(dim=0)
    return spread.clamp_min(TINY).sqrt() + 0.3 * mean.clamp_min(TINY).sqrt()


def frechet_distances(features: np.ndarray, real: np.ndarray) -> np.ndarray:
    """A number a picture, float64 (N,), whose mean is the Fréchet distance between two sets of pictures.

    That is |µ₁ − µ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½): Dowson & Landau 1982; on features of pictures, Heusel et al. 2017.
    Of the same network it falls with the number of pictures: compare at equal numbers only.

    By the numbers' spread the interval of their mean is that of the distance: each is the distance + the picture's
    influence on it (Hampel 1974), which is how the distance changes as the picture, painted and real, counts more. With
    the map T that makes Σ₂ of Σ₁ (T Σ₁ T = Σ₂, see `training.losses.frechet.transport`), the derivative of the
    distance with respect to Σ₁ is 1 − T, and to Σ₂ 1 − T⁻¹.

    Args:
        features: of pictures as they were painted, (N, F), which may be memory-mapped.
        real: of the same pictures in their real colours, (N, F).
    """
    (mean, covariance), (real_mean, real_covariance) = _gaussian(features), _gaussian(real)
    root, _ = _roots(real_covariance)
    common = np.sqrt(np.linalg.eigvalsh(root @ covariance @ root).clip(min=0)).sum()
    distance = np.square(mean - real_mean).sum() + np.trace(covariance + real_covariance) - 2 * common

    ridge = (RIDGE * np.trace(covariance + real_covariance) / len(mean) + TINY) * np.eye(len(mean))
    root, inverse = _roots(real_covariance + ridge)
    middle, middle_inverse = _roots(root @ (covariance + ridge) @ root)
    there, back = root @ middle_inverse @ root, inverse @ middle @ inverse

    found = np.empty(len(features))
    for part in _parts(len(features)):
        off, real_off = features[part] - mean, real[part] - real_mean
        found[part] = 2 * (off - real_off) @ (mean - real_mean)
        found[part] += (off * (off - off @ there)).sum(axis=1) + (real_off * (real_off - real_off @ back)).sum(axis=1)
    return max(0, distance) + found - found.mean()


def _gaussian(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, (F,), and covariance, (F, F), in float64: float32 is too coarse for roots."""
    mean = features.mean(axis=0, dtype=np.float64)
    products = sum((features[part] - mean).T @ (features[part] - mean) for part in _parts(len(features)))
    return mean, products / (len(features) - 1)


def _parts(count: int) -> list[slice]:
    return [slice(start, start + AT_ONCE) for start in range(0, count, AT_ONCE)]


def _roots(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σ^½ and Σ^-½; of a singular one the latter is that of what is not."""
    values, vectors = np.linalg.eigh(covariance)
    roots = np.sqrt(values.clip(min=0))
    inverses = np.divide(1, roots, where=roots > 0, out=np.zeros_like(roots))
    return vectors * roots @ vectors.T, vectors * inverses @ vectors.T


def kernel_distances(features: np.ndarray, real: np.ndarray) -> np.ndarray:
    """A number a picture, float64 (N,), whose mean is the kernel distance (KID): Bińkowski et al. 2018, 'Demystifying
    MMD GANs', with their kernel (x · y / F + 1)³.

    The squared maximum mean discrepancy without bias, Gretton et al. 2012, eq. 4, which may be below 0 and, unlike a
    Fréchet distance, does not fall with the number of pictures. It is taken of up to `TOGETHER` pictures in their
    order at a time, and averaged: of all at once, time would grow with their square.

    It is a mean over pairs of pictures. By the numbers' spread the interval of their mean is that of the distance: each
    is the distance + 2 × (what its picture's pairs come to − the distance), Hoeffding 1948, section 7, because a
    picture is in a pair at two places.

    Args:
        features: of pictures as they were painted, (N, F).
        real: of the same pictures in their real colours, (N, F). A picture is not compared with itself.
    """
    count = len(features)
    found = np.empty(count)
    for group in np.array_split(np.arange(count), -(-count // TOGETHER)):
        painted, true = features[group].astype(np.float64), real[group].astype(np.float64)
        across = _cubic(painted, true)
        pairs = _cubic(painted, painted) + _cubic(true, true) - across - across.T
        np.fill_diagonal(pairs, 0)
        found[group] = pairs.sum(axis=1) / (len(group) - 1)
    return 2 * found - found.mean()


def _cubic(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first @ second.T / first.shape[1] + 1) ** 3
