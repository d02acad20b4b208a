"""What the measurements come to: means over the pictures, their 95 % intervals, and their differences."""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from pipeline.system.errors import PipelineError

Measurements = dict[str, dict[str, np.ndarray]]  # who → metric → one number a picture, float (N,)
Results = dict[str, dict[str, float]]  # who → metric → value
ManyResults = dict[str, dict[str, np.ndarray]]  # the same for each of several sets of pictures, (R,)

Pairs = Sequence[tuple[str, str]]  # two of the names, of which the second is taken off the first

MINUS = "_minus_"
LARGEST_GAIN = 8  # by which colours are multiplied to be as lively as others
DISTANCES = "judge_fd", "judge_fd_hue", "inception_fd"  # which are never below 0, whatever their interval says
MOST = 10**7  # numbers that are held at once, of float64


def summarise(measured: Measurements, pairs: Pairs = ()) -> Results:
    """All results on the pictures that were measured; see `_summarise`."""
    count = len(measured["real"]["colourfulness"])
    return {
        who: {metric: float(value[0]) for metric, value in values.items()}
        for who, values in _summarise(measured, np.ones((1, count)), pairs).items()
    }


def _summarise(measured: Measurements, counts: np.ndarray, pairs: Pairs) -> ManyResults:
    """All results on R sets of pictures, in which picture i occurs counts[r, i] times, and what pairs differ by.

    Besides the means there are

        skill                1 − L1 / L1 of grey: 0 is grey, 1 is perfect
        delta_colourfulness  colourfulness − that of the real pictures: below 0 is paler
        ONE_minus_OTHER      of each pair that was measured, the difference of each metric
    """
    results = {
        who: dict(zip(numbers, (counts @ _columns(numbers)).T / counts.sum(axis=1), strict=True))
        for who, numbers in measured.items()
    }
    grey = results["grey"]["l1"]
    for who in results.keys() - {"real"}:
        means = results[who]
        means["skill"] = 1 - np.divide(means["l1"], grey, where=grey > 0, out=np.full_like(grey, np.nan))
        means["delta_colourfulness"] = means["colourfulness"] - results["real"]["colourfulness"]
    differences = {
        f"{one}{MINUS}{other}": {metric: value - results[other][metric] for metric, value in results[one].items()}
        for one, other in pairs
        if one in results and other in results
    }
    return {**results, **differences}


def _columns(numbers: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack(list(numbers.values()), axis=1, dtype=np.float64)


def with_intervals(measured: Measurements, resamples: int, seed: int, pairs: Pairs = ()) -> Results:
    """All results, each METRIC with METRIC_low and METRIC_high, its 95 % bootstrap interval over the pictures.

    Each resample draws pictures once for all, so that whatever is compared is compared on the same pictures. The
    intervals are percentiles. They tell what other pictures, as many as these, would have given.

    Raises:
        PipelineError: the pictures are too few to have intervals.
    """
    drawn = _resample(measured, resamples, seed, pairs)
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    if not np.isfinite(low + high).all():
        raise PipelineError("too few test pictures with colours for intervals; give more")
    return _interleave(summarise(measured, pairs), low, high)


def _resample(measured: Measurements, resamples: int, seed: int, pairs: Pairs) -> np.ndarray:
    """All results, in their order, on sets of as many pictures, drawn with replacement: (resamples, results)."""
    count, rng = len(measured["real"]["colourfulness"]), np.random.default_rng(seed)
    at_once = max(1, MOST // count)
    found = []
    with tqdm(total=resamples, desc="resampling", disable=None) as bar:
        for start in range(0, resamples, at_once):
            sets = min(at_once, resamples - start)
            indices = rng.integers(0, count, (sets, count))
            counts = np.stack([np.bincount(drawn, minlength=count) for drawn in indices]).astype(np.float64)
            values = [value for values in _summarise(measured, counts, pairs).values() for value in values.values()]
            found.append(np.stack(values, axis=1))
            bar.update(sets)
    return np.concatenate(found)


def _interleave(estimate: Results, low: np.ndarray, high: np.ndarray) -> Results:
    """Put the ends of the intervals, in the order of the estimates, beside them, rounded to 6 digits."""
    ends = zip(low, high, strict=True)
    results: Results = {who: {} for who in estimate}
    for who, values in estimate.items():
        for metric, value in values.items():
            below, above = next(ends)
            if metric in DISTANCES and MINUS not in who:
                below = max(0, below)
            for suffix, number in (("", value), ("_low", below), ("_high", above)):
                results[who][metric + suffix] = float(f"{number:.6g}")
    return results
