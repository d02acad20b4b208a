"""The training loop that all stages share: fastai's `Learner` with torch's own optimisers."""

from functools import partial

import torch
from fastai.callback.core import Callback, TrainEvalCallback
from fastai.callback.schedule import Learner  # the Learner with fit_one_cycle
from fastai.data.core import DataLoaders
from fastai.optimizer import OptimWrapper
from fastai.torch_core import set_seed
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
    # Without fastai's own recorder and progress bar: History has a row an epoch, where they keep a number a step, which
    # fragments the memory, and fill log files.
    return Learner(
        batches,
        network,
        loss,
        opt_func=partial(OptimWrapper, opt=optimiser),
        cbs=[TrainEvalCallback(), *callbacks],
        default_cbs=False,
    )
