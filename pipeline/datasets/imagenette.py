"""Imagenette: 13,394 pictures of ten classes of ImageNet, 160 pixels on the shorter side, which fast.ai gives away."""

import io
import re
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from pipeline.datasets import archive, workers
from pipeline.datasets.crop import square
from pipeline.datasets.scratch import Pictures
from pipeline.datasets.splits import cut_validation, shuffled
from pipeline.datasets.store import Split
from pipeline.photographs import reading
from pipeline.system.errors import PipelineError

FOLDER = "imagenette2-160"
WORDNET = {  # how the folder of a class is called
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
CLASSES = tuple(WORDNET.values())
SPLITS = {"train": "train", "val": "test"}  # the published validation pictures are what others test on
PICTURE = re.compile(rf"({'|'.join(SPLITS)})/({'|'.join(WORDNET)})/[\w.-]+\.JPEG")
NAMES = re.compile(rf"{PICTURE.pattern}|noisy_imagenette\.csv")
FILE = archive.Member(2_000_000)  # the list of noisy labels is the largest
PICTURES = 13_394
FILES = 20_000
PIXELS = 4_000_000  # of a picture


def read(path: Path, size: int, scratch: Path) -> dict[str, Split]:
    """The pictures of the archive by split, each cropped to its centre and scaled to size×size.

    They are read one after the other, and never unpacked to disk as they are. Validation is cut from training.

    Args:
        path: the archive.
        size: side in pixels.
        scratch: a folder on the disk that has room for the pictures until they are in their order.

    Raises:
        PipelineError: the archive is damaged or another one.
    """
    pictures = {split: Pictures(scratch, size) for split in SPLITS.values()}
    labels: dict[str, list[int]] = {split: [] for split in pictures}
    files = (file for file in archive.files(path, FOLDER, NAMES, FILE, FILES) if PICTURE.fullmatch(file[0]))
    shown_files = workers.each(partial(_show, size=size), files)
    bar = tqdm(shown_files, total=PICTURES, desc="reading", unit=" pictures", leave=False, disable=None)
    for name, shown in bar:
        if isinstance(shown, str):
            raise PipelineError(f"{path}: {name}: {shown}; {archive.WAY_OUT}")
        folder, kind, _ = name.split("/")
        pictures[SPLITS[folder]].append(shown)
        labels[SPLITS[folder]].append(list(WORDNET).index(kind))
    if missing := [folder for folder, split in SPLITS.items() if not labels[split]]:
        raise PipelineError(f"{path}: no pictures in {FOLDER}/{missing[0]}; {archive.WAY_OUT}")
    splits = {split: Split(pictures[split], np.array(labels[split], np.int64)) for split in pictures}
    train, validation = cut_validation(splits["train"])
    return {"train": train, "validation": validation, "test": shuffled(splits["test"])}


def _show(file: tuple[str, bytes], size: int) -> tuple[str, np.ndarray | str]:
    """The name of a file, and its pixels, uint8 (size, size, 3), or why it cannot be read."""
    name, content = file
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as picture:
            if picture.width * picture.height > PIXELS:
                return name, f"has {picture.width}×{picture.height} pixels, allowed: {PIXELS:,}"
            return name, np.asarray(square(picture.convert("RGB"), size))
    except MemoryError:
        raise
    except Exception as error:  # a broken file makes Pillow's readers stumble over just about anything
        return name, reading.reason(error)
