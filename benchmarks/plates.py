"""Three exposures of a glass plate, through a blue, a green and a red filter from top to bottom, as one photograph.

Old photographs with an answer: the scans of S. M. Prokudin-Gorskii's plates in the Library of Congress.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_gradient_magnitude, shift
from skimage.registration import phase_cross_correlation

BORDER = 0.07  # of each side, which is cut off: the plate's edge, and where the exposures do not overlap
FINENESS = 10  # parts of a pixel to which they are laid on each other
RANGE = 0.5, 99.5  # percentiles of each exposure that become black and white: how long each one took, nobody knows


def align(path: Path) -> Image.Image:
    """A scan, grey, three exposures high → the photograph, of mode RGB."""
    with Image.open(path) as scan:
        plate = np.asarray(scan.convert("L"), np.float64)
    height = len(plate) // 3
    blue, green, red = (plate[place * height : (place + 1) * height] for place in range(3))
    channels = [_inner(_onto(other, green)) for other in (red, green, blue)]
    return Image.fromarray(np.stack([_stretch(channel) for channel in channels], axis=2))


def _onto(exposure: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Moved to where the other one is, by their edges, for brightness differs from filter to filter."""
    edges = [_inner(gaussian_gradient_magnitude(picture, 1)) for picture in (fixed, exposure)]
    moved, _, _ = phase_cross_correlation(*edges, upsample_factor=FINENESS)
    return shift(exposure, moved, order=1, mode="nearest")


def _inner(picture: np.ndarray) -> np.ndarray:
    rows, columns = (round(side * BORDER) for side in picture.shape)
    return picture[rows:-rows, columns:-columns]


def _stretch(channel: np.ndarray) -> np.ndarray:
    low, high = np.percentile(channel, RANGE)
    return (((channel - low) / (high - low)).clip(0, 1) * 255).round().astype(np.uint8)
