"""A user's own pictures: any format that Pillow reads, any size."""

import sys
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from stat import S_ISDIR
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from pipeline.datasets import copies, layout
from pipeline.datasets.store import Split
from pipeline.errors import PipelineError, printable
from pipeline.photographs import folders, reading, tones

FEWEST = 50  # pictures; with fewer, a split may well be empty
TEST, VALIDATION = 0.2, 0.1  # shares of all pictures
PRECEDENCE = ("test", "validation", "train")  # where a picture stays that is in several
WAY_OUT = (
    "set datasets.folder.path in params.yaml to a folder of pictures (~ stands for your home folder; an absolute path "
    "in queued experiments)"
)


class Picture(NamedTuple):
    """A picture of the folder.

    place: what its subfolders say.
    split: the one that it belongs to.
    digest, look: see `copies`.
    pixels: uint8 (size, size, 3), sRGB.
    """

    path: Path
    place: layout.Place
    split: str
    digest: str
    look: np.ndarray
    pixels: np.ndarray


def read(path: Path, size: int) -> tuple[list[str], dict[str, Split]]:
    """Classes, and pictures by split, each cropped to its centre and scaled to size×size.

    A subfolder of the first level is a class; pictures beside the subfolders form one named after the folder. A folder
    that has splits of its own keeps them. What split a picture is in otherwise, validation too, follows from a hash of
    its pixels, and so does its place in it: neither adding pictures nor renaming them moves another from one split to
    another. Copies of a picture are left out. What is left out is told on stderr, files that cannot be read by name.

    Raises:
        PipelineError: no folder, or too few pictures.
    """
    folder = find(path)
    paths = reading.find(folder).files
    places = layout.places(paths, folder)
    found = _load_all(places, size)
    taken, left_out = _without_copies(found)
    if len(places) < len(paths):
        left_out["beside the folder's own splits"] = [path for path in paths if path not in places]
    _tell(folder, left_out, {place.split for place in places.values()} - {None})
    _check_number(folder, len(paths), taken)
    classes = sorted({one.place.kind for one in taken})
    return classes, {split: _stack([one for one in taken if one.split == split], classes) for split in PRECEDENCE}


def find(path: Path) -> Path:
    """The folder of pictures that params.yaml names.

    Raises:
        PipelineError: there is none, it may not be opened, or what the stages write would be among its pictures.
    """
    try:
        folder = path.expanduser()
        is_folder = S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such folder; {WAY_OUT}") from None
    except RuntimeError:  # whose home ~ is
        raise PipelineError(f"{path}: no such home folder; {WAY_OUT}") from None
    except OSError as error:
        raise PipelineError(f"{path}: {error.strerror}; {WAY_OUT}") from None
    if not is_folder:
        raise PipelineError(f"{path}: no folder but a file, if an archive, then unpack it; {WAY_OUT}")
    if Path("data").resolve().is_relative_to(folder.resolve()):
        raise PipelineError(f"{path}: holds what the stages write themselves, in data/; {WAY_OUT}")
    return folder


def load(path: Path, size: int) -> np.ndarray:
    """One picture the right way up, uint8 (size, size, 3), sRGB; transparent parts are white.

    Raises:
        Exception: whatever Pillow raises for a file that it cannot read, and for one too large to be honest.
    """
    return _fit(_open(path, size), size)


def _open(path: Path, size: int) -> Image.Image:
    # Only JPEGs so large that no difference is seen are decoded at less than their size: see `copies`.
    page = reading.read(path, smallest=max(2 * size, 8 * copies.SIDE)).pages[0]
    return tones.to_rgb(page)


def _fit(picture: Image.Image, size: int) -> np.ndarray:
    return np.asarray(ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS))


def _load_all(places: dict[Path, layout.Place], size: int) -> list[Picture]:
    """The pictures that can be read; the others are named."""
    own = {place.split for place in places.values()}
    found = []
    with reading.large_ones():
        for path, place in tqdm(places.items(), desc="reading", unit=" pictures", leave=False, disable=None):
            try:
                picture = _open(path, size)
                digest, look = copies.fingerprint(picture)
                pixels = _fit(picture, size)
            except Exception as error:  # a broken file makes Pillow's readers stumble over just about anything
                tqdm.write(printable(f"{path}: passed over: {reading.reason(error)}"), file=sys.stderr)
                continue
            found.append(Picture(path, place, _split(place, own, digest), digest, look, pixels))
    return found


def _split(place: layout.Place, own: set[str | None], digest: str) -> str:
    """The split of a picture: that of the folder; of its training pictures are cut those splits that it lacks."""
    cut = split_of(digest)
    return cut if place.split is None or (place.split == "train" and cut not in own) else place.split


def split_of(digest: str) -> str:
    """The split of a picture by the hash of its pixels."""
    place = int(digest[:16], 16) / 16**16  # in [0, 1)
    if place < TEST:
        return "test"
    return "validation" if place < TEST + VALIDATION else "train"


def _without_copies(found: Sequence[Picture]) -> tuple[list[Picture], dict[str, list[Path]]]:
    """Pictures in random order, always the same, and what is left out because it is a copy of one of them."""
    if not found:
        return [], {}
    ranked = sorted(found, key=lambda one: (PRECEDENCE.index(one.split), one.digest, one.path))
    firsts = copies.originals([one.digest for one in ranked], np.stack([one.look for one in ranked]))
    left_out: dict[str, list[Path]] = {}
    for one, first in zip(ranked, firsts, strict=True):
        if one is not ranked[first]:
            left_out.setdefault(_copies(one.place, ranked[first].place), []).append(one.path)
    return [one for index, one in enumerate(ranked) if index == firsts[index]], left_out


def _copies(place: layout.Place, original: layout.Place) -> str:
    if place.kind != original.kind:
        return "copies in another class"
    return "copies in another split" if place.split != original.split else "copies"


def _stack(pictures: Sequence[Picture], classes: Sequence[str]) -> Split:
    labels = np.array([classes.index(one.place.kind) for one in pictures], dtype=np.int64)
    return Split(np.stack([one.pixels for one in pictures]), labels)


def _tell(folder: Path, left_out: Mapping[str, Sequence[Path]], own: Set[str]) -> None:
    """Say on stderr what was left out, and which splits the folder has itself."""
    if left_out:
        print(f"{printable(folder)}: left out: {folders.listed(folder, left_out)}", file=sys.stderr)
    if own:
        kept, cut = (", ".join(split for split in PRECEDENCE if (split in own) == has) for has in (True, False))
        print(f"{printable(folder)}: its own splits are kept: {kept}; cut from train: {cut or 'none'}", file=sys.stderr)


def _check_number(folder: Path, files: int, taken: Sequence[Picture]) -> None:
    if len(taken) < FEWEST:
        raise PipelineError(
            f"{folder}: {len(taken)} readable pictures in {files} picture files, copies not counted, at least {FEWEST} "
            f"are needed; {WAY_OUT}"
        )
    for split in PRECEDENCE:
        if not any(one.split == split for one in taken):
            raise PipelineError(f"{folder}: none of its {len(taken)} pictures is for {split}; add more pictures")
