"""STL-10: 13,000 labelled pictures of 96×96 pixels in ten classes, and 100,000 unlabelled ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from pipeline.datasets import archive
from pipeline.datasets.splits import cut_validation
from pipeline.datasets.store import Split
from pipeline.system.errors import PipelineError

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


def unlabelled(path: Path) -> Iterator[np.ndarray]:
    """The unlabelled pictures of the archive one after the other, uint8 (SIDE, SIDE, 3), as far as they are asked for.

    Raises:
        PipelineError: the archive is damaged or another one.
    """
    for content in archive.blocks(path, FOLDER, MEMBERS, UNLABELLED, PICTURE, CHUNK):
        yield from _turned(content)


def _pictures(file: IO[bytes], size: int) -> np.ndarray:
    """Pictures, uint8 (N, SIDE, SIDE, 3)."""
    pictures = np.empty((archive.records(size, PICTURE), SIDE, SIDE, 3), np.uint8)
    for start in range(0, len(pictures), CHUNK):
        chunk = pictures[start : start + CHUNK]
        chunk[:] = _turned(file.read(len(chunk) * PICTURE))
    return pictures


def _turned(content: bytes) -> np.ndarray:
    """Pictures as the file has them, uint8 (N, SIDE, SIDE, 3)."""
    planes = np.frombuffer(content, np.uint8).reshape(-1, 3, SIDE, SIDE)
    return planes.transpose(0, 3, 2, 1)  # (N, channel, column, row) → (N, row, column, channel)


def _labels(file: IO[bytes], size: int) -> np.ndarray:
    """Classes, int64 (N,), counted from 0; the file counts from 1."""
    labels = np.frombuffer(file.read(size), np.uint8).astype(np.int64) - 1
    if not size or labels.min() < 0 or labels.max() >= len(CLASSES):
        raise ValueError(f"has no labels, or others than 1 to {len(CLASSES)}")
    return labels


UNLABELLED = "unlabeled_X.bin"
MEMBERS = {
    "train_X.bin": archive.Member(5_000 * PICTURE, _pictures),
    "train_y.bin": archive.Member(5_000, _labels),
    "test_X.bin": archive.Member(8_000 * PICTURE, _pictures),
    "test_y.bin": archive.Member(8_000, _labels),
    UNLABELLED: archive.Member(100_000 * PICTURE),
    "class_names.txt": archive.Member(10_000),
    "fold_indices.txt": archive.Member(1_000_000),
}
