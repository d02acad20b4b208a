"""Means over seeds, and their differences, with 95 % intervals that cover both seeds and pictures.

Pictures are drawn as in a bootstrap: each draw takes the same pictures for all runs that were measured on them, so that
what is compared is compared on the same pictures. Seeds are too few for that: three of them, drawn with replacement,
show about two thirds of their variance. In place of drawing seeds, each draw adds to the mean what Student's t says of
a mean of so few, which takes them for normally distributed. With one seed the interval of a figure covers pictures
alone; a difference of one or two takes from others of its kind, which have several, how much seeds change it. However
many these are, they count as three seeds at most: else a third seed, which tells for itself, would widen the interval.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import norm, t

DRAWS, BLOCK = 2000, 50  # in all, and at a time
ENOUGH = 3  # seeds that tell by themselves how much they differ; what other figures tell counts as of so many at most
NORMAL = 1.959964  # standard deviations from the middle of a normal distribution to the end of its 95 % interval


class Interval(NamedTuple):
    """A figure, the ends of its 95 % interval, and over how many seeds.

    freedom: degrees of freedom of what is known of its change from seed to seed; 0 if the interval covers the pictures
        alone.
    """

    value: float
    low: float
    high: float
    seeds: int
    freedom: int = 0

    @property
    def sign(self) -> int:
        """Whether it is clearly above 0 (1), clearly below (−1), or neither."""
        return int(self.low > 0) - int(self.high < 0)

    def __neg__(self) -> "Interval":
        """Of a difference, that the other way round."""
        return self._replace(value=-self.value, low=-self.high, high=-self.low)


class Spread(NamedTuple):
    """How much figures change from seed to seed: a standard deviation, and its degrees of freedom."""

    deviation: float
    freedom: int


class Figure(NamedTuple):
    """A figure of one run: what it is, and what other pictures would have made of it, (DRAWS,)."""

    value: float
    draws: np.ndarray


def generator(*names: object) -> np.random.Generator:
    """Random numbers that are the same for the same names."""
    return np.random.default_rng(list(hashlib.sha256("\0".join(map(str, names)).encode()).digest()))


def from_interval(value: float, low: float, high: float, *names: object) -> Figure:
    """A figure of which only its own interval is known; the names say of which run, and which figure, it is."""
    spread = (high - low) / 2 / NORMAL
    return Figure(value, value + spread * norm.ppf(_shares(*names)))


def counts(pictures: int, data: str) -> Iterator[np.ndarray]:
    """How often each draw has each picture, (DRAWS, N) in blocks of draws, the same for the same data set."""
    random, shares = generator("pictures", data), np.full(pictures, 1 / pictures)
    for _ in range(0, DRAWS, BLOCK):
        yield random.multinomial(pictures, shares, BLOCK)


def mean(by_seed: Mapping[int, Figure], usual: Spread | None = None) -> Interval | None:
    """The mean of a figure over seeds, None if there are none.

    Args:
        by_seed: the figure with each seed.
        usual: how much such figures change from seed to seed, for one of few seeds, which cannot tell.
    """
    if not by_seed:
        return None
    values = np.array([figure.value for figure in by_seed.values()])
    draws = np.mean([figure.draws for figure in by_seed.values()], axis=0)
    seeds, noise = len(values), draws - np.median(draws)
    spread = usual if usual and seeds < ENOUGH else pooled([[by_seed]])
    freedom = min(spread.freedom, max(seeds, ENOUGH) - 1) if spread else 0
    if spread:
        noise = noise + spread.deviation / np.sqrt(seeds) * t.ppf(_shares("seeds", seeds), freedom)
    low, high = np.percentile(values.mean() + noise, (2.5, 97.5))
    return Interval(float(values.mean()), float(low), float(high), seeds, freedom)


def pooled(sets: Iterable[Iterable[Mapping[int, Figure]]]) -> Spread | None:
    """How much figures of one kind change from seed to seed, of those with several seeds; None if there are none.

    Args:
        sets: of figures by seed. Those of a set hang on the same runs, and change alike, so they count as one.
    """
    squares, freedom = 0.0, 0
    for figures in sets:
        several = [np.array([one.value for one in by_seed.values()]) for by_seed in figures if len(by_seed) > 1]
        if several:
            own = max(map(len, several)) - 1
            squares += own * float(np.mean([values.var(ddof=1) for values in several]))
            freedom += own
    return Spread(float(np.sqrt(squares / freedom)), freedom) if freedom else None


def less(first: Mapping[int, Figure], second: Mapping[int, Figure]) -> dict[int, Figure]:
    """The first less the second, seed by seed, of the seeds that both have."""
    return {
        seed: Figure(one.value - second[seed].value, one.draws - second[seed].draws)
        for seed, one in first.items()
        if seed in second
    }


def _shares(*names: object) -> np.ndarray:
    """Places in a distribution, (DRAWS,) in (0, 1), evenly spread, in an order that is the same for the same names."""
    return (generator(*names).permutation(DRAWS) + 0.5) / DRAWS
