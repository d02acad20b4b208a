"""The record of a training run, a row an epoch."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from torch import Tensor
from tqdm import tqdm

from pipeline.training import processes

Measure = Callable[[Learner], Tensor | None]


class History(Callback):
    """A row an epoch: each part of the loss in training and each measure on the validation pictures.

    Shows a progress bar on a terminal; the rows everywhere, with the seconds that training, without validation, took,
    which are kept apart because they differ from run to run.

    Args:
        parts: name → scalar of the current training batch, or None if there is none yet.
        measures: name → scalar of the current validation batch.

    What there was none of in a whole epoch is None in its row, an empty cell in a table.
    """

    order = 70  # after all that changes the loss

    def __init__(self, parts: Mapping[str, Measure], measures: Mapping[str, Measure]):
        self.parts, self.measures = parts, measures
        self.rows: list[dict[str, float | None]] = []
        self.seconds: list[float] = []

    def before_train(self) -> None:
        """Start a row."""
        steps = len(self.dls.train) + len(self.dls.valid)
        hidden = None if processes.first() else True  # None: where there is no terminal
        self.bar = tqdm(total=steps, desc=f"epoch {self.epoch + 1}/{self.n_epoch}", leave=False, disable=hidden)
        self.sums: dict[str, Tensor] = {name: torch.zeros(()) for name in (*self.parts, *self.measures)}
        self.counts = dict.fromkeys(self.sums, 0)
        self.started = time.perf_counter()

    def after_batch(self) -> None:
        """Add a batch to the means of the row, weighted by its pictures."""
        for name, measure in (self.parts if self.training else self.measures).items():
            value = measure(self.learn)
            if value is not None:
                self.sums[name] = self.sums[name] + value.detach().cpu() * len(self.x)
                self.counts[name] += len(self.x)
        self.bar.update()

    def after_train(self) -> None:
        """Stop the clock."""
        self.seconds.append(time.perf_counter() - self.started)

    def after_validate(self) -> None:
        """End the row, and show it."""
        self.bar.close()
        everywhere = processes.gather((self.sums, self.counts))
        counts = {name: sum(counts[name] for _, counts in everywhere) for name in self.sums}
        means = {name: (sum(sums[name] for sums, _ in everywhere) / n).item() for name, n in counts.items() if n}
        self.rows.append({"epoch": self.epoch + 1, **dict.fromkeys(self.sums), **means})
        shown = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        print(f"epoch {self.epoch + 1}/{self.n_epoch}  {shown}  {self.seconds[-1]:.0f} s", flush=True)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        clock = {"seconds": self.seconds, "elapsed": time.perf_counter() - self.started}
        epoch = processes.gather((self.sums, self.counts))
        return {"rows": self.rows, "epoch": epoch, "steps": self.bar.n, **clock}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.rows, (self.sums, self.counts) = state["rows"], state["epoch"][processes.rank()]
        self.seconds, self.started = state["seconds"], self.started - state["elapsed"]
        self.bar.update(state["steps"])


def clock(seconds: list[float]) -> pd.DataFrame:
    """A row an epoch: the seconds that its training took. They differ from run to run, so no stage depends on them."""
    return pd.DataFrame({"epoch": range(1, len(seconds) + 1), "seconds": [round(number, 3) for number in seconds]})
