"""Which pictures are the same one: exact copies, and copies that were resized or compressed anew."""

import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

SIDE = 64  # pixels of the square by which a picture is known, whatever its size
CELLS = 8  # along each side of the coarse look by which copies are found
# Pictures are copies if their looks differ by less than this share of their contrast, root mean square. Photographs of
# 128 pixels differ by up to 0.02 from resized copies and 0.06 from JPEGs of quality 50, larger ones by less; of 3,000
# different ones no two came closer than 0.3.
ALIKE = 0.05
BLOCK = 256  # pictures that are compared with all others at once


def fingerprint(picture: Image.Image) -> tuple[str, np.ndarray]:
    """A digest of a picture's pixels, and its look, float32 (CELLS, CELLS, 3) around 0.

    Args:
        picture: the right way up, RGB; what lies outside its middle square does not count.
    """
    square = ImageOps.fit(picture, (SIDE, SIDE), Image.Resampling.LANCZOS)
    look = np.asarray(square.resize((CELLS, CELLS), Image.Resampling.BOX), np.float32) - 128
    return hashlib.sha256(square.tobytes()).hexdigest(), look


def originals(digests: Sequence[str], looks: np.ndarray) -> np.ndarray:
    """The picture that each is a copy of: the first that is the same and no copy itself, or it itself.

    Args:
        digests: N of them.
        looks: float32 (N, CELLS, CELLS, 3), of whole numbers, so that how far they are apart is exact.

    Returns:
        Indices, int64 (N,).
    """
    contrasts = ((looks - looks.mean(axis=(1, 2), keepdims=True)) ** 2).sum(axis=(1, 2, 3))
    _, exact = np.unique(digests, return_inverse=True)
    looks = looks.reshape(len(looks), -1)
    squares = (looks**2).sum(axis=1)
    every = np.arange(len(looks))
    found = every.copy()
    for start in range(0, len(looks), BLOCK):
        here, before = slice(start, start + BLOCK), slice(start + BLOCK)
        apart = squares[here, None] + squares[before] - 2 * looks[here] @ looks[before].T
        alike = apart < ALIKE**2 * np.minimum(contrasts[here, None], contrasts[before])
        alike |= exact[here, None] == exact[before]
        for index, row in enumerate(alike, start):
            same = np.flatnonzero(row[:index] & (found[:index] == every[:index]))
            if same.size:
                found[index] = same[0]
    return found
