"""Training on small pictures first, as a fastai callback."""

from fastai.callback.core import Callback
from torch.nn.functional import avg_pool2d


def smallest(side: int, share: float) -> int:
    """The side, in pixels, of the smallest pictures that a training with `HalfSize` sees."""
    return side // 2 if share else side


class HalfSize(Callback):
    """Halve the sides of the pictures in the first part of training.

    A step then takes a quarter of the time, and what is learnt from small pictures serves for large ones (Howard 2018,
    'Training Imagenet in 3 hours for USD 25', part 'progressive resizing').

    Args:
        share: of the training, from its start, in [0, 1); 0 halves nothing.
    """

    def __init__(self, share: float):
        self.share = share

    def before_batch(self) -> None:
        """Average each 2×2 pixels of lightness and colour."""
        if self.training and self.pct_train < self.share:
            self.learn.xb, self.learn.yb = [(avg_pool2d(part, 2),) for (part,) in (self.xb, self.yb)]
