"""Preparing a folder of many pictures, beside decoding them: `python benchmarks/prepare.py [--number 100000]`.

Makes so many JPEGs of 500×375 pixels, no two alike, in a temporary folder; decodes a part of them on all cores, with
nothing else done, before and after; and prepares the folder by the command `download target` in between. Prints
pictures a second and, on Linux, the memory that the command's processes hold together at most, beside that for a few
pictures: the rest of it is libraries. What grows is, for each picture, its path, its class, its split, and 256 bytes by
which copies are found.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import yaml
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline.datasets import folder as pictures_folder
from pipeline.datasets import photos, workers

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 500, 375  # as most of ImageNet's
FEW = 600  # pictures, enough for all processes to be started
DECODED = 20_000  # pictures that are decoded before and after
INTERVAL = 0.25  # seconds between two looks at the memory


def make(folder: Path, number: int) -> None:
    """Write so many JPEGs, in folders of a thousand: parts of photographs in colours of their own."""
    folder.mkdir()
    for start in range(0, number, 1000):
        (folder / f"{start // 1000:04}").mkdir()
    for _ in workers.each(partial(_make_one, folder), range(number)):
        pass


_photographs: list[np.ndarray] = []


def _make_one(folder: Path, index: int) -> None:
    if not _photographs:
        larger = (WIDTH * 5 // 4, HEIGHT * 5 // 4)
        scaled = (ImageOps.fit(photos.load(name), larger) for name in photos.PHOTOGRAPHS)
        _photographs.extend(np.asarray(picture, np.int16) for picture in scaled)
    generator = np.random.default_rng(index)
    photograph = _photographs[index % len(_photographs)]
    row, column = (
        generator.integers(0, size - side + 1) for size, side in zip(photograph.shape, (HEIGHT, WIDTH), strict=False)
    )
    part = photograph[row : row + HEIGHT, column : column + WIDTH]
    shades = Image.fromarray(generator.integers(0, 256, (3, 4, 3), np.uint8)).resize((WIDTH, HEIGHT), Image.BICUBIC)
    picture = ((3 * part + np.asarray(shades, np.int16)) // 4).astype(np.uint8)
    Image.fromarray(picture).save(folder / f"{index // 1000:04}" / f"{index}.jpg", quality=90)


def decode(path: Path) -> None:
    """Pixels of a file, and nothing more."""
    with Image.open(path) as picture:
        picture.load()


def show(path: Path) -> None:
    """What preparing does to each picture: decode, scale, and take a fingerprint."""
    pictures_folder._show(path, 32)


def rate(work, paths: list[Path]) -> float:
    """Pictures a second on all cores, their start not counted."""
    done = workers.each(work, [*paths[: workers.FEW], *paths])
    for _ in range(workers.FEW):
        next(done)
    started = time.perf_counter()
    for _ in done:
        pass
    return len(paths) / (time.perf_counter() - started)


def prepare(folder: Path, place: Path, size: int) -> tuple[float, float]:
    """Seconds that the command takes, and GB that its processes hold together at most."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"case": "folder"}
    content["datasets"]["folder"] = {"path": str(folder), "size": size}
    place.mkdir()
    (place / "params.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "pipeline", "download", "target"]
    started = time.perf_counter()
    run = subprocess.Popen(command, cwd=place, env=os.environ | {"PYTHONPATH": str(ROOT)})
    peaks = [0.0]
    watch = threading.Thread(target=_watch, args=(psutil.Process(run.pid), peaks))
    watch.start()
    if run.wait():
        sys.exit("the command failed")
    seconds = time.perf_counter() - started
    watch.join()
    return seconds, peaks[0] / 1e9


def _watch(process: psutil.Process, peaks: list[float]) -> None:
    """Note the most bytes that a process and its children hold together; what they share counts once."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        held = 0
        for one in [process, *process.children(recursive=True)]:
            try:
                held += getattr(one.memory_full_info(), "pss", 0)
            except psutil.Error:
                continue  # it has just ended
        peaks[0] = max(peaks[0], held)
        time.sleep(INTERVAL)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=100_000, help="of pictures (default: 100000)")
    parser.add_argument("--size", type=int, default=32, help="side in pixels to which they are brought (default: 32)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        for number in (FEW, arguments.number):
            started = time.perf_counter()
            make(top / str(number), number)
        print(f"made in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        paths = sorted((top / str(arguments.number)).glob("*/*"))
        part = paths[:: -(-len(paths) // DECODED)]
        before = rate(decode, part), rate(show, part)
        _, libraries = prepare(top / str(FEW), top / "few", arguments.size)
        seconds, memory = prepare(top / str(arguments.number), top / "many", arguments.size)
        after = rate(decode, part), rate(show, part)
        decoding, showing = ((first + second) / 2 for first, second in zip(before, after, strict=True))
        prepared = arguments.number / seconds
        kilobytes = sum(path.stat().st_size for path in part) / len(part) / 1e3
        print(f"{arguments.number:,} JPEGs of {WIDTH}×{HEIGHT}, {kilobytes:.1f} kB each, {workers.cores()} cores\n")
        print("| | Pictures a second | Of decoding | Memory at most |")
        print("| --- | --- | --- | --- |")
        print(f"| decoding alone | {decoding:,.0f} ({before[0]:,.0f} before, {after[0]:,.0f} after) | 1 | |")
        print(f"| decoding, scaling and fingerprints alone | {showing:,.0f} | {showing / decoding:.2f} | |")
        print(f"| preparing {FEW} | | | {libraries:.2f} GB |")
        print(f"| preparing all, {seconds:.0f} s | {prepared:,.0f} | {prepared / decoding:.2f} | {memory:.2f} GB |")
        print(
            f"\nOver the libraries: {memory - libraries:.2f} GB. Preparing by the second row: {prepared / showing:.2f}"
        )


if __name__ == "__main__":
    main()
