"""Several GPUs on one network, as a fastai callback."""

from fastai.callback.core import Callback
from torch import nn


class Parallel(Callback):
    """Share each batch among all GPUs there are.

    fastai's own ParallelTrainer does the same, but cannot be imported without a further library.
    """

    order = -5  # after the network has come to the first GPU, before all that asks for its weights

    def before_fit(self) -> None:
        """Put a copy of the network on each GPU, in every step."""
        self.learn.model = nn.DataParallel(self.model)

    def after_fit(self) -> None:
        """Leave the network as it was given."""
        self.learn.model = self.model.module
