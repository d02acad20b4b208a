"""The record of a training run, a row an epoch."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping

import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from torch import Tensor
from tqdm import tqdm

Measure = Callable[[Learner], Tensor]


class History(Callback):
    """A row an epoch: each part of the loss in training, each measure on the validation pictures, and the seconds.

    Shows a progress bar on a terminal, and the rows everywhere.

    Args:
        parts: name → scalar of the current training batch.
        measures: name → scalar of the current validation batch.
    """

    order = 70  # after all that changes the loss

    def __init__(self, parts: Mapping[str, Measure], measures: Mapping[str, Measure]):
        self.parts, self.measures = parts, measures
        self.rows: list[dict[str, float]] = []

    def before_epoch(self) -> None:
        """Start a row."""
        steps = len(self.dls.train) + len(self.dls.valid)
        self.bar = tqdm(total=steps, desc=f"epoch {self.epoch + 1}/{self.n_epoch}", leave=False, disable=None)
        self.sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros(()))
        self.counts: dict[str, int] = defaultdict(int)
        self.started = time.perf_counter()

    def after_batch(self) -> None:
        """Add a batch to the means of the row, weighted by its pictures."""
        for name, measure in (self.parts if self.training else self.measures).items():
            self.sums[name] = self.sums[name] + measure(self.learn).detach().cpu() * len(self.x)
            self.counts[name] += len(self.x)
        self.bar.update()

    def after_epoch(self) -> None:
        """End the row, and show it."""
        self.bar.close()
        means = {name: (self.sums[name] / self.counts[name]).item() for name in (*self.parts, *self.measures)}
        seconds = round(time.perf_counter() - self.started, 1)
        self.rows.append({"epoch": self.epoch + 1, **means, "seconds": seconds})
        shown = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        print(f"epoch {self.epoch + 1}/{self.n_epoch}  {shown}  {seconds:.0f} s", flush=True)
