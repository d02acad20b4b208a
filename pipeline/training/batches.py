"""Mini-batches of the pictures on disk, as the networks want them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from fastai.data.core import DataLoaders
from torch import Tensor, nn

from pipeline.colour import bytes_to_rgb, rgb_to_l, rgb_to_l_ab
from pipeline.datasets.store import Split
from pipeline.system.errors import PipelineError
from pipeline.training import processes

PLAIN = 1000  # pictures of 32×32 from which batch statistics are taken; of larger ones as many pixels,
FEWEST = 500  # but at least so many pictures, for within one much is alike
CUTOUT = 0.25  # side of the square that a classifier does not see, as a share of the picture's

Prepare = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Batches:
    """Mini-batches from memory-mapped 8-bit pictures, converted a whole batch at a time on the device.

    Of several processes, each takes its share of each batch; of a last one with few pictures, some take none.

    At these sizes a batch is prepared in a fraction of the time that a step takes, so there are no worker processes.

    Args:
        split: pictures and labels.
        prepare: (rgb (N, 3, H, W) in [0, 1], labels (N,)) → (input, target).
        batch_size: pictures in a batch.
        shuffle: a new order each epoch, from torch's global seed, without the last batch if it is not full; in
            training a batch of few pictures would upset batch normalisation.

    `state_dict` says how far an epoch has come; after `load_state_dict` the next iteration goes on from there.
    """

    def __init__(self, split: Split, prepare: Prepare, batch_size: int, device: torch.device, *, shuffle: bool = False):
        self.split, self.prepare, self.device, self.shuffle = split, prepare, device, shuffle
        self.batch_size = min(batch_size, len(split.pictures))
        self.goes_on: dict[str, Any] | None = None

    def to(self, device: torch.device) -> None:
        """Prepare the batches on another device; fastai calls it."""
        self.device = device

    def __len__(self) -> int:
        whole, rest = divmod(len(self.split.pictures), self.batch_size)
        return whole + (rest > 0 and not self.shuffle)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        state = self.goes_on or {"order": self._order(), "given": 0}
        self.goes_on, self.state = None, state
        while state["given"] < len(self):
            start = state["given"] * self.batch_size
            batch = state["order"][start : start + self.batch_size]
            chosen = np.sort(processes.mine(batch).numpy())  # in the order of the file
            state["given"] += 1
            if not len(chosen):
                continue
            pictures = torch.from_numpy(self.split.pictures[chosen]).to(self.device)
            labels = torch.from_numpy(self.split.labels[chosen]).to(self.device)
            yield self.prepare(bytes_to_rgb(pictures), labels)

    def _order(self) -> Tensor:
        count = len(self.split.pictures)
        return processes.same(torch.randperm(count)) if self.shuffle else torch.arange(count)

    @property
    def share(self) -> float:
        """What part of each full batch is this process's."""
        return processes.share(self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """The order of this epoch's pictures and how many of its batches were given."""
        return dict(self.state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with that epoch at the next iteration."""
        self.goes_on = dict(state)


def fit_batch(batch_size: int, pictures: np.ndarray) -> int:
    """How many pictures, (N, H, W, 3), make a batch with the pixels of `batch_size` pictures of 32×32, but at least 4.

    So the memory that a step takes and the pixels that it learns from are about the same for each data set.
    """
    _, height, width, _ = pictures.shape
    return max(4, round(batch_size * 32 * 32 / (height * width)))


class Loaders(DataLoaders):
    """Training batches, `train`, and validation batches, `valid`, as fastai wants them, and `plain` ones.

    These have the first training pictures as they are, for `statistics.PlainStatistics`.
    """

    @property
    def plain(self) -> Batches:
        """Training pictures that nothing has changed."""
        return self[2]


def loaders(train: Split, validation: Split, prepare: Prepare, augment: Prepare, batch_size: int) -> Loaders:
    """All batches of a training; those to learn from go through `augment` first.

    Args:
        train: what to learn from.
        validation: what to watch.
        prepare: see `Batches`.
        augment: changes pictures at random, rgb (N, 3, H, W) and labels → the same.
        batch_size: in pictures of 32×32, see `fit_batch`.

    Raises:
        PipelineError: batch normalisation needs more pictures.
    """
    if len(train.pictures) < 2 or not len(validation.pictures):
        given = f"{len(train.pictures)} pictures to train on and {len(validation.pictures)} to validate on"
        raise PipelineError(f"given {given}, needed at least 2 and 1; raise images in params.yaml, or add pictures")
    device = default_device()
    batch_size = fit_batch(batch_size, train.pictures)
    full = min(batch_size, len(train.pictures))
    processes.require_one_each(full, f"batches of {full} pictures", "raise batch_size, or start fewer processes")
    enough = min(PLAIN, max(FEWEST, fit_batch(PLAIN, train.pictures)), len(train.pictures))
    plain = train.first(max(1, enough // full) * full)  # in a batch of one, nothing varies

    def prepare_augmented(rgb: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return prepare(*augment(rgb, labels))

    return Loaders(
        Batches(train, prepare_augmented, batch_size, device, shuffle=True),
        Batches(validation, prepare, batch_size, device),
        Batches(plain, prepare, batch_size, device),
        device=device,
    )


def default_device() -> torch.device:
    """The accelerator there is, or the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def to_lightness_and_ab(rgb: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """For a colouriser: l (N, 1, H, W) → ab (N, 2, H, W)."""
    return rgb_to_l_ab(rgb)


def to_lightness_and_labels(rgb: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """For a classifier of greyscale pictures: l (N, 1, H, W) → labels (N,)."""
    return rgb_to_l(rgb), labels


def to_rgb_and_labels(rgb: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """For a classifier of colour pictures: rgb (N, 3, H, W) in [0, 1] → labels (N,)."""
    return rgb, labels


def flip(rgb: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror each picture left to right with probability ½."""
    mirrored = torch.rand(len(rgb), 1, 1, 1, device=rgb.device) < 0.5
    return torch.where(mirrored, rgb.flip(3), rgb), labels


def flip_and_shift(rgb: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror, and shift by up to an eighth of the side, the border reflected (after He et al. 2016, section 4.2)."""
    rgb, labels = flip(rgb, labels)
    count, _, height, width = rgb.shape
    reach = height // 8, width // 8
    padded = nn.functional.pad(rgb, (reach[1], reach[1], reach[0], reach[0]), mode="reflect")
    top, left = (torch.randint(0, 2 * r + 1, (count, 1, 1), device=rgb.device) for r in reach)
    pictures = torch.arange(count, device=rgb.device).view(-1, 1, 1)
    row, column = _rows_and_columns(rgb)
    return padded.permute(0, 2, 3, 1)[pictures, top + row, left + column].permute(0, 3, 1, 2), labels


def _rows_and_columns(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Of the pixels: (H, 1) and (W,)."""
    row, column = (torch.arange(side, device=rgb.device) for side in rgb.shape[2:])
    return row.view(-1, 1), column


def flip_shift_and_cut(rgb: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """For classifiers: mirror, shift, and grey out a square.

    DeVries & Taylor 2017, 'Improved Regularization of Convolutional Neural Networks with Cutout'.
    """
    shifted, labels = flip_and_shift(rgb, labels)
    count, _, height, width = rgb.shape
    row, column = _rows_and_columns(rgb)
    y, x = (torch.randint(0, side, (count, 1, 1), device=rgb.device) for side in (height, width))
    cut = ((row - y).abs() < CUTOUT / 2 * height) & ((column - x).abs() < CUTOUT / 2 * width)  # (N, H, W)
    return torch.where(cut[:, None], 0.5, shifted), labels


def flip_and_zoom(rgb: Tensor, labels: Tensor, zoom: float) -> tuple[Tensor, Tensor]:
    """For the U-Net: mirror and shift, and zoom into half of the pictures, turned.

    With few pictures a U-Net soon knows them by heart, though less so if they never look the same. Zooming blurs; half
    of them stay as sharp as those that it will be tested on.

    Args:
        rgb: (N, 3, H, W).
        labels: (N,), which stay as they are.
        zoom: share of the side that may be left out, at most; also the range of the turn, in radians.
    """

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(rgb), device=rgb.device)

    side = uniform(1 - zoom, 1)  # of what is shown, as a share of the picture's
    mirror, angle = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0), uniform(-zoom / 2, zoom / 2)
    reach = 1 - side + 1 / 16  # a little over the border, which is reflected
    cosine, sine = side * angle.cos(), side * angle.sin()
    rows = (mirror * cosine, -sine, reach * uniform(-1, 1)), (mirror * sine, cosine, reach * uniform(-1, 1))
    places = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)  # (N, 2, 3), of an affine map
    grid = nn.functional.affine_grid(places, list(rgb.shape), align_corners=False)
    zoomed = nn.functional.grid_sample(rgb, grid, padding_mode="reflection", align_corners=False).clamp(0, 1)
    sharp, _ = flip_and_shift(rgb, labels)
    return torch.where((uniform(0, 1) < 0.5).view(-1, 1, 1, 1), zoomed, sharp), labels


def turn(rgb: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Turn square pictures by 0, 90, 180 and 270 degrees, which become their labels 0 to 3.

    How a classifier learns from pictures that have no classes (Gidaris et al. 2018, 'Unsupervised Representation
    Learning by Predicting Image Rotations').
    """
    turned = [rgb[quarter::4].rot90(quarter, (2, 3)) for quarter in range(4)]
    quarters = [torch.full((len(part),), quarter, device=rgb.device) for quarter, part in enumerate(turned)]
    return torch.cat(turned), torch.cat(quarters)
