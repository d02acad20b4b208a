"""What lively colours cost: `python benchmarks/frontier.py [--unet MODEL] [--gan MODEL] PICTURE [NAME=MODEL …]`.

After `dvc repro`, from the project's top folder. Draws skill, and the Fréchet distance in the judge's features, against
colourfulness, on the validation pictures: of the U-Net with its colours × a gain, of networks between the U-Net and the
GAN (their weights mixed, as in Wang et al. 2018, 'ESRGAN', section 3.4), and of each model that is named, such as
`tutorial=OUT/tutorial-gan-0.safetensors` of benchmarks/recipes.py. Prints the same as a table.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import recipes
from pipeline.datasets import store
from pipeline.measuring import measurements, painting
from pipeline.measuring.plots import COLOURS
from pipeline.measuring.results import summarise
from pipeline.model_files import saved
from pipeline.training.batches import default_device, fit_batch
from pipeline.training.colouriser import TARGET

GAIN, MIX = "U-Net × gain", "U-Net → GAN, weights mixed"
GAINS = (1.25, 1.5, 1.75, 2, 2.25, 2.5)  # 1 is the U-Net
SHARES = (0.25, 0.5, 0.75)  # of the GAN in a mix; 0 is the U-Net, 1 the GAN
BATCH_SIZE = 250  # pictures of 32×32
OTHERS = ("#cc79a7", "#009e73", "#e69f00")  # colours of the models that are named
COLUMNS = ["skill", "colourfulness", "judge_fd", "judge_accuracy"]


def load(name: str | Path, kind: str = "colouriser") -> nn.Module:
    """A model, on the device there is."""
    return saved.load(Path(name), kind)[0].to(device=default_device(), memory_format=torch.channels_last)


def mixed(unet: Path, gan: Path, share: float) -> nn.Module:
    """A network with the weights of the U-Net moved towards those of the GAN."""
    network, start = load(gan), load(unet).state_dict()
    weights = network.state_dict()
    mix = {name: start[name].lerp(w, share) if w.is_floating_point() else w for name, w in weights.items()}
    network.load_state_dict(mix)
    return network


def measure(unet: Path, gan: Path, others: Mapping[str, str]) -> pd.DataFrame:
    """Family, knob, and all that evaluate measures, of each way to colour, and of the real pictures."""
    validation, judge = store.read(TARGET, "validation"), load("models/judge.safetensors", "classifier")
    painter = load(unet)
    ways: list[tuple[str, float, str]] = [("real", 0, "real"), (GAIN, 1, "unet")]
    colourisers = {"unet": painter, "gan": load(gan)}
    for gain in GAINS:
        ways.append((GAIN, gain, f"{GAIN} {gain}"))
        colourisers[f"{GAIN} {gain}"] = lambda l, gain=gain: gain * painter(l)  # noqa: E741
    ways.append((MIX, 0, "unet"))
    for share in SHARES:
        ways.append((MIX, share, f"{MIX} {share}"))
        colourisers[f"{MIX} {share}"] = mixed(unet, gan, share)
    ways.append((MIX, 1, "gan"))
    for name, path in others.items():
        ways.append((name, 1, name))
        colourisers[name] = recipes.load(Path(path)).to(default_device())
    paint = painting.painters(colourisers)
    measured = measurements.measure(validation, paint, judge, fit_batch(BATCH_SIZE, validation.pictures))
    results = summarise(measured)
    return pd.DataFrame([{"family": family, "knob": knob, **results[who]} for family, knob, who in ways])


def draw(table: pd.DataFrame, path: Path) -> None:
    """Two panels over colourfulness; a line through each family that has a knob."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.2), dpi=120, layout="constrained")
    colours = {GAIN: COLOURS["unet_gain"], MIX: COLOURS["gan"]}
    others = table["family"][~table["family"].isin(["real", *colours])].unique()
    colours |= dict(zip(others, OTHERS * len(others), strict=False))
    (real,) = table[table["family"] == "real"]["colourfulness"]
    for axes, column, label in zip(
        panels, ("skill", "judge_fd"), ("skill (0 is grey, 1 is perfect)", "Fréchet distance"), strict=True
    ):
        for family, rows in table[table["family"] != "real"].groupby("family", sort=False):
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
    parser.add_argument("--unet", type=Path, default=Path("models/unet.safetensors"))
    parser.add_argument("--gan", type=Path, default=Path("models/gan.safetensors"), help="trained on from that U-Net")
    arguments = parser.parse_args()

    others = dict(given.split("=", 1) for given in arguments.models)
    table = measure(arguments.unet, arguments.gan, others)
    print(table[["family", "knob", *COLUMNS]].to_string(index=False, float_format="{:.4g}".format))
    draw(table, arguments.picture)


if __name__ == "__main__":
    main()
