"""Pictures without labels, for a colouriser alone: as many as are wanted, none of them grey or there already."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from pipeline.datasets import colours, copies, workers
from pipeline.datasets.scratch import Pictures


class Shown(NamedTuple):
    """What a picture shows.

    digest, look: see `copies`.
    pixels: uint8 (side, side, 3), sRGB.
    coloured: whether it is not grey.
    """

    digest: str
    look: np.ndarray
    pixels: np.ndarray
    coloured: bool


def choose(
    pictures: Iterable[np.ndarray],
    number: int,
    known: Mapping[str, np.ndarray],
    scratch: Path,
    left_out: Counter[str],
) -> Pictures:
    """The first so many pictures that are neither grey nor copies; only these, and the copies, are ever stored.

    Args:
        pictures: any number of them, uint8 (side, side, 3), as large as those that are known.
        number: how many are wanted.
        known: pictures of which none may be a copy, uint8 (N, side, side, 3), by the name of their split.
        scratch: a folder on the disk that has room for those that are wanted.
        left_out: why pictures are left out, and how many, is added to it.
    """
    names = np.repeat(list(known), [len(split) for split in known.values()])
    side = next(iter(known.values())).shape[1]
    stored = Pictures(scratch, side)
    seen = _seen(workers.each(_show, (picture for split in known.values() for picture in split)))
    kept = firsts = np.empty(0, int)
    with closing(workers.each(_show, pictures)) as shown:
        coloured = _coloured(shown, left_out)
        while lacking := number - len(kept):
            more = _seen(_stored(coloured, lacking, stored))
            if not len(more):
                break
            seen = np.concatenate([seen, more])
            firsts = copies.originals(seen["digest"], seen["look"])[len(names) :]
            kept = np.flatnonzero(firsts == np.arange(len(names), len(seen)))
    for first in np.delete(firsts, kept):
        left_out[f"copies of {names[first]} pictures" if first < len(names) else "copies of others"] += 1
    return stored.take(kept)


def _show(picture: np.ndarray) -> Shown:
    return Shown(*copies.fingerprint(Image.fromarray(picture)), picture, colours.are_coloured(picture[None])[0])


def _seen(shown: Iterable[Shown]) -> np.ndarray:
    """What is known of pictures by which copies of them are found, copies.KNOWN (N,)."""
    return np.fromiter(((one.digest, one.look) for one in shown), copies.KNOWN)


def _coloured(shown: Iterable[Shown], left_out: Counter[str]) -> Iterator[Shown]:
    """Those that are not grey; the others are counted."""
    for one in shown:
        if one.coloured:
            yield one
        else:
            left_out["grey"] += 1


def _stored(shown: Iterator[Shown], number: int, stored: Pictures) -> Iterator[Shown]:
    """The next so many, each of which is stored."""
    wanted = islice(shown, number)
    for one in tqdm(wanted, total=number, desc="choosing", unit=" pictures", leave=False, disable=None):
        stored.append(one.pixels)
        yield one
