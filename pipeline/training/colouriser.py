"""What the two stages that train a colouriser share: their pictures, measures and files."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastai.learner import Learner
from torch import Tensor, nn

from pipeline.colour import bytes_to_rgb, l_ab_to_rgb, rgb_to_bytes, rgb_to_l_ab
from pipeline.datasets import store
from pipeline.levels import Tones
from pipeline.measuring import metrics
from pipeline.model_files import saved
from pipeline.params import Params
from pipeline.system.errors import PipelineError
from pipeline.system.files import write_all
from pipeline.training.batches import Loaders, Prepare, loaders, to_lightness_and_ab
from pipeline.training.history import History, clock

TARGET, UNLABELLED = Path("data/target"), Path("data/unlabelled")
CHUNK = 250  # pictures that are looked at together


def batches(params: Params, batch_size: int, augment: Prepare) -> Loaders:
    """Batches of the training pictures, see `pictures`, and of all validation pictures."""
    validation = store.read(TARGET, "validation")
    return loaders(pictures(params.images), validation, to_lightness_and_ab, augment, batch_size)


def pictures(images: int) -> store.Split:
    """The first `images` training pictures (their order is a fixed shuffle), then those that have no labels.

    Raises:
        PipelineError: they are not there, or damaged.
    """
    labelled = store.read(TARGET, "train")
    lacking = images - len(labelled.labels)
    if lacking <= 0 or not store.read_about(TARGET).get("unlabelled"):
        return labelled.first(images)
    if (made_for := store.read_about(UNLABELLED).get("images", 0)) < images:
        given = f"{UNLABELLED}: made for images: {made_for or 'fewer'}, but images is {images}"
        raise PipelineError(f"{given}; run `python -m pipeline unlabelled`")
    return labelled.then(store.read(UNLABELLED, "train").first(lacking))


def files() -> list[Path]:
    """The data sets that a colouriser is trained on."""
    return [*store.files(TARGET), *store.files(UNLABELLED)]


def l1(learner: Learner) -> Tensor:
    """Mean absolute error of the current batch, in units of ab / 110."""
    return (learner.pred - learner.y).abs().mean()


def colourfulness(learner: Learner) -> Tensor:
    """Mean colourfulness of the current batch as painted; see `metrics.colourfulness`."""
    return metrics.colourfulness(rgb_to_bytes(l_ab_to_rgb(learner.x, learner.pred))).mean()


MEASURES = {"validation_l1": l1, "validation_colourfulness": colourfulness}


def grey_l1() -> float:
    """What `l1` of the validation pictures is if they are left grey."""
    pictures = store.read(TARGET, "validation").pictures
    total = 0.0
    for start in range(0, len(pictures), CHUNK):
        _, ab = rgb_to_l_ab(bytes_to_rgb(np.array(pictures[start : start + CHUNK])))
        total += np.abs(ab).mean(axis=(1, 2, 3)).sum()
    return total / len(pictures)


def save(name: str, network: nn.Module, history: History, params: Params, **about: Any) -> None:
    """Write plots/NAME.csv and plots/NAME_seconds.csv, a row an epoch, and models/NAME.safetensors."""
    columns = ["epoch", *history.parts, *history.measures]
    rows, seconds = pd.DataFrame(history.rows, columns=columns), clock(history.seconds)
    rows["validation_skill"] = 1 - rows["validation_l1"] / grey_l1()
    write_all(
        {
            Path(f"plots/{name}.csv"): lambda path: rows.to_csv(path, index=False, lineterminator="\n"),
            Path(f"plots/{name}_seconds.csv"): lambda path: seconds.to_csv(path, index=False, lineterminator="\n"),
        }
    )
    saved.save(
        Path(f"models/{name}.safetensors"),
        network,
        kind="colouriser",
        seed=params.seed,
        dropout=network.dropout,
        tones=Tones.of(pictures(params.images).pictures).model_dump(),
        **about,
    )
