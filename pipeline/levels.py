"""Black and white points: what the network is shown of a picture whose tones are none that it was trained on.

A faded scan has no black, an underexposed photograph no white; a network that has hardly seen such a picture paints it
all in one colour. It is shown the picture with usual points instead. What is coloured stays the photograph itself.
"""

import math

from array_api_compat import array_namespace

from pipeline.colour import Array

SHARE = 0.01  # of the pixels may be darker than the black point, and as many lighter than the white point
# L* of black and white points, of the training pictures of CIFAR-10's copy, the median, and where moving them begins
# and ends: 0.9 % of those pictures have a lighter black or a darker white than where it begins.
BLACK, BLACK_BEGINS, BLACK_ENDS = 8, 46, 56
WHITE, WHITE_BEGINS, WHITE_ENDS = 90, 52, 44
CONTRAST = 3  # at most so many times as much for each point: noise on a blank page shall not become a picture


def usual(l: Array) -> Array:  # noqa: E741
    """Move black and white points to usual ones, where they are not.

    The farther a point is from where moving it begins, the farther it is moved, so that pictures that hardly differ are
    shown alike. Usual pictures stay as they are, to the last bit.

    Args:
        l: pictures, (N, 1, H, W) in [-1, 1], tensor or array.

    Returns:
        What to show the network, of the same kind, shape and range.
    """
    xp = array_namespace(l)
    ordered = xp.sort(xp.reshape(l, (l.shape[0], -1)), axis=1)
    aside = math.floor(SHARE * ordered.shape[1])
    black, white = ((ordered[:, place, None, None, None] + 1) * 50 for place in (aside, -1 - aside))  # (N, 1, 1, 1)
    span = white - black
    darker = (black - (white - CONTRAST * span).clip(BLACK)).clip(0) * _ramp(black, BLACK_BEGINS, BLACK_ENDS)
    lighter = ((black + CONTRAST * span).clip(None, WHITE) - white).clip(0) * _ramp(white, WHITE_BEGINS, WHITE_ENDS)
    factor = 1 + (darker + lighter) / span.clip(1e-3)
    moved = ((l + 1) * 50 - black) * factor + black - darker
    return xp.where(darker + lighter > 0, (moved / 50 - 1).clip(-1, 1), l)


def _ramp(values: Array, begins: float, ends: float) -> Array:
    """From 0 to 1."""
    return ((values - begins) / (ends - begins)).clip(0, 1)
