"""The training loop that all stages share: fastai's `Learner` with a torch optimiser."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from fastai.callback.core import Callback, TrainEvalCallback
from fastai.callback.schedule import ParamScheduler, SchedLin, combine_scheds
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastai.torch_core import set_seed, trainable_params
from torch import nn

from pipeline.training import processes
from pipeline.training.checkpoint import Finite
from pipeline.training.precision import BFloat16
from pipeline.training.statistics import PlainStatistics

WARM_UP = 0.1  # share of the steps
SEEDS_APART = 1_000_003  # from one process's to the next one's


def seed_everything(seed: int) -> None:
    """Make all that follows repeatable on the same machine, with other random numbers in each process."""
    set_seed(seed + SEEDS_APART * processes.rank(), reproducible=True)


class Parallel(Callback):
    """Have all processes share each step; with one process, nothing changes."""

    order = -5  # after the network has come to its device, before all that asks for its weights

    def before_fit(self) -> None:
        """Start all processes from the same weights."""
        self.learn.model = processes.parallel(self.model, self.dls.train.share)

    def after_fit(self) -> None:
        """Leave the network as it was given."""
        self.learn.model = processes.alone(self.model)


Splitter = Callable[[Any], list]


def learner(
    batches: DataLoaders,
    network: nn.Module,
    loss: nn.Module,
    optimiser: partial,
    callbacks: list[Callback],
    splitter: Splitter = trainable_params,
) -> Learner:
    """A fastai Learner for a network.

    Args:
        batches: from `batches.loaders`.
        network: trained in place, each batch shared among the processes. Its memory is laid out channels last, in
            which convolutions are faster.
        loss: (prediction, target) → scalar.
        optimiser: a torch optimiser with its settings but for the learning rate.
        callbacks: behaviour besides the step.
        splitter: network → its parameters, in groups if they have learning rates of their own.
    """
    layout: dict[str, Any] = {"device": batches.device, "memory_format": torch.channels_last}
    network.to(**layout)
    # Without fastai's own recorder and progress bar: History has a row an epoch, where they keep a number a step, which
    # fragments the memory, and fill log files.
    return Learner(
        batches,
        network,
        loss,
        opt_func=partial(OptimWrapper, opt=optimiser),
        splitter=splitter,
        cbs=[TrainEvalCallback(), BFloat16(), Finite(), PlainStatistics(), Parallel(), *callbacks],
        default_cbs=False,
    )


def warm_up_and_decay(*rates: float) -> ParamScheduler:
    """The learning rate, step by step: linearly up to the given one in a tenth of the steps, then linearly down to 0.

    A linear decay to zero, which wants no other knob than the number of epochs, is as good as any schedule (Defazio et
    al. 2023, 'Optimal Linear Decay Learning Rate Schedules and Further Refinements').

    Args:
        rates: one for all parameters, or one for each group of them.
    """
    height = combine_scheds([WARM_UP, 1 - WARM_UP], [SchedLin(0.01, 1), SchedLin(1, 0)])
    return ParamScheduler({"lr": lambda done: [rate * height(done) for rate in rates]})
