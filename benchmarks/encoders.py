"""What an encoder's accuracy is worth for the colouriser: `python benchmarks/encoders.py OUT [--epochs 0 1 4 …]`.

After `dvc repro pretrain`, from the project's top folder. Pretrains encoders for so many epochs (0 leaves the weights
random, as does the encoder `none`), trains a U-Net on each and on the one in models/, all with the values in
params.yaml else and one seed; prints, writes to OUT/encoders.csv and draws in OUT/encoders.png the U-Net's skill
against the encoder's accuracy, both on the validation pictures.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline import params, pretrain, train_unet
from pipeline.datasets import store
from pipeline.measuring.plots import COLOURS
from pipeline.networks.generator import unet
from pipeline.system import memory
from pipeline.training import colouriser
from pipeline.training.colouriser import TARGET
from pipeline.training.learner import seed_everything


def pretrained(settings: params.Params, epochs: int) -> tuple[nn.Module, float | None]:
    """An untrained U-Net on an encoder that was trained for so many epochs, and that encoder's accuracy."""
    seed_everything(settings.seed)
    network = unet(settings.pretrain.encoder.architecture, dropout=settings.unet.dropout)
    if not epochs:
        return network, None
    chosen = settings.pretrain.encoder.model_copy(update={"epochs": epochs})
    classifier, history = pretrain.train("encoder", chosen, store.read_about(pretrain.DATA["encoder"]))
    network.layers[0].load_state_dict(classifier.body.state_dict())
    return network, history.rows[-1]["validation_accuracy"]


def point(settings: params.Params, epochs: int | None) -> dict[str, float | None]:
    """Epochs and accuracy of one encoder, the one in models/ if none are given, and the last L1 of the U-Net on it."""
    if epochs is None:
        network, about = train_unet.on_encoder(settings.unet.dropout)
        # Of published weights none are known.
        epochs = 0 if about["data"] == "none" else about["training"].get("epochs")
        accuracy = about.get("accuracy")
    else:
        network, accuracy = pretrained(settings, epochs)
    if epochs == 0:  # random weights have all to learn
        rate = {"encoder_learning_rate": settings.unet.learning_rate}
        settings = settings.model_copy(update={"unet": settings.unet.model_copy(update=rate)})
    seed_everything(settings.seed)
    history = train_unet.train(settings, network)
    return {"epochs": epochs, "accuracy": accuracy, "l1": history.rows[-1]["validation_l1"]}


def draw(table: pd.DataFrame, path: Path) -> None:
    """Skill against accuracy; random weights, which classify nothing, are a line."""
    figure, axes = plt.subplots(figsize=(5.5, 4.2), dpi=120, layout="constrained")
    known = table.dropna()
    axes.plot(known["accuracy"], known["skill"], "o-", color=COLOURS["unet"])
    for _, row in known.iterrows():
        label = f" {row['epochs']:.0f} epoch{'s' * (row['epochs'] > 1)}"
        axes.annotate(label, (row["accuracy"], row["skill"]), va="top", fontsize="small")
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
    parser.add_argument("--epochs", type=int, nargs="*", default=[0, 1, 4], help="of each further encoder")
    parser.add_argument("--unet-epochs", type=int, help="by default params.yaml's")
    arguments = parser.parse_args()

    settings = params.load().at(store.side(TARGET))
    chosen = settings.unet.model_copy(update={"epochs": arguments.unet_epochs or settings.unet.epochs})
    settings = settings.model_copy(update={"unet": chosen})
    arguments.out.mkdir(parents=True, exist_ok=True)
    grey, rows = colouriser.grey_l1(), []
    for epochs in (*arguments.epochs, None):
        rows.append(point(settings, epochs))
        table = pd.DataFrame(rows).assign(skill=lambda found: 1 - found["l1"] / grey)
        table.to_csv(arguments.out / "encoders.csv", index=False, lineterminator="\n")
    print(table.to_string(index=False, float_format="{:.4g}".format))
    draw(table, arguments.out / "encoders.png")


if __name__ == "__main__":
    memory.keep()
    main()
