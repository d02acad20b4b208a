"""How validation pictures are cut from the training pictures of a data set that has none of its own."""

import numpy as np

from pipeline.datasets.store import Split

SHARE = 10  # every tenth training picture …
MOST = 2000  # … but no more


def shuffled(split: Split) -> Split:
    """The same pictures in an order that is random but the same every time."""
    order = np.random.default_rng(0).permutation(len(split.labels))
    return split.take(order)


def cut_validation(train: Split) -> tuple[Split, Split]:
    """Training and validation pictures, cut the same way every time, whatever the study's seed.

    Both come in random order, so that the first so many of them are a fair sample of all classes.

    Args:
        train: all pictures, uint8 (N, H, W, 3), and labels, int64 (N,).
    """
    order = np.random.default_rng(0).permutation(len(train.labels))
    held_out = min(len(order) // SHARE, MOST)
    return train.take(order[held_out:]), train.take(order[:held_out])
