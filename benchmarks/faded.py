"""What usual black and white points bring on faded pictures: `python benchmarks/faded.py models/unet.safetensors`.

Skill on the validation pictures in data/target, their L* as it is and squeezed; the network is shown it as it is, and
with the points that it knows (pipeline/levels.py). The first line should hardly differ:
usual pictures stay as they are.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

FADED = {  # L* is times so much, plus so much
    "as it is": (1, 0),
    "half the range, light": (0.5, 45),
    "a third of the range, light": (0.33, 58),
    "half the range, middle": (0.5, 25),
    "half the range, dark": (0.5, 0),
    "a third of the range, dark": (0.33, 0),
}
BATCH = 250


def main() -> None:
    """Measure, and print a table."""
    import torch

    from pipeline import levels
    from pipeline.colour import bytes_to_rgb, rgb_to_l_ab
    from pipeline.datasets import store
    from pipeline.model_files import saved

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a .safetensors file")
    parser.add_argument("--data", type=Path, default=Path("data/target"), help="by default data/target")
    parser.add_argument("--number", type=int, default=2000, help="of pictures (default: 2000)")
    arguments = parser.parse_args()
    network, about = saved.load(arguments.model, "colouriser")
    tones = levels.Tones(**about["tones"])
    pictures = np.array(store.read(arguments.data, "validation").pictures[: arguments.number])
    l, real = rgb_to_l_ab(bytes_to_rgb(pictures))  # noqa: E741

    @torch.inference_mode()
    def skill(shown: np.ndarray) -> float:
        painted = np.concatenate([network(batch).numpy() for batch in torch.from_numpy(shown).split(BATCH)])
        return 1 - np.abs(painted - real).mean() / np.abs(real).mean()

    print(f"{len(pictures)} pictures, {arguments.model}, {tones}\n")
    print("| L* | shown as it is | shown with usual points | pictures that are moved |\n| --- | --- | --- | --- |")
    for name, (factor, offset) in FADED.items():
        faded = (((l + 1) * 50 * factor + offset) / 50 - 1).astype(np.float32) if offset or factor != 1 else l
        usual = levels.usual(faded, tones)
        moved = (usual != faded).any(axis=(1, 2, 3)).mean()
        print(f"| {name} | {skill(faded):.4f} | {skill(usual):.4f} | {moved:.1%} |", flush=True)


if __name__ == "__main__":
    main()
