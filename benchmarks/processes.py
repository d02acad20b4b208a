"""A training step by one and by two processes on two cores: `python benchmarks/processes.py [--rounds 3]`.

Needs no data. Steps of the encoder's and of the U-Net's training, on noise, with the same batch in all: by one process
on one thread, by one on two, and by two, which torchrun starts and Gloo connects, on one each; in turn. Prints
milliseconds a step. What two processes lose against half the time of one is what limits them: each does all of Muon's
work, and they send each other every gradient.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.neighbours import measure
from pipeline.system import environment, memory

WAYS = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 processes, 1 thread each": (2, 1)}
NETWORKS = "encoder", "U-Net"


def point(network: str, processes: int, threads: int) -> float:
    """Milliseconds a step, measured in processes of their own."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"] if processes == 2 else []
    command = [sys.executable, *launcher, __file__, "--point", network]
    settings = {"OMP_NUM_THREADS": str(threads), "GOMP_SPINCOUNT": "10000"}
    done = subprocess.run(command, env=os.environ | settings, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def alone_or_together(network: str) -> None:
    """Measure, and have the first process say what came out."""
    from pipeline.training import processes

    environment.settle()
    if environment.place is None:
        print(measure(network))
        return
    with processes.join(environment.place):
        print(measure(network))


def main() -> None:
    """Measure and print a table, a row a way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--point", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.point:
        memory.keep()
        alone_or_together(arguments.point)
        return
    rows = []
    for _ in range(arguments.rounds):
        for network in NETWORKS:
            for way, (processes, threads) in WAYS.items():
                rows.append({"way": way, "network": network, "ms": round(point(network, processes, threads))})
                print(rows[-1], file=sys.stderr, flush=True)
    table = pd.DataFrame(rows).groupby(["way", "network"], sort=False).ms.apply(list)
    print(table.unstack("network").to_string())


if __name__ == "__main__":
    main()
