"""A moving average of a network's weights, as a fastai callback."""

import torch
from fastai.callback.core import Callback
from torch import Tensor, nn


class MovingAverage(Callback):
    """Validate, and end, with an exponential moving average of all weights and batch statistics over the steps.

    It takes the noise of adversarial steps out of the generator (Yazıcı et al. 2018, 'The Unusual Effectiveness of
    Averaging in GAN Training', eq. 2).

    Args:
        decay: share of the average that a step keeps, in [0, 1); 0 averages nothing.
    """

    order = 65

    def __init__(self, decay: float):
        self.decay = decay

    def _swap(self) -> None:
        for tensor, average in zip(weights(self.model), self.averages, strict=True):
            kept = tensor.clone()
            tensor.copy_(average)
            average.copy_(kept)

    def before_fit(self) -> None:
        """Start from the weights there are."""
        self.averages = [tensor.clone() for tensor in weights(self.model)]

    def after_step(self) -> None:
        """Move a little towards the new weights."""
        # The first steps count for more, or the average would hang on to the start (as in torch_ema).
        decay = min(self.decay, (1 + self.train_iter) / (10 + self.train_iter))
        torch._foreach_lerp_(self.averages, weights(self.model), 1 - decay)

    def state_dict(self) -> dict[str, list[Tensor]]:
        """For a checkpoint."""
        return {"averages": self.averages}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """From a checkpoint."""
        for average, saved in zip(self.averages, state["averages"], strict=True):
            average.copy_(saved)

    def before_validate(self) -> None:
        """Put the average in place."""
        self._swap()

    def after_epoch(self) -> None:
        """Put the weights being trained back, once all have looked at the average."""
        # Also after epochs that a run which goes on passes over; both are still the same then.
        self._swap()

    def after_fit(self) -> None:
        """Keep the average."""
        self._swap()


def weights(network: nn.Module) -> list[Tensor]:
    """All that can be averaged: weights and batch statistics, but no counters."""
    return [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
