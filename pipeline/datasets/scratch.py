"""Pictures that need not fit into memory, while a data set is made of them."""

import copy
import os
import tempfile
from pathlib import Path
from typing import Self

import numpy as np


class Pictures:
    """Pictures in a file without a name: like an array, uint8 (N, side, side, 3), that grows and lies on the disk.

    Only what is asked for comes into memory. The system deletes the file when nobody has it open, so that a run that is
    killed leaves nothing.

    Args:
        folder: on whose disk the file is.
        side: in pixels.
    """

    def __init__(self, folder: Path, side: int):
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._picture = side, side, 3
        self._bytes = side * side * 3
        self._order: range | np.ndarray = range(0)

    def append(self, pictures: np.ndarray) -> None:
        """Add pictures, uint8 (N, side, side, 3), or one."""
        end = self._file.seek(0, os.SEEK_END)
        left = np.ascontiguousarray(pictures).data.cast("B")
        self._order = range((end + len(left)) // self._bytes)
        while left:  # without a buffer, less may be written than is given
            left = left[self._file.write(left) :]

    def take(self, chosen: np.ndarray, axis: int = 0) -> Self:
        """Some of them, in another order; they stay in the file."""
        view = copy.copy(self)
        view._order = np.asarray(self._order)[chosen]
        return view

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """As of an array."""
        return len(self._order), *self._picture

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, chosen: slice) -> np.ndarray:
        rows = np.asarray(self._order[chosen], dtype=np.int64)
        pictures = np.empty((len(rows), *self._picture), np.uint8)
        for picture, row in zip(pictures, rows.tolist(), strict=True):
            self._file.seek(row * self._bytes)
            self._file.readinto(picture.data)
        return pictures
