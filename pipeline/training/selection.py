"""Which network of a GAN's training is kept, as a fastai callback."""

from functools import cache

import torch
from fastai.callback.core import Callback
from scipy.optimize import brentq

from pipeline.colour import l_ab_to_rgb, rgb_to_bytes
from pipeline.measuring import metrics
from pipeline.system.errors import PipelineError
from pipeline.training import processes
from pipeline.training.average import weights
from pipeline.training.checkpoint import LOWER
from pipeline.training.precision import autocast

CLOSE = 0.01  # how exactly the share of a mix is found


class Selection(Callback):
    """Keep the network whose colours are as lively as wanted, by the validation pictures.

    Between the network that training started from, which is pale, and the one that it ended with lie networks whose
    weights are a mix of both (Wang et al. 2018, 'ESRGAN', section 3.4): the further from the start, the livelier, and
    the higher the L1. The one that is just lively enough is kept; the last one, if it is not lively enough itself, or
    if the first one is already.

    Batch statistics are no weights, and a mix of two would fit neither: let the network keep them while it is trained,
    see `BothWays.keep_statistics`.

    The epoch is not chosen: of equally lively networks, later ones have a higher L1 but are more like real pictures.

    Args:
        wanted: colourfulness, as a share of that of the real pictures.
    """

    order = 75  # after the moving average is in place

    def __init__(self, wanted: float):
        self.wanted = wanted

    def before_fit(self) -> None:
        """Remember where training starts."""
        self.start = [tensor.clone() for tensor in weights(self.model)]

    def after_fit(self) -> None:
        """Mix the weights with those of the start."""
        self.end = [tensor.clone() for tensor in weights(self.model)]
        self.aim = self.wanted * self._colourfulness(paint=False)
        self.share = 1.0
        livelier = cache(self._livelier)  # brentq asks for both ends once more
        if livelier(0) < 0 < livelier(1):
            self.share = brentq(livelier, 0, 1, xtol=CLOSE)
        self._mix(self.share)
        print(f"kept: a share of {self.share:.2f} of the last weights, the rest of the first", flush=True)

    def _livelier(self, share: float) -> float:
        """How much more colourful than wanted the pictures of a mix are."""
        self._mix(share)
        return self._colourfulness() - self.aim

    def _mix(self, share: float) -> None:
        for tensor, start, end in zip(weights(self.model), self.start, self.end, strict=True):
            tensor.copy_(start.lerp(end, share))

    @torch.inference_mode()
    def _colourfulness(self, paint: bool = True) -> float:
        """On average over the validation pictures, as the network paints them, or as they are.

        Raises:
            PipelineError: what it paints is no number.
        """
        self.model.eval()
        colour = 0.0
        for l, real in self.dls.valid:  # noqa: E741
            with autocast(self.dls.device):
                ab = self.model(l).float() if paint else real
            if not ab.isfinite().all():
                raise PipelineError(f"a mix of U-Net and GAN paints what is no number; {LOWER}")
            colour += metrics.colourfulness(rgb_to_bytes(l_ab_to_rgb(l, ab))).sum().item()
        return sum(processes.gather(colour)) / len(self.dls.valid.split.pictures)
