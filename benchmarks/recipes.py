"""The study's recipe and the tutorial's, side by side: `python benchmarks/recipes.py OUT [--seeds 3] [--epochs 20] …`.

After `dvc repro pretrain`, from the project's top folder: both recipes train on the same pictures, stand on the same
encoder, and are timed in one process. The study's is run once a seed; the tutorial's, which takes hours, with the first
seed alone, as it is and `quick`, with the study's loader and in bfloat16; so is a short U-Net: the study's with few
epochs, smaller batches, and nothing against overfitting. Writes OUT/RECIPE-{unet,gan}-SEED.safetensors, OUT/curves.csv
with a row an epoch, OUT/test.csv with what evaluate measures on the test pictures, and OUT/recipes.png, skill on
validation against minutes; prints how long each took to come as far as the tutorial. If it is stopped, the same command
goes on with the first run that has not come to its end.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import tutorial
from pipeline import params, train_gan, train_unet
from pipeline.datasets import store
from pipeline.levels import Tones
from pipeline.measuring import measurements, painting
from pipeline.measuring.plots import COLOURS
from pipeline.measuring.results import summarise
from pipeline.model_files import saved
from pipeline.pretrain import DATA
from pipeline.system import memory
from pipeline.training import colouriser
from pipeline.training.batches import default_device, fit_batch
from pipeline.training.colouriser import TARGET
from pipeline.training.history import History
from pipeline.training.learner import seed_everything

STUDY, SHORT, TUTORIAL, QUICK = "study", "short", "tutorial", "tutorial-quick"
HURRY = {"batch_size": 64, "encoder_learning_rate": 0.001, "dropout": 0, "zoom": 0}  # of unet in params.yaml
NAMED = ["recipe", "seed", "stage"]
BATCH_SIZE = 250  # pictures of 32×32
FIGURES = ["skill", "delta_colourfulness", "judge_fd", "judge_accuracy"]


def train(stage: str, recipe: str, seed: int, epochs: dict[str, int], out: Path) -> pd.DataFrame:
    """Train a U-Net, or the GAN on the U-Net of that recipe and seed, and save it; a row an epoch.

    Args:
        stage: unet or gan.
        recipe: one of those above.
        seed: of weights and order.
        epochs: how many, by recipe; the study's has as many as params.yaml says.
        out: folder of the models.
    """
    settings = params.load().at(store.side(TARGET)).model_copy(update={"seed": seed})
    seed_everything(seed)
    of_tutorial = recipe in (TUTORIAL, QUICK)
    if recipe == SHORT:
        chosen = settings.unet.model_copy(update=HURRY | {"epochs": epochs[SHORT]})
        settings = settings.model_copy(update={"unet": chosen})
    if stage == "unet":
        network, about = train_unet.on_encoder(0 if of_tutorial else settings.unet.dropout)
    else:
        network, about = saved.load(out / f"{recipe}-unet-{seed}.safetensors", "colouriser")
    study: dict[str, Callable[[], History]] = {
        "unet": lambda: train_unet.train(settings, network),
        "gan": lambda: train_gan.train(
            settings, network, about["architecture"], train_gan.features(about["data"], store.side(TARGET))
        )[0],
    }
    theirs: dict[str, Callable[[], History]] = {
        "unet": lambda: tutorial.l1_alone(settings, network, epochs[TUTORIAL], recipe == QUICK),
        "gan": lambda: tutorial.against_a_patchgan(settings, network, epochs[TUTORIAL], recipe == QUICK),
    }
    seed_everything(seed)
    history = (theirs if of_tutorial else study)[stage]()
    save(out / f"{recipe}-{stage}-{seed}.safetensors", network, about["architecture"], seed)
    named = {"recipe": recipe, "seed": seed, "stage": stage, "seconds": history.seconds}
    return pd.DataFrame(history.rows).assign(**named)


def save(path: Path, network: nn.Module, architecture: str, seed: int) -> None:
    """Write a colouriser that benchmarks/frontier.py can read."""
    target, encoder = (store.read_about(data)["name"] for data in (TARGET, DATA["encoder"]))
    about = {"architecture": architecture, "data": target, "encoder": encoder, "seed": seed, "unet": {}}
    tones = Tones.of(store.read(TARGET, "train").pictures).model_dump()
    saved.save(path, network, kind="colouriser", **about, dropout=network.dropout, tones=tones)


def load(path: Path) -> nn.Module:
    """A colouriser that `save` wrote; the tutorial's paints one way."""
    network, _ = saved.load(path, "colouriser")
    return tutorial.paint_one_way(network) if path.name.startswith(TUTORIAL) else network


