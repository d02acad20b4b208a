"""What the measurements come to: means over the pictures, their 95 % intervals, and their differences."""

from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap
from tqdm import tqdm

from pipeline.errors import PipelineError
from pipeline.metrics import frechet_distance, gaussian

Results = dict[str, dict[str, float]]  # who → metric → value


class Measurements(NamedTuple):
    """What each picture gave, by who coloured it: real, grey, unet, unet_gain or gan.

    numbers: who → metric → one number a picture, float64 (N,).
    features: who → the judge's features, float64 (N, F).
    """

    numbers: dict[str, dict[str, np.ndarray]]
    features: dict[str, np.ndarray]


def summarise(measured: Measurements, counts: np.ndarray) -> Results:
    """All results on a set in which picture i occurs counts[i] times.

    Besides the means there are

        skill                1 − L1 / L1 of grey: 0 is grey, 1 is perfect
        delta_colourfulness  colourfulness − that of the real pictures: below 0 is paler
        judge_fd             Fréchet distance to the real pictures in the judge's features
        gan_minus_unet, gan_minus_unet_gain  the difference of each metric

    A Fréchet distance of the same network falls with the number of pictures: compare at equal numbers only.
    """
    weights = counts / counts.sum()
    results = {
        who: {metric: float(weights @ values) for metric, values in numbers.items()}
        for who, numbers in measured.numbers.items()
    }
    gaussians = {who: gaussian(features, counts) for who, features in measured.features.items()}
    for who in results.keys() - {"real"}:
        means = results[who]
        means["skill"] = 1 - means["l1"] / results["grey"]["l1"] if results["grey"]["l1"] else np.nan
        means["delta_colourfulness"] = means["colourfulness"] - results["real"]["colourfulness"]
        means["judge_fd"] = frechet_distance(gaussians["real"], gaussians[who])
    gan = results["gan"]
    differences = {
        f"gan_minus_{other}": {metric: gan[metric] - results[other][metric] for metric in gan}
        for other in ("unet", "unet_gain")
    }
    return {**results, **differences}


def with_intervals(measured: Measurements, resamples: int, seed: int) -> Results:
    """All results, each METRIC with METRIC_low and METRIC_high, its 95 % bootstrap interval over the pictures.

    Each resample draws pictures once for all, so that whatever is compared is compared on the same pictures. The
    intervals are percentiles. A resample repeats pictures, which takes its Fréchet distance about as far above the
    estimate as the estimate lies above the distance of infinitely many pictures; the percentiles of judge_fd are
    therefore moved so that their median is the estimate. That interval tells what other pictures, as many as these,
    would have given; the bias that a Fréchet distance of so many pictures has, it leaves in.

    Raises:
        PipelineError: the pictures are too few to have intervals.
    """
    count = len(measured.features["real"])
    estimate = summarise(measured, np.ones(count))
    with tqdm(total=resamples, desc="resampling", disable=None) as bar:

        def statistic(indices: np.ndarray) -> np.ndarray:
            bar.update()
            return _flat(summarise(measured, np.bincount(indices, minlength=count)))

        drawn = bootstrap(
            (np.arange(count),),
            statistic,
            n_resamples=resamples,
            batch=100,
            vectorized=False,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    low, high = drawn.confidence_interval
    if not np.isfinite(low + high).all():
        raise PipelineError("too few test pictures with colours for intervals; give more")
    off_centre = np.median(drawn.bootstrap_distribution, axis=-1) - _flat(estimate)
    return _interleave(estimate, low, high, off_centre)


def _flat(results: Results) -> np.ndarray:
    return np.array([value for values in results.values() for value in values.values()])


def _interleave(estimate: Results, low: np.ndarray, high: np.ndarray, off_centre: np.ndarray) -> Results:
    """Put the ends of the intervals, in the order of `_flat`, beside the estimates, rounded to 6 digits."""
    ends = zip(low, high, off_centre, strict=True)
    results: Results = {who: {} for who in estimate}
    for who, values in estimate.items():
        for metric, value in values.items():
            below, above, shift = next(ends)
            if metric == "judge_fd":
                floor = -np.inf if who.startswith("gan_minus_") else 0
                below, above = max(floor, below - shift), above - shift
            for suffix, number in (("", value), ("_low", below), ("_high", above)):
                results[who][metric + suffix] = float(f"{number:.6g}")
    return results
