"""How fast photographs are coloured, and in how much memory: `python benchmarks/colourise.py MODEL`.

Measures, model loaded, from file to file: one JPEG of 24 megapixels, and a folder of 640×480 JPEGs. The pictures are
made of the photographs that scikit-image and scikit-learn carry, in a temporary folder, by a process of its own, so
that making them does not count. Peak memory is that of the whole process, libraries and model included.
"""

import argparse
import multiprocessing
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

LARGE = (6000, 4000)
SMALL = (640, 480)
NUMBER = 60  # of small ones
RUNS = 3
NOISE = 4  # levels, as a camera's sensor adds; without, an enlarged picture would be decoded faster than a photograph


def make(folder: Path) -> None:
    """Write large.jpg and small/*.jpg."""
    import numpy as np
    from PIL import Image

    from pipeline.datasets import photos

    def save(name: str, size: tuple[int, int], path: Path) -> None:
        pixels = np.array(photos.load(name).resize(size, Image.Resampling.LANCZOS))
        noise = np.random.default_rng(0).integers(-NOISE, NOISE + 1, pixels.shape, np.int8)
        noisy = (pixels.astype(np.int16) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(path, quality=92)

    (folder / "small").mkdir()
    save("china", LARGE, folder / "large.jpg")
    for number in range(NUMBER):
        save(photos.PHOTOGRAPHS[number % len(photos.PHOTOGRAPHS)], SMALL, folder / "small" / f"{number:03}.jpg")


def seconds(work: Callable[[Path], object], folder: Path) -> float:
    """Median time that some work takes; each run gets an empty folder to write to."""
    taken = []
    for run in range(RUNS):
        start = time.perf_counter()
        work(folder / f"out{run}")
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def peak() -> float:
    """Memory in GB that this process has held at most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def main() -> None:
    """Measure, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("model", type=Path)
    model = arguments.parse_args().model
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        maker = multiprocessing.get_context("spawn").Process(target=make, args=(folder,))
        maker.start()
        maker.join()

        import torch

        from pipeline.colourise import Colouriser
        from pipeline.colourise_files import colour_all

        colouriser = Colouriser.load(model)
        loaded = peak()

        def colour(photographs: list[Path], out: Path) -> None:
            targets = {path: out / path.name for path in photographs}
            written, failed = colour_all(targets, frozenset(targets.values()), colouriser)
            assert (len(written), failed) == (len(photographs), 0)

        small = sorted((folder / "small").iterdir())
        each = seconds(lambda out: colour(small, out / "small"), folder) / NUMBER
        after_small = peak()
        large = seconds(lambda out: colour([folder / "large.jpg"], out / "large"), folder)

        print(
            f"{platform.machine()}, {torch.get_num_threads()} threads, {colouriser.device}, torch {torch.__version__};"
        )
        print(f"medians of {RUNS} runs\n")
        print("| From file to file | Time | Peak memory |")
        print("| --- | --- | --- |")
        print(f"| model loaded | | {loaded:.2f} GB |")
        print(f"| {NUMBER} JPEGs of {SMALL[0]}×{SMALL[1]} | {1 / each:.1f} a second | {after_small:.2f} GB |")
        print(f"| one JPEG of {LARGE[0]}×{LARGE[1]} | {large:.1f} s | {peak():.2f} GB |")


if __name__ == "__main__":
    main()
