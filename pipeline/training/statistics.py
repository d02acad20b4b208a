"""Batch statistics of pictures as they are, as a fastai callback."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from fastai.callback.core import Callback
from torch import nn

from pipeline.training import processes
from pipeline.training.batches import Loaders
from pipeline.training.precision import autocast


class PlainStatistics(Callback):
    """Before each validation, take the means and variances of batch normalisation from training pictures as they are.

    Those that training gathers are of pictures that are cut, zoomed or turned, and so of other features than the
    pictures have that the network will be used on (as with pictures of another size: Touvron et al. 2019, 'Fixing the
    train-test resolution discrepancy', section 3). Dropout stays on, as in training, whose weights expect it; training
    goes on with its random numbers as if nobody had looked.
    """

    order = 66  # after the moving average is in place, before all that measures

    def before_validate(self) -> None:
        """Look at the pictures once more."""
        take_statistics(self.model, self.dls)


@torch.no_grad()
def take_statistics(network: nn.Module, batches: Loaders) -> None:
    """Take the statistics of a network anew, but for those of a part that stays in evaluation mode: it is frozen.

    Each process takes those of its share of the pictures, and their mean counts. See `PlainStatistics`.

    Args:
        network: in training or in evaluation mode, which it keeps.
        batches: from `batches.loaders`.
    """
    device = torch.device(batches.device)
    accelerators = range(0 if device.type == "cpu" else torch.accelerator.device_count())
    with torch.random.fork_rng(accelerators), autocast(device), _gathering(network, batches.plain.share) as norms:
        for x, _ in batches.plain if norms else ():
            network(x)


@contextmanager
def _gathering(network: nn.Module, share: float) -> Iterator[list[nn.modules.batchnorm._BatchNorm]]:
    """Batch normalisation that trains begins anew, and all batches of the block count alike (as in torch's SWA)."""
    was_training = network.training
    network.train()
    norms = [norm for norm in network.modules() if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    yield norms
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        statistics: list[Any] = [norm.running_mean, norm.running_var]
        for statistic in statistics:
            statistic.copy_(processes.mean(statistic, share))
    network.train(was_training)
