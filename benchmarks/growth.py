"""How time and memory of the U-Net's training grow: `python benchmarks/growth.py PICTURE [--architecture vgg8]`.

Needs no data. Each point is some steps of `train_unet`'s recipe in a process of its own, on pictures of noise that lie
on disk as the stages leave them. Draws seconds an epoch and the largest memory of the process against the number of
pictures, their side and the batch size, and prints besides: the share of the machine's matrix product speed (float32)
that a step reaches, and the share of a step in which it waits for data.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from fastai.callback.core import Callback, CancelFitException
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline import params
from pipeline.datasets import store
from pipeline.measuring.plots import COLOURS
from pipeline.networks.generator import unet
from pipeline.system import memory
from pipeline.training.batches import fit_batch, flip_and_zoom, loaders, to_lightness_and_ab
from pipeline.training.learner import learner, warm_up_and_decay
from pipeline.training.muon import Muon

PICTURES, SIDE, BATCH = 8000, 32, 128  # of the study; one of them varies at a time
POINTS = {
    "pictures": [(count, SIDE, BATCH) for count in (1000, 4000, 8000, 16000, 46000)],
    "side": [(PICTURES, side, BATCH) for side in (32, 48, 64, 96, 128)],
    "batch": [(PICTURES, SIDE, batch) for batch in (8, 16, 32, 64, 128, 256, 512)],
}
WARM_UP, STEPS = 3, 12


class Clock(Callback):
    """Times the steps after the first few, then ends the run."""

    order = 100

    def before_batch(self) -> None:
        """Start, once all is warm."""
        if self.train_iter == WARM_UP:
            self.started = time.perf_counter()

    def after_batch(self) -> None:
        """Stop, after so many steps."""
        if self.train_iter == WARM_UP + STEPS:
            self.seconds = (time.perf_counter() - self.started) / STEPS
            raise CancelFitException


def matrix_product() -> float:
    """The best speed of the machine in products of float32 matrices, in operations a second."""
    a, b = torch.randn(2, 2048, 2048)
    times = []
    for _ in range(10):
        started = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - started)
    return 2 * 2048**3 / min(times)


def measure(architecture: str, pictures: int, side: int, batch: int, folder: Path) -> dict[str, float]:
    """One point: seconds a step and an epoch, bytes, and shares."""
    random = np.lib.format.open_memmap(folder / "train.npy", "w+", np.uint8, (pictures, side, side, 3))
    noise = np.random.default_rng(0).integers(0, 256, (100, side, side, 3), dtype=np.uint8)
    for start in range(0, pictures, 100):
        random[start : start + 100] = noise
    del random
    np.save(folder / "train_labels.npy", np.zeros(pictures, np.int64))

    split = store.read(folder, "train")
    settings, clock = params.load().unet.at(side), Clock()
    few = split.first(2)  # to validate on in no time
    batches = loaders(split, few, to_lightness_and_ab, partial(flip_and_zoom, zoom=settings.zoom), batch)
    size, network = fit_batch(batch, split.pictures), unet(architecture, dropout=settings.dropout)
    learn = learner(batches, network, nn.L1Loss(), partial(Muon, weight_decay=settings.weight_decay), [clock])
    learn.fit(1 + (WARM_UP + STEPS) // len(batches.train), cbs=warm_up_and_decay(1e-3))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # on Linux in KiB

    given = iter(batches.train)
    next(given)
    started = time.perf_counter()
    waits = min(STEPS, len(batches.train) - 1)
    for _ in range(waits):
        l, ab = next(given)  # noqa: E741
    waited = (time.perf_counter() - started) / waits
    with FlopCounterMode(display=False) as counter:
        nn.functional.l1_loss(network(l), ab).backward()
    return {
        "step": clock.seconds,
        "epoch": clock.seconds * pictures / size,
        "memory": memory,
        "speed": counter.get_total_flops() / clock.seconds,
        "waits": waited / clock.seconds,
    }


def point(architecture: str, pictures: int, side: int, batch: int) -> dict[str, float]:
    """One point, in a process of its own."""
    command = [sys.executable, __file__, "--point", architecture, str(pictures), str(side), str(batch)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def draw(table: pd.DataFrame, path: Path) -> None:
    """A column a thing that grows: time above, memory below."""
    figure, panels = plt.subplots(2, 3, figsize=(11, 5.6), dpi=120, layout="constrained", sharex="col")
    for (what, rows), (above, below) in zip(table.groupby("what", sort=False), panels.T, strict=True):
        above.plot(rows[what], rows["epoch"] / 60, "o-", color=COLOURS["unet"])
        below.plot(rows[what], rows["memory"] / 1e9, "o-", color=COLOURS["gan"])
        for axes, label in ((above, "minutes an epoch"), (below, "memory in GB")):
            axes.set(ylabel=label, ylim=(0, 1.1 * axes.dataLim.ymax))
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.3)
        fixed = {"pictures": f"{PICTURES:,} pictures", "side": f"{SIDE}×{SIDE}", "batch": f"batches of {BATCH}"}
        above.set_title(", ".join(text for name, text in fixed.items() if name != what), fontsize="medium")
        below.set(xlabel={"side": "side in pixels", "batch": "pictures of 32×32 in a batch"}.get(what, what))
    panels[0, 2].set_xscale("log", base=2)
    figure.savefig(path)


def main() -> None:
    """Measure all points, print and draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--architecture", default="vgg8", help="of the encoder")
    arguments = parser.parse_args()

    best = matrix_product()
    print(f"matrix product: {best / 1e9:.0f} GFLOP/s on {torch.get_num_threads()} threads", flush=True)
    rows = []
    for what, points in POINTS.items():
        for pictures, side, batch in points:
            measured = point(arguments.architecture, pictures, side, batch)
            rows.append({"what": what, "pictures": pictures, "side": side, "batch": batch, **measured})
    table = pd.DataFrame(rows)
    table["of_best"] = table["speed"] / best
    print(table.to_string(index=False, float_format="{:.4g}".format))
    draw(table, arguments.picture)


if __name__ == "__main__":
    memory.keep()
    if sys.argv[1:2] == ["--point"]:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(sys.argv[2], *map(int, sys.argv[3:]), Path(folder))))
    else:
        main()
