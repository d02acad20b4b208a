"""Who paints: networks, and the colours of one of them times a gain."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.colour import bytes_to_rgb, l_ab_to_rgb, rgb_to_bytes, rgb_to_l_ab
from pipeline.measuring import metrics
from pipeline.measuring.results import LARGEST_GAIN
from pipeline.training import processes
from pipeline.training.batches import default_device
from pipeline.training.precision import autocast

GAINS = np.concatenate([[0], np.geomspace(0.5, LARGEST_GAIN, 13)])  # close enough for straight lines between them

Colouriser = Callable[[Tensor], Tensor]  # l (N, 1, H, W) → ab (N, 2, H, W), on the same device
Paint = Callable[[Tensor], dict[str, Tensor]]  # l → who → ab


class Gain(NamedTuple):
    """A factor of a colouriser's colours, and the skill that they have with it on the validation pictures."""

    factor: float
    skill: float


@torch.inference_mode()
def fit_gains(
    pale: Colouriser, others: Mapping[str, Colouriser], pictures: np.ndarray, batch_size: int
) -> dict[str, Gain]:
    """What makes a colouriser's colours on average as lively as those of the real pictures, and of other colourisers.

    With it a pale U-Net is the plainest way to lively colours, which a GAN must beat to be worth its time.

    Args:
        pale: a network on the device there is, whose colours are multiplied.
        others: name → network, none of which is called `real`.
        pictures: for validation, uint8 (N, H, W, 3), which may be memory-mapped.
        batch_size: how many pictures to hold in memory at once.

    Returns:
        `real`, and the names of the others → the gain; factors are at most the ends of `GAINS`.
    """
    device = default_device()
    wanted = dict.fromkeys(("real", *others), 0.0)
    colourful, errors, grey = np.zeros(len(GAINS)), np.zeros(len(GAINS)), 0.0
    mine = processes.mine(np.arange(len(pictures)))
    for start in range(0, len(mine), batch_size):
        real = to_tensor(pictures[mine[start : start + batch_size]], device)
        l, real_ab = rgb_to_l_ab(bytes_to_rgb(real))  # noqa: E741
        ab = colour(pale, l)
        colourful += [metrics.colourfulness(to_bytes(l, gain * ab)).sum().item() for gain in GAINS]
        errors += [metrics.l1(gain * ab, real_ab).sum().item() for gain in GAINS]
        grey += real_ab.abs().mean(dim=(1, 2, 3)).sum().item()
        wanted["real"] += metrics.colourfulness(real).sum().item()
        for who, colouriser in others.items():
            wanted[who] += metrics.colourfulness(to_bytes(l, colour(colouriser, l))).sum().item()
    colourful, errors, grey = (sum(processes.gather(value)) for value in (colourful, errors, grey))
    wanted = {who: sum(processes.gather(lively)) for who, lively in wanted.items()}
    # Colours that leave sRGB are clipped, so the curve may sink a little at its upper end.
    factors = {who: np.interp(lively, np.maximum.accumulate(colourful), GAINS) for who, lively in wanted.items()}
    skills = 1 - errors / max(grey, metrics.TINY)
    return {
        who: Gain(round(float(factor), 4), round(float(np.interp(factor, GAINS, skills)), 4))
        for who, factor in factors.items()
    }


def painters(colourisers: Mapping[str, Colouriser], gained: Mapping[str, tuple[str, float]] | None = None) -> Paint:
    """All that each of several paints.

    Args:
        colourisers: name → network, on the device that the pictures will be on.
        gained: another name → the name of one of these, whose colours are painted again, and what multiplies them.
    """

    def paint(l: Tensor) -> dict[str, Tensor]:  # noqa: E741
        painted = {}
        for who, colouriser in colourisers.items():
            painted[who] = colour(colouriser, l)
            painted |= {name: gain * painted[who] for name, (whose, gain) in (gained or {}).items() if whose == who}
        return painted

    return paint


@torch.inference_mode()
def draw(pictures: np.ndarray, paint: Paint, batch_size: int) -> dict[str, np.ndarray]:
    """Real, grey and as each paints them, so many at once: who → uint8 (N, H, W, 3), from the real ones as such."""
    drawn: dict[str, list[np.ndarray]] = {"real": [np.array(pictures)]}
    for start in range(0, len(pictures), batch_size):
        real = to_tensor(pictures[start : start + batch_size], default_device())
        l, _ = rgb_to_l_ab(bytes_to_rgb(real))  # noqa: E741
        for who, ab in {"grey": no_colour(l), **paint(l)}.items():
            drawn.setdefault(who, []).append(to_bytes(l, ab).cpu().numpy())
    return {who: np.concatenate(parts) for who, parts in drawn.items()}


def colour(colouriser: Colouriser, l: Tensor) -> Tensor:  # noqa: E741
    """The ab that it paints, (N, 2, H, W) float32: computed as in training, in bfloat16 where that is faster."""
    with autocast(l.device):
        return colouriser(l).float()


def no_colour(l: Tensor) -> Tensor:  # noqa: E741
    """The ab of grey, (N, 2, H, W)."""
    return torch.zeros_like(l).expand(-1, 2, -1, -1)


def to_bytes(l: Tensor, ab: Tensor) -> Tensor:  # noqa: E741
    """The picture, uint8 (N, H, W, 3)."""
    return rgb_to_bytes(l_ab_to_rgb(l, ab))


def to_tensor(pictures: np.ndarray, device: torch.device) -> Tensor:
    """Pictures, uint8 (N, H, W, 3), on a device."""
    return torch.from_numpy(np.array(pictures)).to(device)  # a copy, because a memory map is read-only
