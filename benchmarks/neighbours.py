"""What a training step takes beside other busy programs: `python benchmarks/neighbours.py [--rounds 2]`.

Needs no data. Steps of the encoder's and of the U-Net's training, on noise, with as many threads as there are cores,
beside none, one and two programs that never rest, each time with several settings of OpenMP (see
`environment.settle`), in turn. Prints milliseconds a step. Beside it, one thread's, alone: what is left of two cores
beside one such program.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline.system import memory

SETTINGS = {  # of threads that have nothing to do
    "libgomp's default": {},
    "look 10,000 times (ours)": {"GOMP_SPINCOUNT": "10000"},
    "sleep at once": {"OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
WARM_UP, STEPS = 2, 6


@contextmanager
def busy(programs: int) -> Iterator[None]:
    """While this lasts, so many other programs compute."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(programs)]
    try:
        yield
    finally:
        for program in started:
            program.kill()
            program.wait()


def measure(network: str) -> float:
    """Milliseconds a step of one kind of training, in this process, or in its share of several."""
    import torch
    from torch import nn

    from pipeline.networks.classifier import Classifier
    from pipeline.networks.generator import unet
    from pipeline.training import processes
    from pipeline.training.muon import Muon
    from pipeline.training.precision import autocast

    torch.manual_seed(0)
    count = processes.count()
    if network == "encoder":
        trained, loss = Classifier("vgg8", 1, 10), nn.CrossEntropyLoss()
        x, y = torch.randn(256 // count, 1, 32, 32), torch.randint(10, (256 // count,))
    else:
        trained, loss = unet("vgg8", dropout=0.2), nn.L1Loss()
        x, y = torch.randn(128 // count, 1, 32, 32), torch.randn(128 // count, 2, 32, 32)
    trained = processes.parallel(trained.to(memory_format=torch.channels_last).train(), 1 / count)
    muon = Muon(trained.parameters(), lr=1e-3, weight_decay=0.1)
    for step in range(WARM_UP + STEPS):
        if step == WARM_UP:
            started = time.perf_counter()
        with autocast("cpu"):
            prediction = trained(x).float()
        loss(prediction, y).backward()
        muon.step()
        muon.zero_grad()
    return (time.perf_counter() - started) / STEPS * 1000


def point(network: str, setting: dict[str, str]) -> float:
    """`measure` in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, __file__, "--point", network]
    done = subprocess.run(command, env=environment | setting, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    """Measure and print a table, a row a setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--point", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.point:
        memory.keep()
        print(measure(arguments.point))
        return
    rows = []
    for _ in range(arguments.rounds):
        for programs in (0, 1, 2):
            with busy(programs):
                for network in ("encoder", "U-Net"):
                    for name, setting in SETTINGS.items():
                        step = point(network, setting)
                        rows.append({"beside": programs, "network": network, "setting": name, "ms": round(step)})
                        print(rows[-1], file=sys.stderr, flush=True)
    table = pd.DataFrame(rows).groupby(["setting", "network", "beside"], sort=False).ms.apply(list)
    print(table.unstack(["network", "beside"]).to_string())


if __name__ == "__main__":
    main()
