"""The stage pretrain: train classifiers: the encoder, of greyscale pictures, the features and the judge, of colour."""

import json
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from fastai.callback.core import Callback
from fastai.learner import Learner
from torch import Tensor, nn

from pipeline.datasets import colours, store
from pipeline.model_files import saved
from pipeline.networks import weights
from pipeline.networks.classifier import Classifier
from pipeline.networks.encoder import check_side
from pipeline.params import Classifier as Settings
from pipeline.params import Encoder, Params
from pipeline.system.errors import PipelineError
from pipeline.system.files import write_all
from pipeline.training import processes
from pipeline.training.batches import (
    Prepare,
    flip_shift_and_cut,
    loaders,
    to_lightness_and_labels,
    to_rgb_and_labels,
    turn,
)
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.history import History, clock
from pipeline.training.learner import learner, seed_everything, warm_up_and_decay
from pipeline.training.muon import Muon

LABEL_SMOOTHING = 0.1

Name = Literal["encoder", "features", "judge"]
DATA = {"encoder": Path("data/encoder"), "features": Path("data/target"), "judge": Path("data/target")}
INPUTS: dict[str, tuple[int, Prepare]] = {
    "encoder": (1, to_lightness_and_labels),
    "features": (3, to_rgb_and_labels),
    "judge": (3, to_rgb_and_labels),
}


def run(name: Name, params: Params) -> None:
    """Write models/NAME.safetensors, plots/NAME.csv, plots/NAME_seconds.csv (a row an epoch) and metrics/NAME.json.

    What the data set of that role is decides: pictures are trained on, `imagenet` gives those of its file, and `none`
    random ones.
    """
    seed_everything(params.seed)
    settings: Settings = getattr(params.pretrain, name)
    data = store.read_about(DATA[name])
    architecture = data.get("architecture", settings.architecture)
    rows: list[dict[str, float | None]] = []
    seconds: list[float] = []
    checkpoint = None
    match data["name"]:
        case "none":
            network = Classifier(architecture, channels=1, classes=2)
        case "imagenet":
            (path,) = (path for path in store.files(DATA[name]) if path.name in store.WEIGHTS)
            network = weights.load(path, architecture, data["mean"], data["deviation"])
        case _:
            settings = settings.at(store.side(DATA[name]))
            identified = {"seed": params.seed, "pretrain": {name: settings.model_dump()}}
            checkpoint = Checkpoint(f"pretrain-{name}", __name__, identified, store.files(DATA[name]))
            network, history = train(name, settings, data, checkpoint)
            rows, seconds = history.rows, history.seconds

    if not processes.first():
        return
    table = pd.DataFrame(rows, columns=["epoch", "train_loss", "validation_loss", "validation_accuracy"])
    accuracy = {"accuracy": rows[-1]["validation_accuracy"]} if rows else {}
    report = {"data": data["name"], **accuracy}
    saved.save(
        Path(f"models/{name}.safetensors"),
        network,
        kind="classifier",
        architecture=architecture,
        channels=INPUTS[name][0],
        classes=network.head.out_features,
        seed=params.seed,
        training=settings.model_dump() if checkpoint else {},
        **report,
    )
    write_all(
        {
            Path(f"plots/{name}.csv"): lambda path: table.to_csv(path, index=False, lineterminator="\n"),
            Path(f"plots/{name}_seconds.csv"): lambda path: clock(seconds).to_csv(
                path, index=False, lineterminator="\n"
            ),
            Path(f"metrics/{name}.json"): lambda path: path.write_bytes((json.dumps(report, indent=2) + "\n").encode()),
        }
    )
    result = f"accuracy {accuracy['accuracy']:.3f} on validation" if accuracy else "nothing to train"
    if checkpoint:
        checkpoint.remove()
    print(f"{name}: {architecture}, {data['name']}: {result}")


def train(name: Name, settings: Settings, data: dict[str, Any], *callbacks: Callback) -> tuple[Classifier, History]:
    """Train a classifier with Muon, on labels smoothed by a tenth (Szegedy et al. 2016, section 7).

    Args:
        name: encoder, features or judge.
        settings: its own.
        data: what data/ROLE/about.json says.
        callbacks: behaviour besides the step.
    """
    channels, prepare = INPUTS[name]
    classes = len(data["classes"])
    if classes == 1:  # nothing to tell apart: learn which way up the pictures are
        classes, prepare = 4, _after_turn(prepare)
    training = pictures(name, settings)
    check_side(settings.architecture, training.pictures.shape[1])
    network = Classifier(settings.architecture, channels, classes)
    batches = loaders(
        training,
        store.read(DATA[name], "validation"),
        prepare,
        flip_shift_and_cut,
        settings.batch_size,
    )
    history = History(
        parts={"train_loss": lambda learner: learner.loss},
        measures={"validation_loss": lambda learner: learner.loss, "validation_accuracy": _accuracy},
    )
    muon = partial(Muon, weight_decay=settings.weight_decay)
    loss = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    schedule = warm_up_and_decay(settings.learning_rate)
    learner(batches, network, loss, muon, [history, *callbacks]).fit(settings.epochs, cbs=schedule)
    return network, history


def pictures(name: Name, settings: Settings) -> store.Split:
    """The training pictures, but for those that the encoder leaves out.

    A colouriser is not given grey ones, so as many with colours are left out, and the grey ones between them.

    Args:
        name: encoder, features or judge.
        settings: its own.

    Raises:
        PipelineError: fewer than two are left.
    """
    split = store.read(DATA[name], "train")
    if not isinstance(settings, Encoder) or not settings.leave_out:
        return split
    coloured = colours.coloured(split)
    most = max(0, len(coloured) - 2)
    if settings.leave_out > most:
        given = f"pretrain.encoder.leave_out: given {settings.leave_out}, allowed here: up to {most}"
        raise PipelineError(
            f"{given}, for there are {len(coloured)} training pictures with colours; lower it, and images"
        )
    return split.after(int(coloured[settings.leave_out]))


def _after_turn(prepare: Prepare) -> Prepare:
    return lambda rgb, labels: prepare(*turn(rgb, labels))


def _accuracy(learner: Learner) -> Tensor:
    return (learner.pred.argmax(1) == learner.y).float().mean()
