"""Black and white points: what a network is shown of a picture whose tones are none that it was trained on.

A faded scan has no black, an underexposed photograph no white; a network that has hardly seen such a picture paints it
all in one colour. It is shown the picture with points as it knows them instead. What is coloured stays the picture
itself. Which points a network knows, its own training pictures tell: see `Tones`.
"""

import math
from collections.abc import Callable
from typing import Self

import numpy as np
from array_api_compat import array_namespace
from pydantic import BaseModel, ConfigDict, Field

from pipeline.colour import Array, bytes_to_rgb, rgb_to_l

SHARE = 0.01  # of the pixels may be darker than the black point, and as many lighter than the white point
RARE = 0.005  # of the training pictures have a lighter black than where moving it begins, and as many a darker white
WIDTH = 10  # L* from where moving a point begins to where it is moved all the way
CONTRAST = 3  # at most so many times as much for each point: noise on a blank page shall not become a picture
PICTURES, CHUNK = 2000, 250  # that are looked at, spread evenly, and how many at a time


class Tones(BaseModel):
    """Black and white points of the pictures that a network was trained on, in L*."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    black: float = Field(ge=0, le=100)  # the median
    black_begins: float = Field(ge=0, le=100)  # lighter blacks are rare
    white: float = Field(ge=0, le=100)  # the median
    white_begins: float = Field(ge=0, le=100)  # darker whites are rare

    @classmethod
    def of(cls, pictures: np.ndarray) -> Self:
        """Of training pictures, uint8 (N, H, W, 3), which may be memory-mapped; of many, a part is looked at."""
        part = pictures[:: -(-len(pictures) // PICTURES)]
        chunks = (np.ascontiguousarray(part[start : start + CHUNK]) for start in range(0, len(part), CHUNK))
        found = [_points(rgb_to_l(bytes_to_rgb(chunk))) for chunk in chunks]
        black, white = (np.concatenate(of_one).ravel() for of_one in zip(*found, strict=True))
        values = {
            "black": np.median(black),
            "black_begins": np.quantile(black, 1 - RARE),
            "white": np.median(white),
            "white_begins": np.quantile(white, RARE),
        }
        return cls(**{name: round(min(max(float(value), 0), 100), 1) for name, value in values.items()})


def usual(l: Array, tones: Tones) -> Array:  # noqa: E741
    """Move black and white points to usual ones, where they are not.

    The farther a point is from where moving it begins, the farther it is moved, so that pictures that hardly differ are
    shown alike. Usual pictures stay as they are, to the last bit.

    Args:
        l: pictures, (N, 1, H, W) in [-1, 1], tensor or array.
        tones: which are usual.

    Returns:
        What to show the network, of the same kind, shape and range.
    """
    xp = array_namespace(l)
    black, white = _points(l)
    span = white - black
    darker = (black - (white - CONTRAST * span).clip(tones.black)).clip(0) * _ramp(black - tones.black_begins)
    lighter = ((black + CONTRAST * span).clip(None, tones.white) - white).clip(0) * _ramp(tones.white_begins - white)
    factor = 1 + (darker + lighter) / span.clip(1e-3)
    moved = ((l + 1) * 50 - black) * factor + black - darker
    return xp.where(darker + lighter > 0, (moved / 50 - 1).clip(-1, 1), l)


def shown(network: Callable[[Array], Array], tones: Tones) -> Callable[[Array], Array]:
    """The network, l (N, 1, H, W) → ab (N, 2, H, W), as one that is shown usual tones."""
    return lambda l: network(usual(l, tones))  # noqa: E741


def _points(l: Array) -> tuple[Array, Array]:  # noqa: E741
    """Black and white point of each picture, in L*, (N, 1, 1, 1)."""
    xp = array_namespace(l)
    ordered = xp.sort(xp.reshape(l, (l.shape[0], -1)), axis=1)
    aside = math.floor(SHARE * ordered.shape[1])
    return tuple((ordered[:, place, None, None, None] + 1) * 50 for place in (aside, -1 - aside))


def _ramp(beyond: Array) -> Array:
    """From 0 to 1."""
    return (beyond / WIDTH).clip(0, 1)
