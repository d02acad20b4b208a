"""The training loop that all stages share: fastai's `Learner` with a torch optimiser."""

from functools import partial

import torch
from fastai.callback.core import Callback, TrainEvalCallback
from fastai.callback.schedule import ParamScheduler, SchedLin, combine_scheds
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastai.torch_core import set_seed
from torch import nn

from pipeline.training.checkpoint import Finite
from pipeline.training.precision import BFloat16

WARM_UP = 0.1  # share of the steps


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
        cbs=[TrainEvalCallback(), BFloat16(), Finite(), *callbacks],
        default_cbs=False,
    )


def warm_up_and_decay(learning_rate: float) -> ParamScheduler:
    """The learning rate, step by step: linearly up to the given one in a tenth of the steps, then linearly down to 0.

    A linear decay to zero, which wants no other knob than the number of epochs, is as good as any schedule (Defazio et
    al. 2023, 'Optimal Linear Decay Learning Rate Schedules and Further Refinements').
    """
    up, down = SchedLin(learning_rate / 100, learning_rate), SchedLin(learning_rate, 0)
    return ParamScheduler({"lr": combine_scheds([WARM_UP, 1 - WARM_UP], [up, down])})
