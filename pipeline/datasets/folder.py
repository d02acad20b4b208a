"""A user's own pictures: any format that Pillow reads, any size."""

import errno
import sys
from collections.abc import Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from stat import S_ISDIR
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from pipeline.datasets import copies, layout, workers
from pipeline.datasets.crop import GAP, square
from pipeline.datasets.scratch import Pictures
from pipeline.datasets.store import Split
from pipeline.photographs import folders, formats, reading, tones, xmp
from pipeline.system.errors import PipelineError, printable

FEWEST = 50  # pictures; with fewer, a split may well be empty
TEST, VALIDATION = 0.2, 0.1  # shares of all pictures
# Why a file cannot be read that will not be read another time either: it is gone or locked, or broken.
LASTING = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EINVAL, errno.EOVERFLOW, errno.EFBIG}
PRECEDENCE = ("test", "validation", "train")  # where a picture stays that is in several
WAY_OUT = (
    "set datasets.folder.path in params.yaml to a folder of pictures (~ stands for your home folder; an absolute path "
    "in queued experiments and for `study run`)"
)


class Shown(NamedTuple):
    """What a file shows.

    digest, look: see `copies`.
    pixels: uint8 (size, size, 3), sRGB.
    """

    digest: str
    look: np.ndarray
    pixels: np.ndarray


def read(path: Path, size: int, scratch: Path) -> tuple[list[str], dict[str, Split]]:
    """Classes, and pictures by split, each cropped to its centre and scaled to size×size.

    A subfolder of the first level is a class; pictures beside the subfolders form one named after the folder. A folder
    that has splits of its own keeps them, see `layout`. What split a picture is in otherwise, validation too, follows
    from a hash of its pixels, and so does its place in it: neither adding pictures nor renaming them moves another from
    one split to another. Copies of a picture are left out, and so are raw data beside what was made of them, and
    results of colouring. What is left out is told on stderr, files that cannot be read by name.

    Args:
        path: the folder.
        size: side in pixels.
        scratch: a folder on the disk that has room for the pictures until they are in their order.

    Raises:
        PipelineError: no folder, or too few pictures.
    """
    folder = find(path)
    paths = reading.find(folder).files
    developed = _developed(paths)
    single = [path for path in paths if path not in developed]
    places = layout.places(single, folder)
    pictures = Pictures(scratch, size)
    found, known = _load_all(list(places), pictures, size)
    own = {place.split for place in places.values()}
    digests = known["digest"]
    split = np.array(
        [PRECEDENCE.index(_split(places[one], own, digest)) for one, digest in zip(found, digests, strict=True)], int
    )
    order = np.lexsort((digests, split))  # random, always the same; of copies by name, for so are they found
    kept, left_out = _without_copies(found, places, order, known[order])
    if developed:
        left_out["raw data of what is there developed, too"] = sorted(developed)
    if beside := [path for path in single if path not in places]:
        left_out["beside the folder's own splits"] = beside
    _tell(folder, left_out, {split for split in own if split})
    if own == {None} and (unheeded := layout.unheeded(paths, folder)):
        _say(folder, f"not taken for splits: {', '.join(unheeded)}")
    _check_number(folder, len(paths), np.bincount(split[kept], minlength=len(PRECEDENCE)))
    classes, labels = np.unique([places[found[one]].kind for one in kept], return_inverse=True)
    whole = Split(pictures.take(kept), labels)
    return classes.tolist(), {name: whole.take(split[kept] == number) for number, name in enumerate(PRECEDENCE)}


def learnable(folder: Path, classes: list[str], splits: dict[str, Split]) -> tuple[list[str], dict[str, Split]]:
    """Classes and pictures as classifiers may learn them: if only one class has training pictures, all are of that.

    Others without training pictures are told on stderr.
    """
    learnt = set(splits["train"].labels.tolist())
    if len(learnt) == 1:  # there is nothing to tell apart
        alike = {name: Split(split.pictures, np.zeros_like(split.labels)) for name, split in splits.items()}
        return [classes[learnt.pop()]], alike
    if unknown := [name for label, name in enumerate(classes) if label not in learnt]:
        _say(folder, f"classes without a picture to train on, which no classifier will know: {', '.join(unknown)}")
    return classes, splits


def _developed(paths: Sequence[Path]) -> set[Path]:
    """Raw data beside which lies what a camera, or somebody, has made of them: the same picture in other tones."""
    raw = {path for path in paths if path.suffix.lower() in formats.RAW_SUFFIXES}
    others = {path.with_suffix("") for path in paths if path not in raw}
    return {path for path in raw if path.with_suffix("") in others}


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


