"""Whether pictures have colours that can be learnt and measured: neither greys, nor one tone as in a sepia scan.

Of one picture alone only greys are told: its colours may well be of one hue, as at sunset.
"""

import math

import numpy as np
from tqdm import tqdm

from pipeline.colour import AB_SCALE, bytes_to_rgb, rgb_to_l_ab
from pipeline.datasets.store import Split
from pipeline.system.errors import PipelineError

# Units of a* and b*. Noise of grey JPEGs reaches 0.5, sepia 1.6 in poor JPEGs; photographs of a class 6 to 16.
LEAST = 2
LIGHT = 90 / 50 - 1  # as networks see it; lighter pixels count as grey: where a tone is clipped it has other hues
BLOCK = 1 << 20  # bytes of the pictures whose colours are in memory
PICTURES, SIDE = 1000, 32  # that are looked at, and pixels of each along its side, spread evenly


def spread(pictures: np.ndarray) -> float:
    """How far colours lie from one hue: the root mean square distance of (a*, b*) from the best line through grey.

    Near 0 for greys, and for pictures that are toned in one hue, which is their lightness again.

    Args:
        pictures: uint8 (N, H, W, 3), which may be memory-mapped; with many, or large ones, a part is looked at.
    """
    strides = [-(-length // most) for length, most in zip(pictures.shape, (PICTURES, SIDE, SIDE), strict=False)]
    chosen = range(0, len(pictures), strides[0])  # one by one, for in another form than a view they fill memory
    part = np.concatenate([pictures[one : one + 1][:, :: strides[1], :: strides[2]] for one in chosen])
    l, ab = rgb_to_l_ab(bytes_to_rgb(part))  # noqa: E741
    ab = AB_SCALE * np.moveaxis(ab * (l < LIGHT), 1, 0).reshape(2, -1).astype(np.float64)
    across, _ = np.linalg.eigvalsh(ab @ ab.T / ab.shape[1])
    return float(max(across, 0) ** 0.5)


def are_coloured(pictures: np.ndarray) -> np.ndarray:
    """Which pictures are not grey, bool (N,): whose `chroma` is `LEAST` or more.

    Args:
        pictures: uint8 (N, H, W, 3), few enough for memory.
    """
    # A quarter of the pixels settles it for most: with twice the root mean square, all others may be grey.
    found = chroma(pictures, every=2) >= 2 * LEAST
    unsettled = np.flatnonzero(~found)
    found[unsettled] = chroma(pictures[unsettled]) >= LEAST
    return found


def chroma(pictures: np.ndarray, every: int = 1) -> np.ndarray:
    """How far the colours of each picture lie from grey: the root mean square of (a*, b*), float64 (N,).

    Args:
        pictures: uint8 (N, H, W, 3), few enough for memory; of large ones a part is looked at.
        every: so many rows, and columns, of that part one is looked at.
    """
    rows, columns = (slice(None, None, every * -(-length // SIDE)) for length in pictures.shape[1:3])
    l, ab = rgb_to_l_ab(bytes_to_rgb(np.ascontiguousarray(pictures[:, rows, columns])))  # noqa: E741
    return AB_SCALE * (((ab * (l < LIGHT)) ** 2).sum(axis=1, dtype=np.float64).mean(axis=(1, 2)) ** 0.5)


def coloured(split: Split) -> np.ndarray:
    """Which pictures of a split are not grey, indices, int64."""
    found = [np.empty(0, bool)]
    with tqdm(total=len(split.labels), desc="finding greys", unit=" pictures", leave=False, disable=None) as bar:
        at_once = max(1, BLOCK // math.prod(split.pictures.shape[1:]))
        for start in range(0, len(split.labels), at_once):
            found.append(are_coloured(split.pictures[start : start + at_once]))
            bar.update(len(found[-1]))
    return np.flatnonzero(np.concatenate(found))


def require(pictures: np.ndarray, what: str) -> None:
    """Refuse pictures without colours.

    Raises:
        PipelineError: with what they are, such as `every test picture`.
    """
    if (found := spread(pictures)) < LEAST:
        raise PipelineError(
            f"{what} is grey or of one tone, or nearly so, and there is nothing to learn or to measure: given colours "
            f"that lie {found:.1f} from one hue, in units of a* and b*, needed {LEAST}; give pictures with colours"
        )
