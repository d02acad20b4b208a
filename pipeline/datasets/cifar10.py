"""CIFAR-10, from its binary version: 60,000 pictures of 32×32 pixels in ten classes."""

from pathlib import Path
from typing import IO

import numpy as np

from pipeline.datasets import archive
from pipeline.datasets.splits import cut_validation
from pipeline.datasets.store import Split

SIDE = 32
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = "test_batch.bin"
FOLDER = "cifar-10-batches-bin"
RECORD = 1 + 3 * SIDE * SIDE  # bytes: the class, then the planes of red, green and blue, row by row


def read(path: Path) -> dict[str, Split]:
    """The pictures of the archive by split; validation is cut from training.

    Raises:
        PipelineError: the archive is damaged or another one.
    """
    batches = archive.read(path, FOLDER, MEMBERS)
    train, validation = cut_validation(_split(np.concatenate([batches[name] for name in TRAIN])))
    return {"train": train, "validation": validation, "test": _split(batches[TEST])}


def _records(file: IO[bytes], size: int) -> np.ndarray:
    """A batch, uint8 (N, RECORD). It may hold any number of records."""
    records = np.frombuffer(file.read(size), np.uint8).reshape(archive.records(size, RECORD), RECORD)
    if (highest := records[:, 0].max()) >= len(CLASSES):
        raise ValueError(f"has a class {highest}, allowed: 0 to {len(CLASSES) - 1}")
    return records


MEMBERS = {
    **dict.fromkeys((*TRAIN, TEST), archive.Member(10_000 * RECORD, _records)),
    **dict.fromkeys(("batches.meta.txt", "readme.html"), archive.Member(10_000)),
}


def _split(records: np.ndarray) -> Split:
    planes = records[:, 1:].reshape(-1, 3, SIDE, SIDE)  # (N, channel, row, column)
    return Split(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].astype(np.int64))
