"""What an encoder's accuracy is worth for the colouriser: `python benchmarks/encoders.py OUT [--epochs 0 1 3 …]`.

After `dvc repro pretrain`, from the project's top folder. Pretrains encoders for so many epochs (0 leaves the weights
random, as does the encoder `none`), trains a U-Net on each, all with the values in params.yaml else and one seed;
prints, writes to OUT/encoders.csv and draws in OUT/encoders.png the U-Net's skill against the encoder's accuracy, both
on the validation pictures.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.recipes import grey_l1
from pipeline import params, pretrain, train_unet
from pipeline.datasets import store
from pipeline.networks.generator import unet
from pipeline.plots import COLOURS
from pipeline.training.learner import seed_everything


def point(settings: params.Params, epochs: int, unet_epochs: int) -> dict[str, float]:
    """Epochs, accuracy and the lowest L1 of one encoder."""
    seed_everything(settings.seed)
    network, accuracy = unet(settings.pretrain.encoder.architecture), None
    if epochs:
        data = store.read_about(pretrain.DATA["encoder"])
        chosen = settings.pretrain.encoder.model_copy(update={"epochs": epochs})
        classifier, history = pretrain.train("encoder", chosen, data)
        network.layers[0].load_state_dict(classifier.body.state_dict())
        accuracy = history.rows[-1]["validation_accuracy"]
    seed_everything(settings.seed)
    chosen = settings.unet.model_copy(update={"epochs": unet_epochs})
    history = train_unet.train(settings.model_copy(update={"unet": chosen}), network, epochs > 0)
    return {"epochs": epochs, "accuracy": accuracy, "l1": history.rows[-1]["validation_l1"]}


def draw(table: pd.DataFrame, path: Path) -> None:
    """Skill against accuracy; random weights, which classify nothing, are a line."""
    figure, axes = plt.subplots(figsize=(5.5, 4.2), dpi=120, layout="constrained")
    known = table.dropna()
    axes.plot(known["accuracy"], known["skill"], "o-", color=COLOURS["unet"])
    for _, row in known.iterrows():
        axes.annotate(f" {row['epochs']:.0f} epochs", (row["accuracy"], row["skill"]), va="top", fontsize="small")
    for skill in table[table["epochs"] == 0]["skill"]:
        axes.axhline(skill, color=COLOURS["grey"], linestyle=":", label="random weights")
        axes.legend(loc="lower right")
    axes.set(xlabel="accuracy of the encoder on greyscale pictures", ylabel="skill of the U-Net")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    figure.savefig(path)


def main() -> None:
    """Train one after the other; the table grows as they end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for table and picture")
    parser.add_argument("--epochs", type=int, nargs="+", help="of each encoder; by default 0, 1, 3 and params.yaml's")
    parser.add_argument("--unet-epochs", type=int, help="by default params.yaml's")
    arguments = parser.parse_args()

    settings = params.load()
    arguments.out.mkdir(parents=True, exist_ok=True)
    grey, rows = grey_l1(), []
    for epochs in arguments.epochs or (0, 1, 3, settings.pretrain.encoder.epochs):
        rows.append(point(settings, epochs, arguments.unet_epochs or settings.unet.epochs))
        table = pd.DataFrame(rows).assign(skill=lambda found: 1 - found["l1"] / grey)
        table.to_csv(arguments.out / "encoders.csv", index=False)
    print(table.to_string(index=False, float_format="{:.4g}".format))
    draw(table, arguments.out / "encoders.png")


if __name__ == "__main__":
    main()
