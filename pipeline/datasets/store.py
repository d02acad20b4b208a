"""How a data set lies on disk, once downloaded: data/ROLE/, or data/unlabelled/, the same for every source.

about.json            name, classes, licence
SPLIT.npy             pictures, uint8 (N, H, W, 3), sRGB; SPLIT is train, validation or test
SPLIT_labels.npy      class of each picture, int64 (N,); -1 where it is not known, in data/unlabelled alone
weights.pth           instead of pictures, if the source has weights; or weights.safetensors
photographs/          of `photos` alone: whole ones, of which nothing but the test pictures was taken
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from pipeline.system.errors import PipelineError
from pipeline.system.files import allow_writing, sync

SPLITS = ("train", "validation", "test")
WEIGHTS = ("weights.pth", "weights.safetensors")
BLOCK = 64  # pictures that are written at a time


class Joined:
    """Two arrays, one behind the other, as one; what is asked for is copied into memory, and no more."""

    def __init__(self, first: np.ndarray, second: np.ndarray):
        self._first, self._second = first, second

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return len(self), *self._first.shape[1:]

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        rows = np.arange(len(self))[chosen]
        in_first = rows < len(self._first)
        found = np.empty((len(rows), *self.shape[1:]), self._first.dtype)
        found[in_first] = self._first[rows[in_first]]
        found[~in_first] = self._second[rows[~in_first] - len(self._first)]
        return found


class Split(NamedTuple):
    """Pictures, uint8 (N, H, W, 3), and their classes, int64 (N,).

    The pictures may be on the disk, scratch.Pictures, or Joined.
    """

    pictures: Any
    labels: np.ndarray

    def first(self, count: int) -> "Split":
        """The first pictures, or all if there are fewer."""
        return Split(self.pictures[:count], self.labels[:count])

    def take(self, chosen: np.ndarray) -> "Split":
        """The pictures with these indices, in their order."""
        return Split(self.pictures.take(chosen, axis=0), self.labels[chosen])

    def after(self, count: int) -> "Split":
        """All but the first pictures."""
        return Split(self.pictures[count:], self.labels[count:])

    def then(self, more: "Split") -> "Split":
        """These, and more behind them."""
        return Split(Joined(self.pictures, more.pictures), np.concatenate([self.labels, more.labels]))


def write(
    folder: Path,
    about: dict[str, Any],
    splits: dict[str, Split],
    files: Mapping[str, Callable[[Path], Any]] | None = None,
) -> None:
    """Write a data set, whole or not at all; what was in the folder before is replaced.

    Args:
        folder: data/ROLE.
        about: what goes into about.json; at least its name.
        splits: pictures and labels by the name of their split.
        files: what writes each further file, by the name that it gets in the folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for remains in folder.parent.glob(f".{folder.name}-*"):  # of a run that was killed
        shutil.rmtree(remains)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        unfinished.chmod(0o755)  # mkdtemp's own mode would hide the data from other users
        (unfinished / "about.json").write_bytes((json.dumps(about, indent=2) + "\n").encode())
        for name, split in splits.items():
            _save(unfinished / f"{name}.npy", split.pictures)
            np.save(unfinished / f"{name}_labels.npy", split.labels)
        for name, put in (files or {}).items():
            (unfinished / name).parent.mkdir(exist_ok=True)
            put(unfinished / name)
        for path in filter(Path.is_file, unfinished.rglob("*")):
            sync(path)
        for path in filter(Path.is_file, folder.rglob("*")):
            allow_writing(path)  # without which Windows deletes nothing
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _save(path: Path, pictures: np.ndarray) -> None:
    """What np.save does, a few pictures at a time."""
    with path.open("wb") as file:
        about = {"descr": "|u1", "fortran_order": False, "shape": tuple(pictures.shape)}
        np.lib.format.write_array_header_1_0(file, about)
        with tqdm(total=len(pictures), desc="writing", unit=" pictures", leave=False, disable=None) as bar:
            for start in range(0, len(pictures), BLOCK):
                block = np.ascontiguousarray(pictures[start : start + BLOCK])
                file.write(block.data)
                bar.update(len(block))


def files(folder: Path) -> list[Path]:
    """What a data set consists of, as far as it is there; programs may have left other files in its folder."""
    arrays = [f"{split}{end}.npy" for split in SPLITS for end in ("", "_labels")]
    names = ("about.json", *WEIGHTS, *arrays)
    return [folder / name for name in names if (folder / name).is_file()]


def read_about(folder: Path) -> dict[str, Any]:
    """What about.json says.

    Raises:
        PipelineError: there is no data set in the folder, or it is damaged.
    """
    try:
        return json.loads((folder / "about.json").read_text(encoding="utf-8"))
    except OSError:
        raise PipelineError(f"{folder}: no data set there; {_way_out(folder)}") from None
    except ValueError:
        raise PipelineError(f"{folder}: about.json is damaged; {_way_out(folder)}") from None


def read(folder: Path, split: str) -> Split:
    """One split, its pictures memory-mapped.

    Raises:
        PipelineError: there is no such split in the folder, or it is damaged.
    """
    try:
        return Split(np.load(folder / f"{split}.npy", mmap_mode="r"), np.load(folder / f"{split}_labels.npy"))
    except OSError:
        raise PipelineError(f"{folder}: no {split} pictures there; {_way_out(folder)}") from None
    except (ValueError, EOFError):
        raise PipelineError(f"{folder}: the {split} pictures are damaged; {_way_out(folder)}") from None


def side(folder: Path) -> int:
    """How many pixels the shorter side of the training pictures has; raises what `read` raises."""
    return min(read(folder, "train").pictures.shape[1:3])


def _way_out(folder: Path) -> str:
    return f"run `python -m pipeline {'unlabelled' if folder.name == 'unlabelled' else f'download {folder.name}'}`"
