"""Small archives in the exact formats of CIFAR-10, STL-10 and Imagenette, and the colourful pictures in them."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.datasets.imagenette import WORDNET

Pictures = tuple[np.ndarray, np.ndarray]  # uint8 (N, side, side, 3) and classes, int64 (N,)


def checksum(path: Path) -> str:
    """As params.yaml writes it."""
    return f"md5:{hashlib.md5(path.read_bytes()).hexdigest()}"


def draw(number: int, side: int, generator: np.random.Generator) -> Pictures:
    """Pictures of ten classes whose stripes, by direction and width, give away the colour: something to learn."""
    labels = generator.integers(0, 10, number)
    row, column = np.mgrid[:side, :side] / side
    angle, width = labels % 5 * np.pi / 5, 2 + 3 * (labels // 5)
    across = np.cos(angle)[:, None, None] * row + np.sin(angle)[:, None, None] * column  # (N, side, side)
    phase = generator.uniform(0, 2 * np.pi, (number, 1, 1))
    light = 0.6 + 0.3 * np.sin(2 * np.pi * width[:, None, None] * across + phase)
    hue = 2 * np.pi * (labels[:, None] / 10 + np.array([0, 1 / 3, 2 / 3]))  # (N, 3)
    colour = 0.7 + 0.3 * np.cos(hue)[:, None, None]
    pictures = 255 * light[..., None] * colour + generator.normal(0, 8, (number, side, side, 3))
    return pictures.clip(0, 255).astype(np.uint8), labels


def make_cifar10(path: Path, train_per_batch: int = 40, test: int = 40, seed: int = 0) -> dict[str, Pictures]:
    """Write an archive like cifar-10-binary.tar.gz.

    Returns:
        Its pictures: train, in the order of the batches, and test.
    """
    generator = np.random.default_rng(seed)
    batches = [draw(train_per_batch, 32, generator) for _ in range(5)]
    tested = draw(test, 32, generator)
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    files = {f"data_batch_{number}.bin": _cifar10_records(*batch) for number, batch in enumerate(batches, start=1)}
    files["test_batch.bin"] = _cifar10_records(*tested)
    files["batches.meta.txt"] = "\n".join([*names, ""]).encode()
    write_tar(path, {f"cifar-10-batches-bin/{name}": content for name, content in files.items()})
    pictures, labels = zip(*batches, strict=True)
    return {"train": (np.concatenate(pictures), np.concatenate(labels)), "test": tested}


def _cifar10_records(pictures: np.ndarray, labels: np.ndarray) -> bytes:
    return b"".join(
        bytes([label]) + b"".join(picture[:, :, channel].tobytes() for channel in range(3))
        for picture, label in zip(pictures, labels, strict=True)
    )


def make_stl10(path: Path, train: int = 60, test: int = 20, unlabelled: int = 4, seed: int = 0) -> dict[str, Pictures]:
    """Write an archive like stl10_binary.tar.gz.

    Returns:
        Its pictures: train, test, and unlabelled, whose classes are not in it.
    """
    generator = np.random.default_rng(seed)
    trained, tested, rest = (draw(number, 96, generator) for number in (train, test, unlabelled))
    names = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
    files = {
        "train_X.bin": _stl10_pictures(trained[0]),
        "unlabeled_X.bin": _stl10_pictures(rest[0]),
        "test_X.bin": _stl10_pictures(tested[0]),
        "train_y.bin": (trained[1] + 1).astype(np.uint8).tobytes(),
        "test_y.bin": (tested[1] + 1).astype(np.uint8).tobytes(),
        "class_names.txt": "\n".join([*names, ""]).encode(),
    }
    write_tar(path, {f"stl10_binary/{name}": content for name, content in files.items()})
    return {"train": trained, "test": tested, "unlabelled": rest}


def _stl10_pictures(pictures: np.ndarray) -> bytes:
    # .T turns (row, column) into (column, row): STL-10 stores a channel column by column
    return b"".join(picture[:, :, channel].T.tobytes() for picture in pictures for channel in range(3))


def make_imagenette(path: Path, train: int = 60, test: int = 20, seed: int = 0) -> None:
    """Write an archive like imagenette2-160.tgz, of pictures that are twice as wide as high."""
    generator = np.random.default_rng(seed)
    files = {"imagenette2-160/noisy_imagenette.csv": b"path,noisy_labels_0"}
    for split, number in (("train", train), ("val", test)):
        for index, (picture, label) in enumerate(zip(*draw(number, 32, generator), strict=True)):
            content = io.BytesIO()
            Image.fromarray(picture).resize((64, 32)).save(content, "JPEG", quality=95)
            files[f"imagenette2-160/{split}/{list(WORDNET)[label]}/{index}_a-1.JPEG"] = content.getvalue()
    write_tar(path, files)


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    """A .tar.gz with these files."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