def times(curves: pd.DataFrame) -> pd.DataFrame:
    """Seconds until each run of the U-Net first is as good as the tutorial's was in the end, and at its best."""
    unets = curves[curves["stage"] == "unet"]
    bar = unets[unets["recipe"] == TUTORIAL]["skill"]
    rows = []
    for goal, skill in (("final", bar.iloc[-1]), ("best", bar.max())):
        for (recipe, seed), run in unets.groupby(["recipe", "seed"]):
            there = run[run["skill"] >= skill]["elapsed"]
            final = recipe == TUTORIAL and goal == "final"
            seconds = run["elapsed"].max() if final else there.min()  # of the tutorial: all its epochs
            rows.append({"goal": goal, "skill": skill, "recipe": recipe, "seed": seed, "seconds": seconds})
    table = pd.DataFrame(rows)
    of_tutorial = table[table["recipe"] == TUTORIAL].set_index("goal")["seconds"]
    return table.assign(share=table["seconds"] / table["goal"].map(of_tutorial))


def test_figures(out: Path) -> pd.DataFrame:
    """What evaluate measures, of each saved model, of the study's U-Nets × a gain, and of the real pictures."""
    validation, test = (store.read(TARGET, split) for split in ("validation", "test"))
    device = default_device()
    judge, _ = saved.load(Path("models/judge.safetensors"), "classifier")
    paths = sorted(out.glob("*.safetensors"))
    colourisers = {path.stem: load(path).to(device) for path in paths}
    size = fit_batch(BATCH_SIZE, test.pictures)
    for name in [name for name in colourisers if name.startswith(f"{STUDY}-unet")]:
        unet = colourisers[name]
        gain = painting.fit_gains(unet, {}, validation.pictures, size)["real"].factor
        colourisers[f"{name} × {gain:.2f}"] = lambda l, unet=unet, gain=gain: gain * unet(l)  # noqa: E741
    measured = measurements.measure(test, painting.painters(colourisers), judge.to(device), size)
    results = summarise(measured)
    return pd.DataFrame({name: results[name] for name in ("real", *colourisers)}).T


def draw(curves: pd.DataFrame, path: Path) -> None:
    """Skill against minutes, of the U-Nets and of the GANs."""
    titles = {"unet": "U-Net, L1", "gan": "GAN"}
    stages = list(curves["stage"].unique())
    shape = {"figsize": (5 * len(stages), 4.2), "squeeze": False}
    figure, (panels,) = plt.subplots(1, len(stages), dpi=120, layout="constrained", **shape)
    colours = {STUDY: "gan", SHORT: "unet_gain", TUTORIAL: "unet", QUICK: "grey"}
    for axes, stage in zip(panels, stages, strict=True):
        for recipe, runs in curves[curves["stage"] == stage].groupby("recipe"):
            for place, (_, run) in enumerate(runs.groupby("seed")):
                style = {"color": COLOURS[colours[recipe]], "label": None if place else recipe}
                axes.plot(run["elapsed"] / 60, run["skill"], "o-", markersize=3, **style)
        axes.set(title=titles[stage], xlabel="minutes", ylabel="skill on validation")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path)


def main() -> None:
    """Train, measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for models, tables and picture")
    parser.add_argument("--seeds", type=int, default=3, help="runs of the study's recipe")
    parser.add_argument("--epochs", type=int, default=20, help="of the tutorial's U-Net")
    parser.add_argument("--short", type=int, default=2, help="epochs of the short U-Net")
    parser.add_argument("--gan-epochs", type=int, default=20, help="of the tutorial's GAN; 0: no GANs at all")
    arguments = parser.parse_args()

    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    further = [(STUDY, seed) for seed in range(1, arguments.seeds)]
    stages = {
        "unet": ([(STUDY, 0), (SHORT, 0), (QUICK, 0), (TUTORIAL, 0), *further], arguments.epochs),
        "gan": ([(STUDY, 0), (QUICK, 0), (TUTORIAL, 0), *further], arguments.gan_epochs),
    }
    grey, kept = colouriser.grey_l1(), out / "curves.csv"
    curves = pd.read_csv(kept) if kept.exists() else pd.DataFrame(columns=NAMED)
    for stage, (runs, epochs) in stages.items():
        for recipe, seed in runs if epochs else ():
            if [recipe, seed, stage] in curves[NAMED].to_numpy().tolist():
                continue
            curves = pd.concat([curves, train(stage, recipe, seed, {SHORT: arguments.short, TUTORIAL: epochs}, out)])
            curves["skill"] = 1 - curves["validation_l1"] / grey
            curves["elapsed"] = curves.groupby(NAMED)["seconds"].cumsum()
            curves.to_csv(kept, index=False, lineterminator="\n")
            draw(curves, out / "recipes.png")
    print(times(curves).to_string(index=False, float_format="{:.4g}".format))
    figures = test_figures(out)
    figures.to_csv(out / "test.csv", lineterminator="\n")
    print(figures[["colourfulness", *FIGURES]].to_string(float_format="{:.4g}".format))


if __name__ == "__main__":
    memory.keep()
    main()
