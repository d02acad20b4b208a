"""A user's own pictures: any format that Pillow reads, any size."""

import hashlib
import sys
import unicodedata
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from pipeline.datasets.store import SPLITS, Split
from pipeline.errors import PipelineError
from pipeline.photographs import reading, tones

FEWEST = 50  # pictures; with fewer, a split may well be empty
TEST, VALIDATION = 0.2, 0.1  # shares of all pictures
WAY_OUT = "set datasets.folder.path in params.yaml to a folder of pictures (an absolute path in queued experiments)"


def read(folder: Path, size: int) -> tuple[list[str], dict[str, Split]]:
    """Classes, and pictures by split, each cropped to its centre and scaled to size×size.

    A subfolder of the first level is a class; pictures beside the subfolders form one named after the folder. What
    split a picture is in, validation too, follows from a hash of its path below the folder, and so does its place in
    it: adding pictures moves no other from one split to another. Files that cannot be read are named and passed over.

    Raises:
        PipelineError: no folder, or too few pictures.
    """
    if not folder.is_dir():
        raise PipelineError(f"{folder}: no such folder; {WAY_OUT}")
    paths = reading.find(folder)
    names = {path: _class(path, folder) for path in paths}
    ranked = sorted((_rank(path.relative_to(folder)), path) for path in paths)  # random order, but always the same
    pictures: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    found: dict[str, list[str]] = {split: [] for split in SPLITS}
    with reading.large_ones():
        for rank, path in tqdm(ranked, desc="reading", unit=" pictures", leave=False, disable=None):
            try:
                picture = load(path, size)
            except Exception as error:  # a broken file makes Pillow's readers stumble over just about anything
                tqdm.write(f"{path}: passed over: {reading.reason(error)}", file=sys.stderr)
                continue
            pictures[split_of(rank)].append(picture)
            found[split_of(rank)].append(names[path])
    _check_number(folder, len(paths), found)
    classes = sorted({name for split in found.values() for name in split})
    splits = {}
    for split in SPLITS:
        labels = np.array([classes.index(name) for name in found[split]], dtype=np.int64)
        splits[split] = Split(np.stack(pictures.pop(split)), labels)
    return classes, splits


def load(path: Path, size: int) -> np.ndarray:
    """One picture the right way up, uint8 (size, size, 3), sRGB; transparent parts are white.

    Raises:
        Exception: whatever Pillow raises for a file that it cannot read, and for one too large to be honest.
    """
    (page, *_), _ = reading.read(path, smallest=2 * size)
    picture = tones.to_rgb(page)
    return np.asarray(ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS))


def split_of(rank: str) -> str:
    """The split of a picture by the hash of its path."""
    place = int(rank[:16], 16) / 16**16  # in [0, 1)
    if place < TEST:
        return "test"
    return "validation" if place < TEST + VALIDATION else "train"


def _rank(path: Path) -> str:
    """Hash of a path, the same on systems that write an ä as one character and on those that write it as two."""
    return hashlib.sha256(unicodedata.normalize("NFC", path.as_posix()).encode("utf-8", "surrogateescape")).hexdigest()


def _class(path: Path, folder: Path) -> str:
    first, *rest = path.relative_to(folder).parts
    return first if rest else folder.resolve().name


def _check_number(folder: Path, files: int, found: dict[str, list[str]]) -> None:
    readable = sum(len(names) for names in found.values())
    if readable < FEWEST:
        raise PipelineError(
            f"{folder}: {readable} readable pictures in {files} picture files, at least {FEWEST} are needed; {WAY_OUT}"
        )
    for split, names in found.items():
        if not names:
            raise PipelineError(f"{folder}: none of its {readable} pictures is for {split}; add more pictures")
