"""Which network of a GAN's training is kept, as a fastai callback."""

from typing import Any

import torch
from fastai.callback.core import Callback
from scipy.optimize import brentq
from torch import Tensor

from pipeline import metrics
from pipeline.colour import l_ab_to_rgb, rgb_to_bytes

CLOSE = 0.01  # how exactly the share of a mix is found


class Selection(Callback):
    """Keep the most skilful network whose colours are lively enough, by the validation pictures alone.

    Between the network that training started from, which is pale, and the one that an epoch ended with lie networks
    whose weights are a mix of both (Wang et al. 2018, 'ESRGAN', section 3.4): the further from the start, the livelier,
    and the higher the L1. Of each epoch that mix is considered whose colours are as lively as wanted, its L1 read off
    the straight line between both ends. The epoch with the lowest is kept, and in the end its share of the mix is found
    exactly. An epoch that is not lively enough itself is kept as it is, and only if there is none that is.

    Args:
        wanted: colourfulness, as a share of that of the real pictures.
    """

    order = 75  # after History, and while the moving average is in place

    def __init__(self, wanted: float):
        self.wanted = wanted
        self.best: dict[str, Any] = {}

    def before_fit(self) -> None:
        """Measure the real pictures, and those that the network paints before it is trained on."""
        self.start = [tensor.clone() for tensor in self._tensors()]
        _, real = self._measure(paint=False)
        self.aim = self.wanted * real
        self.start_at = self._measure()

    def after_validate(self) -> None:
        """Keep the epoch's weights if they are the best so far."""
        row = self.history.rows[-1]
        l1, colourfulness = row["validation_l1"], row["validation_colourfulness"]
        start_l1, pale = self.start_at
        lively = colourfulness >= self.aim
        share = (self.aim - pale) / (colourfulness - pale) if lively and pale < self.aim else 1.0
        rank = [float(lively), -(start_l1 + share * (l1 - start_l1)) if lively else colourfulness]
        if not self.best or rank > self.best["rank"]:
            weights = [tensor.clone() for tensor in self._tensors()]
            self.best = {"rank": rank, "epoch": self.epoch + 1, "share": share, "weights": weights}

    def after_fit(self) -> None:
        """Mix the best epoch's weights with those of the start."""
        share = self.best["share"]
        # The estimate tells whether to look; the ends, measured anew, whether there is something to find.
        if share < 1 and self._livelier(0) < 0 < self._livelier(1):
            share = brentq(self._livelier, 0, 1, xtol=CLOSE)
        self._mix(share)
        self.best["share"] = share
        print(f"kept: epoch {self.best['epoch']}, its weights' share {share:.2f}", flush=True)

    def _livelier(self, share: float) -> float:
        """How much more colourful than wanted the pictures of a mix are."""
        self._mix(share)
        return self._measure()[1] - self.aim

    def _mix(self, share: float) -> None:
        for tensor, start, best in zip(self._tensors(), self.start, self.best["weights"], strict=True):
            tensor.copy_(start.lerp(best, share))

    def _tensors(self) -> list[Tensor]:
        return [tensor for tensor in self.model.state_dict().values() if tensor.is_floating_point()]

    @torch.inference_mode()
    def _measure(self, paint: bool = True) -> tuple[float, float]:
        """L1 and colourfulness, on average over the validation pictures, as the network paints them, or as they are."""
        self.model.eval()
        total, count = torch.zeros(2), 0
        for l, real in self.dls.valid:  # noqa: E741
            ab = self.model(l) if paint else real
            painted = metrics.colourfulness(rgb_to_bytes(l_ab_to_rgb(l, ab)))
            total += torch.stack((metrics.l1(ab, real), painted)).sum(1).cpu()
            count += len(l)
        l1, colourfulness = (total / count).tolist()
        return l1, colourfulness

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return self.best

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.best = state
