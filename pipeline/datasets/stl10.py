"""STL-10: 13,000 labelled pictures of 96×96 pixels in ten classes. Its 100,000 unlabelled ones are passed over."""

from pathlib import Path
from typing import IO

import numpy as np

from pipeline.datasets import archive
from pipeline.datasets.splits import cut_validation
from pipeline.datasets.store import Split
from pipeline.errors import PipelineError

SIDE = 96
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
FOLDER = "stl10_binary"
PICTURE = 3 * SIDE * SIDE  # bytes: the planes of red, green and blue, column by column
CHUNK = 256  # pictures turned at a time, so that memory holds each of them once


def read(path: Path) -> dict[str, Split]:
    """The labelled pictures of the archive by split; validation is cut from training.

    Raises:
        PipelineError: the archive is damaged or another one.
    """
    contents = archive.read(path, FOLDER, MEMBERS)
    splits = {name: Split(contents[f"{name}_X.bin"], contents[f"{name}_y.bin"]) for name in ("train", "test")}
    for name, (pictures, labels) in splits.items():
        if len(pictures) != len(labels):
            mismatch = f"{len(pictures)} {name} pictures, but {len(labels)} labels"
            raise PipelineError(f"{path}: {mismatch}; {archive.WAY_OUT}")
    splits["train"], splits["validation"] = cut_validation(splits["train"])
    return splits


def _pictures(file: IO[bytes], size: int) -> np.ndarray:
    """Pictures, uint8 (N, SIDE, SIDE, 3)."""
    if size == 0 or size % PICTURE:
        raise ValueError(f"has {size} bytes, which is no number of {PICTURE}-byte pictures")
    pictures = np.empty((size // PICTURE, SIDE, SIDE, 3), np.uint8)
    for start in range(0, len(pictures), CHUNK):
        chunk = pictures[start : start + CHUNK]
        planes = np.frombuffer(file.read(len(chunk) * PICTURE), np.uint8).reshape(-1, 3, SIDE, SIDE)
        chunk[:] = planes.transpose(0, 3, 2, 1)  # (N, channel, column, row) → (N, row, column, channel)
    return pictures


def _labels(file: IO[bytes], size: int) -> np.ndarray:
    """Classes, int64 (N,), counted from 0; the file counts from 1."""
    labels = np.frombuffer(file.read(size), np.uint8).astype(np.int64) - 1
    if not size or labels.min() < 0 or labels.max() >= len(CLASSES):
        raise ValueError(f"has no labels, or others than 1 to {len(CLASSES)}")
    return labels


MEMBERS = {
    "train_X.bin": archive.Member(5_000 * PICTURE, _pictures),
    "train_y.bin": archive.Member(5_000, _labels),
    "test_X.bin": archive.Member(8_000 * PICTURE, _pictures),
    "test_y.bin": archive.Member(8_000, _labels),
    "unlabeled_X.bin": archive.Member(100_000 * PICTURE),
    "class_names.txt": archive.Member(10_000),
    "fold_indices.txt": archive.Member(1_000_000),
}
