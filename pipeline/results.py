"""What the measurements come to: means over the pictures, their 95 % intervals, and their differences."""

from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from pipeline.errors import PipelineError
from pipeline.metrics import Gaussian, frechet_distance, gaussian, moments, root

Results = dict[str, dict[str, float]]  # who → metric → value
ManyResults = dict[str, dict[str, np.ndarray]]  # the same for each of several sets of pictures, (R,)

AT_ONCE = 100  # resamples that are summed up together
MOST = 10**7  # numbers that are held for that at once, of float64


class Measurements(NamedTuple):
    """What each picture gave, by who coloured it: real, grey and whoever paints.

    numbers: who → metric → one number a picture, float (N,).
    features: who → the judge's features, float (N, F), which may be memory-mapped.
    hues: the same of those who paint, when each picture is made as colourful as the real one.
    """

    numbers: dict[str, dict[str, np.ndarray]]
    features: dict[str, np.ndarray]
    hues: dict[str, np.ndarray]


def summarise(measured: Measurements) -> Results:
    """All results on the pictures that were measured; see `_summarise`."""
    count = len(measured.features["real"])
    return {
        who: {metric: float(value[0]) for metric, value in values.items()}
        for who, values in _summarise(measured, np.ones((1, count))).items()
    }


def _summarise(measured: Measurements, counts: np.ndarray) -> ManyResults:
    """All results on R sets of pictures, in which picture i occurs counts[r, i] times.

    Besides the means there are

        skill                1 − L1 / L1 of grey: 0 is grey, 1 is perfect
        delta_colourfulness  colourfulness − that of the real pictures: below 0 is paler
        judge_fd             Fréchet distance to the real pictures in the judge's features
        judge_fd_hue         the same, when each picture is made as colourful as the real one: then which colours, and
                             where, is all that counts (Li et al. 2025, arXiv 2503.14974, section 5.2.1); of grey, which
                             cannot be made so, the same as judge_fd
        gan_minus_unet, gan_minus_unet_gain  the difference of each metric

    A Fréchet distance of the same network falls with the number of pictures: compare at equal numbers only.
    """
    results = {
        who: dict(zip(numbers, (counts @ _columns(numbers)).T / counts.sum(axis=1), strict=True))
        for who, numbers in measured.numbers.items()
    }
    real = _gaussian(measured.features["real"], counts)
    root_of_real = root(real.covariance)
    grey = results["grey"]["l1"]
    for who in results.keys() - {"real"}:
        means = results[who]
        means["skill"] = 1 - np.divide(means["l1"], grey, where=grey > 0, out=np.full_like(grey, np.nan))
        means["delta_colourfulness"] = means["colourfulness"] - results["real"]["colourfulness"]
        for metric, features in (("judge_fd", measured.features), ("judge_fd_hue", measured.hues)):
            if who in features:
                means[metric] = frechet_distance(real, _gaussian(features[who], counts), root_of_real)
            else:
                means[metric] = means["judge_fd"]
    gan = results.get("gan", {})
    differences = {
        f"gan_minus_{other}": {metric: gan[metric] - results[other][metric] for metric in gan}
        for other in ("unet", "unet_gain")
        if gan and other in results
    }
    return {**results, **differences}


def _columns(numbers: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack(list(numbers.values()), axis=1, dtype=np.float64)


def _gaussian(features: np.ndarray, counts: np.ndarray) -> Gaussian:
    """The Gaussians of R sets in which row i of the features, (N, F), occurs counts[r, i] times.

    The products of all features are summed up for all sets at once, a part of the rows at a time: that is one product
    of matrices, which takes a fraction of the time that each set's own covariance would.
    """
    count, width = features.shape
    centre = features[:AT_ONCE].mean(axis=0, dtype=np.float64)  # near enough to the mean
    step = max(1, MOST // (width * width))
    sums = sum(
        counts[:, start : start + step] @ moments(features[start : start + step] - centre)
        for start in range(0, count, step)
    )
    mean, covariance = gaussian(sums, counts.sum(axis=1), width)
    return Gaussian(mean + centre, covariance)


def with_intervals(measured: Measurements, resamples: int, seed: int) -> Results:
    """All results, each METRIC with METRIC_low and METRIC_high, its 95 % bootstrap interval over the pictures.

    Each resample draws pictures once for all, so that whatever is compared is compared on the same pictures. The
    intervals are percentiles. A resample repeats pictures, which takes its Fréchet distance about as far above the
    estimate as the estimate lies above the distance of infinitely many pictures; the percentiles of Fréchet distances
    are therefore moved so that their median is the estimate. That interval tells what other pictures, as many as
    these, would have given; the bias that a Fréchet distance of so many pictures has, it leaves in.

    Raises:
        PipelineError: the pictures are too few to have intervals.
    """
    drawn = _resample(measured, resamples, seed)
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    if not np.isfinite(low + high).all():
        raise PipelineError("too few test pictures with colours for intervals; give more")
    estimate = summarise(measured)
    off_centre = np.median(drawn, axis=0) - [value for values in estimate.values() for value in values.values()]
    return _interleave(estimate, low, high, off_centre)


def _resample(measured: Measurements, resamples: int, seed: int) -> np.ndarray:
    """All results, in their order, on sets of as many pictures, drawn with replacement: (resamples, results)."""
    count, rng = len(measured.features["real"]), np.random.default_rng(seed)
    at_once = min(AT_ONCE, max(1, MOST // count))
    found = []
    with tqdm(total=resamples, desc="resampling", disable=None) as bar:
        for start in range(0, resamples, at_once):
            sets = min(at_once, resamples - start)
            indices = rng.integers(0, count, (sets, count))
            counts = np.stack([np.bincount(drawn, minlength=count) for drawn in indices]).astype(np.float64)
            values = [value for values in _summarise(measured, counts).values() for value in values.values()]
            found.append(np.stack(values, axis=1))
            bar.update(sets)
    return np.concatenate(found)


def _interleave(estimate: Results, low: np.ndarray, high: np.ndarray, off_centre: np.ndarray) -> Results:
    """Put the ends of the intervals, in the order of the estimates, beside them, rounded to 6 digits."""
    ends = zip(low, high, off_centre, strict=True)
    results: Results = {who: {} for who in estimate}
    for who, values in estimate.items():
        for metric, value in values.items():
            below, above, shift = next(ends)
            if metric in ("judge_fd", "judge_fd_hue"):
                floor = -np.inf if who.startswith("gan_minus_") else 0
                below, above = max(floor, below - shift), above - shift
            for suffix, number in (("", value), ("_low", below), ("_high", above)):
                results[who][metric + suffix] = float(f"{number:.6g}")
    return results
