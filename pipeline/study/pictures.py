"""What other pictures would have made of a run's figures, from what evaluate noted of each picture."""

import zlib
from functools import lru_cache
from zipfile import BadZipFile

import numpy as np

from pipeline.study import cache, intervals
from pipeline.study.experiments import Experiment

NOTED = "plots/pictures.npz"  # who.metric → a number a picture, (N,), in the order of the test pictures

# What differences between cells follow from. Of all else evaluate's own intervals do.
NEEDED = "grey.l1", "unet.l1", "gan.l1"


def needed(experiment: Experiment) -> dict[str, np.ndarray]:
    """The figures by picture that intervals are made of, float16 (N,), or none if nothing is known of the pictures.

    Rounded alike wherever they come from, so that a kept run gives the same intervals as its experiment, to the last
    digit; float16 knows an L1 to a two thousandth, which a mean over pictures does not show.
    """
    path = cache.path(experiment, NOTED)
    if not path:
        return {}
    try:
        with np.load(path) as noted:
            return {name: noted[name].astype(np.float16) for name in NEEDED if name in noted}
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error):  # cut off, as by a full disk
        return {}


class Pictures:
    """A run's figures, picture by picture.

    Args:
        experiment: the run; if nothing is known of its pictures, no figure is.
    """

    def __init__(self, experiment: Experiment):
        self.numbers = {name: values.astype(np.float32) for name, values in needed(experiment).items()}
        self.data = experiment.output("data/target")
        self.means: dict[str, np.ndarray] = {}

    def draws(self, who: str, metric: str) -> np.ndarray | None:
        """A figure as each draw of pictures would have it, (DRAWS,), or None if it is no matter of single pictures."""
        if who.startswith("gan_minus_"):
            return self._less(self.draws("gan", metric), self.draws(who.removeprefix("gan_minus_"), metric))
        if metric == "skill":
            own, grey = self._mean(who, "l1"), self._mean("grey", "l1")
            return None if own is None or grey is None else 1 - own / grey
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
            drawn = [counts.astype(np.float32) @ values for counts in _counts(len(values), self.data)]
            self.means[name] = np.concatenate(drawn) / len(values)
        return self.means[name]


@lru_cache(maxsize=2)
def _counts(pictures: int, data: str) -> list[np.ndarray]:
    """As `intervals.counts`, a byte a number."""
    return [counts.astype(np.uint8) for counts in intervals.counts(pictures, data)]
