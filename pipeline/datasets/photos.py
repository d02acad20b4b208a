"""Tiles of the colour photographs that scikit-image and scikit-learn carry: a data set that needs no network."""

import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.datasets.splits import shuffled
from pipeline.datasets.store import Split
from pipeline.system.errors import PipelineError

FILES = {  # (package, file) by the name of the photograph, which is its class
    "astronaut": ("skimage", "data/astronaut.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}
PHOTOGRAPHS = tuple(FILES)
LICENCE = (
    "astronaut (NASA) and rocket (SpaceX): public domain; chelsea (S. van der Walt) and coffee (R. Michetti): CC0; "
    "motorcycle: Middlebury stereo 2014, Scharstein et al.; "
    "china (danielbuechele) and flower (vultilion): CC BY 2.0."
)
TILES = {"train": 2002, "validation": 252, "test": 504}  # enough to learn from, few enough for two cores
CLOSEST = 8  # tiles of one scale lie at least an eighth of their side apart
SHRINK = 2**-0.5  # from one scale to the next


def read(size: int) -> dict[str, Split]:
    """Tiles of size×size pixels by split, as many from each photograph, in random order.

    Raises:
        PipelineError: a photograph is missing.
    """
    photographs = [load(name) for name in PHOTOGRAPHS]
    splits = {}
    for name, total in TILES.items():
        each = total // len(photographs)
        tiles = [cut(photograph.crop(regions(*photograph.size)[name]), size, each) for photograph in photographs]
        labels = np.repeat(np.arange(len(tiles), dtype=np.int64), [len(of_one) for of_one in tiles])
        splits[name] = shuffled(Split(np.concatenate(tiles), labels))
    return splits


def unseen() -> dict[str, Image.Image]:
    """By the name of each photograph the part of it from which no tile but those for testing is cut."""
    photographs = {name: load(name) for name in PHOTOGRAPHS}
    return {name: whole.crop(regions(*whole.size)["test"]) for name, whole in photographs.items()}


def find(name: str) -> Path | None:
    """The file of a photograph, if there is one."""
    package, file = FILES[name]
    spec = find_spec(package)  # finds the package without importing it, which would take seconds
    paths = [Path(folder) / file for folder in (spec.submodule_search_locations if spec else None) or ()]
    return next((path for path in paths if path.is_file()), None)


def load(name: str) -> Image.Image:
    """A photograph, RGB.

    Raises:
        PipelineError: the package does not carry it.
    """
    if path := find(name):
        with Image.open(path) as picture:
            return picture.convert("RGB")
    package, file = FILES[name]
    raise PipelineError(
        f"photograph {name}: no {file} in the package {package}; install the project's requirements anew"
    )


def regions(width: int, height: int) -> dict[str, tuple[int, int, int, int]]:
    """Disjoint boxes (left, top, right, bottom): training left, validation right above, test below it.

    Each is scaled on its own, so no pixel of one split ever reaches a tile of another. Validation, which matters
    least, gets the part that is mostly sky.
    """
    right, sky = round(0.6 * width), round(0.4 * height)
    return {
        "train": (0, 0, right, height),
        "validation": (right, 0, width, sky),
        "test": (right, sky, width, height),
    }


def cut(region: Image.Image, size: int, wanted: int) -> np.ndarray:
    """Tiles of a region, uint8 (N, size, size, 3), evenly from all scales at which it is not smaller than a tile.

    N is what is wanted, or less if the region has no room for so many. Tiles overlap.
    """
    scaled, scale = [], 1.0
    while min(region.size) * scale >= size:
        sides = [math.floor(side * scale) for side in region.size]
        scaled.append(region.resize(sides, Image.Resampling.LANCZOS))
        scale *= SHRINK
    tiles: list[Image.Image] = []
    for index, picture in reversed(list(enumerate(scaled))):  # the finer scales make up for what the coarse ones lack
        share = math.ceil((wanted - len(tiles)) / (index + 1))
        tiles += [picture.crop((x, y, x + size, y + size)) for x, y in _origins(*picture.size, size, share)]
    return np.stack([np.asarray(tile) for tile in tiles])


def _origins(width: int, height: int, size: int, wanted: int) -> list[tuple[int, int]]:
    """Left upper corners of tiles, spread over the picture with as little overlap as the wanted number allows."""
    for stride in range(size, size // CLOSEST - 1, -1):
        places = [(x, y) for y in range(0, height - size + 1, stride) for x in range(0, width - size + 1, stride)]
        if len(places) >= wanted:
            break
    chosen = np.linspace(0, len(places) - 1, min(wanted, len(places))).astype(int)
    return [places[index] for index in chosen]
