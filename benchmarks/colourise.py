"""How fast photographs are coloured, and in how much memory: `python benchmarks/colourise.py MODEL`.

Measures, from file to file: the command, from its start to the one 640×480 JPEG that it colours; and with the model
loaded a JPEG of 24 megapixels, and a folder of 640×480 JPEGs. The pictures are made of the photographs that
scikit-image and scikit-learn carry, in a temporary folder, by a process of its own, so that making them does not count.
Peak memory is that of the whole process, libraries and model included.
"""

import argparse
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

LARGE = (6000, 4000)
SMALL = (640, 480)
RUNS = 3
NOISE = 4  # levels, as a camera's sensor adds; without, an enlarged picture would be decoded faster than a photograph


def make(folder: Path, number: int) -> None:
    """Write large.jpg and small/*.jpg, so many of them."""
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
    for index in range(number):
        save(photos.PHOTOGRAPHS[index % len(photos.PHOTOGRAPHS)], SMALL, folder / "small" / f"{index:04}.jpg")


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a .safetensors or .onnx file")
    parser.add_argument("--number", type=int, default=100, help="of the small pictures (default: 100)")
    arguments = parser.parse_args()
    model = arguments.model.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        maker = multiprocessing.get_context("spawn").Process(target=make, args=(folder, arguments.number))
        maker.start()
        maker.join()
        small, large = sorted((folder / "small").iterdir()), folder / "large.jpg"

        def command(out: Path) -> None:
            options = ["--out", out / "first", "--model", model]
            subprocess.run([sys.executable, "-m", "pipeline", "colourise", small[0], *options], cwd=ROOT, check=True)

        first = seconds(command, folder)

        from pipeline.colouring.colourise_files import How, Tally, colour_all, load_painter
        from pipeline.colouring.destinations import plan
        from pipeline.colourise import SIZE

        painter = load_painter(How(str(model), SIZE))
        loaded = peak()

        def colour(photographs: list[Path], out: Path) -> None:
            tally = Tally()
            colour_all(plan(photographs, out), painter, tally, force=False)
            assert (len(tally.written), tally.failed) == (len(photographs), 0)

        each = seconds(lambda out: colour(small, out / "small"), folder) / len(small)
        after_small = peak()
        whole = seconds(lambda out: colour([large], out / "large"), folder)

        print(f"{model.name}, {platform.machine()}, {os.cpu_count()} CPUs; medians of {RUNS} runs\n")
        print("| From file to file | Time | Peak memory |")
        print("| --- | --- | --- |")
        print(f"| command, from its start to one JPEG of {SMALL[0]}×{SMALL[1]} | {first:.1f} s | |")
        print(f"| model loaded | | {loaded:.2f} GB |")
        print(f"| {len(small)} JPEGs of {SMALL[0]}×{SMALL[1]} | {1 / each:.1f} a second | {after_small:.2f} GB |")
        print(f"| one JPEG of {LARGE[0]}×{LARGE[1]} | {whole:.1f} s | {peak():.2f} GB |")


if __name__ == "__main__":
    main()
