"""What other pictures would have made of a run's figures, from what evaluate noted of each picture."""

from functools import lru_cache

import numpy as np

from pipeline.study import cache, intervals
from pipeline.study.experiments import Experiment

NOTED = "plots/pictures.npz"  # who.metric → a number a picture, (N,), in the order of the test pictures


class Pictures:
    """A run's figures, picture by picture.

    Args:
        experiment: the run; if nothing is known of its pictures, no figure is.
    """

    def __init__(self, experiment: Experiment):
        path = cache.path(experiment, NOTED)
        self.numbers = dict(np.load(path)) if path else {}
        self.data = experiment.output("data/target")
        self.means: dict[str, np.ndarray] = {}

    def draws(self, who: str, metric: str) -> np.ndarray | None:
        """A figure as each draw of pictures would have it, (DRAWS,), or None if it is no matter of single pictures."""
        if who.startswith("gan_minus_"):
            return self._less(self.draws("gan", metric), self.draws(who.removeprefix("gan_minus_"), metric))
        if metric == "skill":
            own, grey = self._mean(who, "l1"), self._mean("grey", "l1")
            return None if own is None or grey is None else 1 - own / grey
        if metric == "delta_colourfulness":
            return self._less(self._mean(who, "colourfulness"), self._mean("real", "colourfulness"))
        return self._mean(who, metric)

    def _less(self, first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
        return None if first is None or second is None else first - second

    def _mean(self, who: str, metric: str) -> np.ndarray | None:
        """The mean of a figure over each draw's pictures."""
        name = f"{who}.{metric}"
        if name not in self.numbers:
            return None
        if name not in self.means:
            values = self.numbers[name]
            self.means[name] = _counts(len(values), self.data) @ values / len(values)
        return self.means[name]


@lru_cache(maxsize=2)
def _counts(pictures: int, data: str) -> np.ndarray:
    """As `intervals.counts`, in the type in which products are fast."""
    return intervals.counts(pictures, data).astype(np.float32)
