"""The bar: the recipe of the tutorial that this study goes back to, for benchmarks/recipes.py.

The recipe is M. Shariatnia's ('Colorizing black & white images with U-Net
and conditional GAN'): Adam at a constant rate, batches of 16, each picture converted to Lab by scikit-image in a
DataLoader; then a PatchGAN of 64 filters, BCE + 100·L1, the discriminator first on each batch. Pictures are painted one
way. Patches have 70 pixels on pictures of 256, and here as nearly as can be the same share of the side. The network is
the study's, without dropout.

So that the recipe alone can be compared, all of it can be had with the study's loader and in bfloat16, too: `quick`.
"""

import math
import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from unittest.mock import patch

import numpy as np
import torch
from fastai.data.core import DataLoaders, TfmdDL
from fastai.learner import Learner
from fastai.vision.models.unet import DynamicUnet
from skimage.color import rgb2lab
from torch import Tensor, nn
from torch.utils.data import Dataset

from pipeline import params
from pipeline.colour import AB_SCALE
from pipeline.datasets import store
from pipeline.networks.generator import BothWays
from pipeline.training import colouriser
from pipeline.training.batches import Batches, default_device, fit_batch, flip, to_lightness_and_ab
from pipeline.training.history import History
from pipeline.training.learner import learner
from pipeline.training.losses import adversarial
from pipeline.training.losses.adversarial import AdversarialStep
from pipeline.training.losses.likeness import LikenessLoss
from pipeline.training.precision import BFloat16
from pipeline.training.statistics import PlainStatistics

BATCH_SIZE = 16
VALIDATION_BATCH_SIZE = 250
SHARE = 70 / 256  # of a picture's side that a patch of the tutorial's has


class Pictures(Dataset):
    """l (1, H, W) and ab (2, H, W) of each picture, mirrored half of the times, one at a time."""

    def __init__(self, pictures: np.ndarray):
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        picture = self.pictures[place]
        if torch.rand(()) < 0.5:
            picture = picture[:, ::-1]
        lab = torch.from_numpy(rgb2lab(picture).astype(np.float32)).permute(2, 0, 1)
        return lab[:1] / 50 - 1, lab[1:] / AB_SCALE


class PlainPatchGAN(nn.Module):
    """The PatchGAN of Isola et al. (2017, section 6.1); all it sees is (L, ab).

    Args:
        downsamplings: 1, 2, 3 give patches of 16, 34, 70 pixels.
    """

    def __init__(self, downsamplings: int):
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
        for level in range(downsamplings):
            channels, stride = 64 * 2**level, 1 if level == downsamplings - 1 else 2
            layers += [nn.Conv2d(channels, 2 * channels, 4, stride, 1, bias=False), nn.BatchNorm2d(2 * channels)]
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, nn.Conv2d(2 * channels, 1, 4, 1, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1, 0.02)

    def look(self, l: Tensor, mean: Callable[[Tensor], Tensor]) -> None:  # noqa: E741
        """It has no encoder to look with."""

    def forward(self, l: Tensor, ab: Tensor, seen: None) -> Tensor:  # noqa: E741
        """L (N, 1, H, W) and ab (N, 2, H, W), both in [-1, 1] → logits (N, 1, H', W'), high for real."""
        return self.layers(torch.cat((l, ab), dim=1))


class Whole(TfmdDL):
    """All of each batch is for the one process that there is, see `Batches.share`."""

    share = 1.0


def batches(study: params.Params, quick: bool) -> DataLoaders:
    """The same pictures for training and validation as the study's."""
    device = default_device()
    train, validation = colouriser.pictures(study.images), store.read(colouriser.TARGET, "validation")
    if quick:
        shown = Batches(train, lambda *batch: to_lightness_and_ab(*flip(*batch)), BATCH_SIZE, device, shuffle=True)
    else:
        workers = os.cpu_count()
        shown = Whole(Pictures(train.pictures[:]), bs=BATCH_SIZE, shuffle=True, num_workers=workers, device=device)
    size = fit_batch(VALIDATION_BATCH_SIZE, validation.pictures)
    return DataLoaders(shown, Batches(validation, to_lightness_and_ab, size, device), device=device)


def paint_one_way(network: BothWays) -> BothWays:
    """Have a network paint what it sees in a picture, and not in the mirror image as well."""
    network.forward = partial(DynamicUnet.forward, network)
    return network


def downsamplings(side: int) -> int:
    """Of the PatchGAN whose patches are, as a share of pictures of that side, most like the tutorial's."""
    return min((1, 2, 3), key=lambda count: abs(math.log((9 * 2**count - 2) / side / SHARE)))


def l1_alone(study: params.Params, network: BothWays, epochs: int, quick: bool = False) -> History:
    """Train the U-Net in place."""
    history = History(parts={"train_l1": colouriser.l1}, measures=colouriser.MEASURES)
    _learner(study, network, partial(torch.optim.Adam), [history], quick).fit(epochs, 1e-4)
    return history


def against_a_patchgan(study: params.Params, network: BothWays, epochs: int, quick: bool = False) -> History:
    """Train the U-Net on, in place, against a PatchGAN."""
    discriminator = PlainPatchGAN(downsamplings(store.side(colouriser.TARGET)))
    adam = partial(torch.optim.Adam, betas=(0.5, 0.999))
    likeness, step = LikenessLoss(100), AdversarialStep(discriminator, adam(discriminator.parameters(), lr=2e-4))
    history = History(parts={"train_l1": lambda _: likeness.l1}, measures=colouriser.MEASURES)
    in_bfloat16 = adversarial.autocast if quick else lambda device: nullcontext()
    with patch.object(adversarial, "autocast", in_bfloat16):
        _learner(study, network, adam, [likeness, step, history], quick).fit(epochs, 2e-4)
    return history


def _learner(study: params.Params, network: BothWays, optimiser: partial, callbacks: list, quick: bool) -> Learner:
    learn = learner(batches(study, quick), paint_one_way(network), nn.L1Loss(), optimiser, callbacks)
    learn.remove_cbs([PlainStatistics] if quick else [BFloat16, PlainStatistics])
    return learn
