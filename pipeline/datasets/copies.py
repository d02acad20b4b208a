"""Which pictures are the same one: exact copies, and copies that were resized or compressed anew."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image
from tqdm import tqdm

from pipeline.datasets.crop import square

SIDE = 64  # pixels of the square by which a picture is known, whatever its size
SMOOTH = Image.Resampling.BILINEAR  # of which nothing but cells is looked at
CELLS = 8  # along each side of the coarse look by which copies are found
# Pictures are copies if their looks differ by less than this share of their contrast, root mean square. Photographs of
# 128 pixels differ by up to 0.02 from resized copies and 0.06 from JPEGs of quality 50, larger ones by less; of 3,000
# different ones no two came closer than 0.3.
ALIKE = 0.05
FIRST = 1024  # pictures that are looked through at first; then always as many as before, all together
COARSE = 2  # cells along each side of the coarser look by which neighbours are found
BLOCK = 256  # pictures whose neighbours are held in memory
KNOWN = np.dtype([("digest", "S64"), ("look", np.int8, (CELLS, CELLS, 3))])  # what is known of a picture, see below


def fingerprint(picture: Image.Image) -> tuple[str, np.ndarray]:
    """A digest of a picture's pixels, and its look, int8 (CELLS, CELLS, 3), brightness around 0.

    Args:
        picture: the right way up, RGB; what lies outside its middle square does not count.
    """
    known = square(picture, SIDE, SMOOTH)
    look = (np.asarray(known.resize((CELLS, CELLS), Image.Resampling.BOX), np.int16) - 128).astype(np.int8)
    return hashlib.sha256(known.tobytes()).hexdigest(), look


def originals(digests: Sequence[str] | np.ndarray, looks: np.ndarray) -> np.ndarray:
    """The picture that each is a copy of: the first that is the same and no copy itself, or it itself.

    Each is compared with its neighbours alone, and with none that is a copy: time and memory are about in proportion to
    the number of pictures.

    Args:
        digests: N of them; pictures with the same one have the same look.
        looks: int8 (N, CELLS, CELLS, 3).

    Returns:
        Indices, int64 (N,).
    """
    _, first, exact = np.unique(digests, return_index=True, return_inverse=True)
    found = first[exact]
    contrasts = np.empty(len(looks))
    for start in range(0, len(looks), BLOCK):
        contrasts[start : start + BLOCK] = _contrasts(looks[start : start + BLOCK])
    different = np.flatnonzero((found == np.arange(len(found))) & (contrasts > 0))  # flat ones look like no other
    kept = different[:0]
    with tqdm(total=len(different), desc="finding copies", unit=" pictures", leave=False, disable=None) as bar:
        for start, stop in _generations(len(different)):
            new = different[start:stop]
            _follow(found, looks, contrasts, new, kept)
            left = new[found[new] == new]
            _follow(found, looks, contrasts, left, left)
            kept = np.concatenate([kept, left[found[left] == left]])
            bar.update(len(new))
    return found[found]


def _generations(number: int) -> Iterator[tuple[int, int]]:
    """Start and stop of the first pictures, and then of always as many as came before."""
    start, stop = 0, FIRST
    while start < number:
        yield start, stop
        start, stop = stop, 2 * stop


def _contrasts(looks: np.ndarray) -> np.ndarray:
    """Squares of how far the cells are from their mean, summed, float64 (N,)."""
    looks = looks.astype(np.float64)
    return ((looks - looks.mean(axis=(1, 2), keepdims=True)) ** 2).sum(axis=(1, 2, 3))


def _follow(found: np.ndarray, looks: np.ndarray, contrasts: np.ndarray, these: np.ndarray, others: np.ndarray) -> None:
    """Note of each of these the first of others that is like it, comes before it, and is no copy, as found so far.

    Looks are never closer than coarse ones, orthogonal projections of them, so that what is alike lies in a ball around
    the coarse look. Those of others are in ascending order, so the smallest place is that of the first.
    """
    from scipy.spatial import KDTree  # which takes a while to import

    if not (these.size and others.size):
        return
    tree = KDTree(_coarse(looks, others), balanced_tree=False)
    for start in range(0, len(these), BLOCK):
        block = these[start : start + BLOCK]
        radii = ALIKE * np.sqrt(contrasts[block])
        for index, near in zip(block, tree.query_ball_point(_coarse(looks, block), radii, workers=-1), strict=True):
            if not near or others[min(near)] >= index:  # true of nearly all, and sooner seen than by NumPy
                continue
            near = others[near]
            near = near[(near < index) & (found[near] == near)]
            apart = ((looks[near].astype(np.float64) - looks[index]) ** 2).sum(axis=(1, 2, 3))
            alike = near[apart < ALIKE**2 * np.minimum(contrasts[index], contrasts[near])]
            if alike.size:
                found[index] = alike.min()


def _coarse(looks: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Coarser looks, float64 (N, COARSE · COARSE · 3), scaled so that none are farther apart than the looks."""
    cells = CELLS // COARSE
    coarse = np.empty((len(chosen), COARSE * COARSE * 3))
    for start in range(0, len(chosen), BLOCK):
        block = looks[chosen[start : start + BLOCK]].reshape(-1, COARSE, cells, COARSE, cells, 3)
        coarse[start : start + BLOCK] = block.sum(axis=(2, 4), dtype=np.float64).reshape(len(block), -1) / cells
    return coarse