def _open(path: Path, size: int) -> Image.Image:
    """A picture the right way up in sRGB; transparent parts are white.

    Raises:
        PipelineError: it is none that is read here, or its colours were made up.
        Exception: whatever else Pillow raises.
    """
    (page,), (carries,), _ = reading.read(path, smallest=2 * size)  # a JPEG is decoded at a fraction of its size
    if carries.xmp and xmp.made_of(carries.xmp):
        raise PipelineError("a result of colouring, with colours that are made up")
    return tones.to_rgb(page)


def _load_all(paths: Sequence[Path], pictures: Pictures, size: int) -> tuple[list[Path], np.ndarray]:
    """The files that can be read, and what is known of each, copies.KNOWN (N,); the others are named.

    Args:
        paths: what to read.
        pictures: to which the pixels are added.
        size: side in pixels.
    """
    found, known = list[Path](), np.empty(len(paths), copies.KNOWN)
    shown = workers.each(partial(_show, size=size), paths)
    bar = tqdm(shown, total=len(paths), desc="reading", unit=" pictures", leave=False, disable=None)
    for path, one in zip(paths, bar, strict=True):
        if isinstance(one, str):
            tqdm.write(printable(f"{path}: passed over: {one}"), file=sys.stderr)
            continue
        known[len(found)] = one.digest, one.look
        pictures.append(one.pixels)
        found.append(path)
    return found, known[: len(found)]


def _show(path: Path, size: int) -> Shown | str:
    """What a file shows, or why it cannot be read.

    Raises:
        PipelineError: it may well be read another time, such as when a disk is there again.
    """
    try:
        picture = known = _open(path, max(size, copies.SIDE))
        if size > copies.SIDE:  # at another fraction it would be another picture to `copies`
            known = _open(path, copies.SIDE)
        known = square(known, copies.SIDE, copies.SMOOTH)
        if GAP * size <= copies.SIDE:  # its blocks are averaged already
            picture = known
        return Shown(*copies.fingerprint(known), np.asarray(square(picture, size)))
    except MemoryError:
        raise
    except OSError as error:
        if error.errno and error.errno not in LASTING:
            raise PipelineError(f"{path}: {error.strerror}; see to it, and run the same command again") from None
        return reading.reason(error)
    except Exception as error:  # a broken file makes Pillow's readers stumble over just about anything
        return reading.reason(error)


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


def _without_copies(
    found: Sequence[Path], places: Mapping[Path, layout.Place], order: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, dict[str, list[Path]]]:
    """What stays of an order of pictures, and what is left out because it is a copy of one before it."""
    firsts = copies.originals(known["digest"], known["look"])
    is_copy = firsts != np.arange(len(order))
    left_out: dict[str, list[Path]] = {}
    for one, first in zip(order[is_copy], order[firsts[is_copy]], strict=True):
        left_out.setdefault(_copies(places[found[one]], places[found[first]]), []).append(found[one])
    return order[~is_copy], left_out


def _copies(place: layout.Place, original: layout.Place) -> str:
    if place.kind != original.kind:
        return "copies in another class"
    return "copies in another split" if place.split != original.split else "copies"


def _say(folder: Path, line: str) -> None:
    print(printable(f"{folder}: {line}"), file=sys.stderr)


def _tell(folder: Path, left_out: Mapping[str, Sequence[Path]], own: Set[str]) -> None:
    """Say on stderr what was left out, and which splits the folder has itself."""
    if left_out:
        print(f"{printable(folder)}: left out: {folders.listed(folder, left_out)}", file=sys.stderr)
    if own:
        kept, cut = (", ".join(split for split in PRECEDENCE if (split in own) == has) for has in (True, False))
        print(f"{printable(folder)}: its own splits are kept: {kept}; cut from train: {cut or 'none'}", file=sys.stderr)


def _check_number(folder: Path, files: int, numbers: np.ndarray) -> None:
    """Refuse too few pictures; `numbers` says how many there are for each split, in the order of PRECEDENCE."""
    if numbers.sum() < FEWEST:
        raise PipelineError(
            f"{folder}: {numbers.sum()} readable pictures in {files} picture files, copies not counted, at least "
            f"{FEWEST} are needed; {WAY_OUT}"
        )
    for split, number in zip(PRECEDENCE, numbers, strict=True):
        if not number:
            raise PipelineError(f"{folder}: none of its {numbers.sum()} pictures is for {split}; add more pictures")
