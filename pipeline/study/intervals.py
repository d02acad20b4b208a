"""Means over seeds, and their differences, with 95 % intervals that cover both seeds and pictures.

Pictures are drawn as in a bootstrap: each draw takes the same pictures for all runs that were measured on them, so that
what is compared is compared on the same pictures. Seeds are too few for that: three of them, drawn with replacement,
show about two thirds of their variance. In place of drawing seeds, each draw adds to the mean what Student's t says of
a mean of so few, which takes them for normally distributed. With one seed an interval covers pictures alone.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import t

DRAWS, BLOCK = 2000, 50  # in all, and at a time
NORMAL = 1.959964  # standard deviations from the middle of a normal distribution to the end of its 95 % interval


class Interval(NamedTuple):
    """A figure, the ends of its 95 % interval, and over how many seeds."""

    value: float
    low: float
    high: float
    seeds: int

    @property
    def sign(self) -> int:
        """Whether it is clearly above 0 (1), clearly below (−1), or neither."""
        return int(self.low > 0) - int(self.high < 0)

    def __neg__(self) -> "Interval":
        """Of a difference, that the other way round."""
        return Interval(-self.value, -self.high, -self.low, self.seeds)


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
    return Figure(value, value + spread * generator(*names).standard_normal(DRAWS))


def counts(pictures: int, data: str) -> Iterator[np.ndarray]:
    """How often each draw has each picture, (DRAWS, N) in blocks of draws, the same for the same data set."""
    random, shares = generator("pictures", data), np.full(pictures, 1 / pictures)
    for _ in range(0, DRAWS, BLOCK):
        yield random.multinomial(pictures, shares, BLOCK)


def mean(by_seed: Mapping[int, Figure]) -> Interval:
    """The mean of a figure over seeds."""
    values = np.array([figure.value for figure in by_seed.values()])
    draws = np.mean([figure.draws for figure in by_seed.values()], axis=0)
    return _interval(values, draws)


def difference(first: Mapping[int, Figure], second: Mapping[int, Figure]) -> Interval | None:
    """The first less the second, over the seeds that both have; None if there are none."""
    seeds = [seed for seed in first if seed in second]
    return mean({seed: _less(first[seed], second[seed]) for seed in seeds}) if seeds else None


def _less(first: Figure, second: Figure) -> Figure:
    return Figure(first.value - second.value, first.draws - second.draws)


def less(first: Mapping[int, Figure], second: Mapping[int, Figure]) -> dict[int, Figure]:
    """The first less the second, seed by seed, for differences of differences."""
    return {seed: _less(first[seed], second[seed]) for seed in first if seed in second}


def _interval(values: np.ndarray, draws: np.ndarray) -> Interval:
    """Of a mean of values, one a seed, and of what the pictures make of it, (DRAWS,)."""
    middle, seeds = values.mean(), len(values)
    noise = draws - np.median(draws)
    if seeds > 1:
        spread = values.std(ddof=1) / np.sqrt(seeds)
        shares = (generator("seeds", seeds).permutation(len(draws)) + 0.5) / len(draws)  # drawn evenly, not at random
        noise = noise + spread * t.ppf(shares, seeds - 1)
    low, high = np.percentile(middle + noise, (2.5, 97.5))
    return Interval(float(middle), float(low), float(high), seeds)
