"""What lively colours cost: `python benchmarks/frontier.py PICTURE [NAME=MODEL …]`.

After `dvc repro`, from the project's top folder. Draws skill, and the Fréchet distance in the judge's features, against
colourfulness, on the validation pictures: of the U-Net with its colours × a gain, of networks between the U-Net and the
GAN (their weights mixed, as in Wang et al. 2018, 'ESRGAN', section 3.4), and of each model that is named, such as
`tutorial=out/gan.safetensors` from benchmarks/tutorial.py. Prints the same as a table.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline import metrics, models
from pipeline.colour import bytes_to_rgb, l_ab_to_rgb, rgb_to_bytes
from pipeline.datasets import store
from pipeline.plots import COLOURS
from pipeline.training.batches import Batches, default_device, fit_batch, to_lightness_and_ab
from pipeline.training.colouriser import TARGET

GAINS = (1, 1.25, 1.5, 1.75, 2, 2.25, 2.5)
SHARES = (0, 0.25, 0.5, 0.75, 1)  # of the GAN in a mix
BATCH_SIZE = 250  # pictures of 32×32

Colouriser = Callable[[Tensor], Tensor]


def load(name: str | Path, kind: str = "colouriser") -> nn.Module:
    """A model, on the device there is."""
    return models.load(Path(name), kind)[0].to(device=default_device(), memory_format=torch.channels_last)


def mixed(unet: Path, gan: Path, share: float) -> nn.Module:
    """A network with the weights of the U-Net moved towards those of the GAN."""
    network, towards = load(unet), load(gan).state_dict()
    weights = network.state_dict()
    mix = {name: w.lerp(towards[name], share) if w.is_floating_point() else w for name, w in weights.items()}
    network.load_state_dict(mix)
    return network


@torch.inference_mode()
def measure(colourisers: Mapping[tuple[str, float], Colouriser]) -> pd.DataFrame:
    """Family, knob, skill, colourfulness and Fréchet distance of each, and of the real pictures."""
    validation, judge = store.read(TARGET, "validation"), load("models/judge.safetensors", "classifier")
    batches = Batches(validation, to_lightness_and_ab, fit_batch(BATCH_SIZE, validation.pictures), default_device())
    everyone = {("real", 0.0): None, **colourisers}
    errors, colourfulness, features = ({who: [] for who in everyone} for _ in range(3))
    grey = []
    for l, real in batches:  # noqa: E741
        grey.append(real.abs().mean((1, 2, 3)))
        for who, colouriser in everyone.items():
            ab = real if colouriser is None else colouriser(l)
            painted = rgb_to_bytes(l_ab_to_rgb(l, ab))
            errors[who].append(metrics.l1(ab, real))
            colourfulness[who].append(metrics.colourfulness(painted))
            features[who].append(judge.features(bytes_to_rgb(painted)))

    def gaussian(who: tuple[str, float]) -> metrics.Gaussian:
        rows = torch.cat(features[who]).double().cpu().numpy()
        return metrics.gaussian(rows, np.ones(len(rows)))

    real = gaussian(("real", 0.0))
    return pd.DataFrame(
        {
            "family": who[0],
            "knob": who[1],
            "skill": 1 - (torch.cat(errors[who]).mean() / torch.cat(grey).mean()).item(),
            "colourfulness": torch.cat(colourfulness[who]).mean().item(),
            "judge_fd": metrics.frechet_distance(real, gaussian(who)),
        }
        for who in everyone
    )


def draw(table: pd.DataFrame, path: Path) -> None:
    """Two panels over colourfulness; a line through each family that has a knob."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.2), dpi=120, layout="constrained")
    colours = {"U-Net × gain": COLOURS["unet_gain"], "U-Net → GAN, weights mixed": COLOURS["gan"]}
    others = iter(("#cc79a7", "#009e73", "#e69f00"))
    (real,) = table[table["family"] == "real"]["colourfulness"]
    for axes, column, label in zip(
        panels, ("skill", "judge_fd"), ("skill (0 is grey, 1 is perfect)", "Fréchet distance"), strict=True
    ):
        for family, rows in table[table["family"] != "real"].groupby("family", sort=False):
            colours.setdefault(family, next(others, "#000000"))
            axes.plot(rows["colourfulness"], rows[column], "o-", color=colours[family], label=family)
        axes.axvline(real, color=COLOURS["grey"], linestyle=":", label="real pictures")
        axes.set(xlabel="colourfulness", ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(path)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("models", nargs="*", help="further models, each as NAME=PATH")
    arguments = parser.parse_args()

    unet = load("models/unet.safetensors")
    colourisers: dict[tuple[str, float], Colouriser] = {}
    for gain in GAINS:
        colourisers["U-Net × gain", gain] = lambda l, gain=gain: gain * unet(l)  # noqa: E741
    for share in SHARES:
        between = mixed(Path("models/unet.safetensors"), Path("models/gan.safetensors"), share)
        colourisers["U-Net → GAN, weights mixed", share] = between
    for name, path in (given.split("=", 1) for given in arguments.models):
        colourisers[name, 0.0] = load(path)

    table = measure(colourisers)
    print(table.to_string(index=False, float_format="{:.4g}".format))
    draw(table, arguments.picture)


if __name__ == "__main__":
    main()
