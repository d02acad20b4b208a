"""The training loop that all stages share: fastai's `Learner` with torch's own optimisers."""

from functools import partial

import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import Learner  # the Learner with fit_one_cycle
from fastai.data.core import DataLoaders
from fastai.optimizer import OptimWrapper
from fastai.torch_core import set_seed
from fastcore.basics import noop
from torch import nn


def seed_everything(seed: int) -> None:
    """Make all that follows repeatable on the same machine."""
    set_seed(seed, reproducible=True)


def learner(
    batches: DataLoaders, network: nn.Module, loss: nn.Module, optimiser: partial, callbacks: list[Callback]
) -> Learner:
    """A fastai Learner for a network.

    Args:
        batches: from `batches.loaders`.
        network: trained in place. Its memory is laid out channels last, in which convolutions are faster.
        loss: (prediction, target) → scalar.
        optimiser: a torch optimiser with its settings but for the learning rate.
        callbacks: behaviour besides the step.
    """
    network.to(device=batches.device, memory_format=torch.channels_last)
    learner = Learner(batches, network, loss, opt_func=partial(OptimWrapper, opt=optimiser), cbs=callbacks)
    learner.remove_cb(ProgressCallback)  # it fills log files; History has a bar for terminals and a line an epoch
    learner.logger = noop
    return learner
