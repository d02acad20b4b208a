"""What the two stages that train a colouriser share: their pictures, measures and files."""

from pathlib import Path
from typing import Any

import pandas as pd
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from torch import Tensor, nn

from pipeline import metrics, models
from pipeline.colour import l_ab_to_rgb, rgb_to_bytes
from pipeline.datasets import store
from pipeline.files import write_all
from pipeline.levels import Tones
from pipeline.params import Params
from pipeline.training.batches import Prepare, loaders, to_lightness_and_ab
from pipeline.training.history import History, clock

TARGET = Path("data/target")


def batches(params: Params, batch_size: int, augment: Prepare) -> DataLoaders:
    """The first `images` training pictures (their order is a fixed shuffle) and all validation pictures."""
    return loaders(_pictures(params), store.read(TARGET, "validation"), to_lightness_and_ab, augment, batch_size)


def _pictures(params: Params) -> store.Split:
    return store.read(TARGET, "train").first(params.images)


def l1(learner: Learner) -> Tensor:
    """Mean absolute error of the current batch, in units of ab / 110."""
    return (learner.pred - learner.y).abs().mean()


def colourfulness(learner: Learner) -> Tensor:
    """Mean colourfulness of the current batch as painted; see `metrics.colourfulness`."""
    return metrics.colourfulness(rgb_to_bytes(l_ab_to_rgb(learner.x, learner.pred))).mean()


MEASURES = {"validation_l1": l1, "validation_colourfulness": colourfulness}


def save(name: str, network: nn.Module, history: History, params: Params, **about: Any) -> None:
    """Write plots/NAME.csv and plots/NAME_seconds.csv, a row an epoch, and models/NAME.safetensors."""
    columns = ["epoch", *history.parts, *history.measures]
    rows, seconds = pd.DataFrame(history.rows, columns=columns), clock(history.seconds)
    write_all(
        {
            Path(f"plots/{name}.csv"): lambda path: rows.to_csv(path, index=False, lineterminator="\n"),
            Path(f"plots/{name}_seconds.csv"): lambda path: seconds.to_csv(path, index=False, lineterminator="\n"),
        }
    )
    models.save(
        Path(f"models/{name}.safetensors"),
        network,
        kind="colouriser",
        seed=params.seed,
        dropout=network.dropout,
        tones=Tones.of(_pictures(params).pictures).model_dump(),
        **about,
    )
