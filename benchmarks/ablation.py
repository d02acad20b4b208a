"""What each ingredient of the recipe brings: `python benchmarks/ablation.py OUT [--epochs N] [--gan-epochs N] …`.

After `dvc repro pretrain`, from the project's top folder. Trains the U-Net, and the GAN on the U-Net as it is, each
with one ingredient taken out at a time, for as many epochs as params.yaml has or as are given, with one seed; prints,
and writes to OUT/ablation.csv, what that costs in skill, colourfulness, Fréchet distance and wrong edges, and in time.
It is measured on the validation pictures, which are too few for small differences, and with `--more N` on so many
training pictures, too, on which the colouriser is not trained. Encoder, features and judge have seen these, in each row
alike.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest.mock import patch

import pandas as pd
import torch
from fastai.callback.schedule import ParamScheduler
from fastai.layers import NormType
from fastai.vision.models.unet import DynamicUnet
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline import params, train_gan, train_unet
from pipeline.datasets import store
from pipeline.measuring import measurements, painting
from pipeline.measuring.results import summarise
from pipeline.model_files import saved
from pipeline.networks import discriminator, generator
from pipeline.system import memory
from pipeline.training import batches, precision
from pipeline.training.batches import default_device, fit_batch, flip_and_zoom
from pipeline.training.colouriser import TARGET
from pipeline.training.learner import seed_everything, warm_up_and_decay
from pipeline.training.statistics import PlainStatistics

BATCH_SIZE = 250  # pictures of 32×32
FIGURES = ["skill", "delta_colourfulness", "judge_fd", "judge_accuracy", "edge_l1"]

Change = AbstractContextManager[Any]


def constant(*rates: float) -> ParamScheduler:
    """The learning rates as they are given, all the time."""
    return ParamScheduler({"lr": lambda done: list(rates)})


def alike(encoder: float, decoder: float) -> ParamScheduler:
    """The decoder's learning rates for the encoder, too."""
    return warm_up_and_decay(decoder, decoder)


def in_float32(device: torch.device) -> torch.autocast:
    """A context that changes nothing."""
    return torch.autocast(torch.device(device).type, enabled=False)


def with_last_cross(*arguments: Any, last_cross: bool, **more: Any) -> nn.Module:
    """The U-Net as DynamicUnet makes it by default, with a block at full resolution."""
    return BothWays(*arguments, **more)


def without_norms(*arguments: Any, norm_type: NormType, **more: Any) -> nn.Module:
    """The U-Net as DynamicUnet makes it by default, its decoder not normalised."""
    return BothWays(*arguments, **more)


@contextmanager
def random_encoder() -> Iterator[None]:
    """The U-Net stands on nothing that was learnt."""
    build = train_unet.on_encoder

    def untrained(dropout: float) -> tuple[nn.Module, dict[str, Any]]:
        about = build(dropout)[1]
        return generator.unet(about["architecture"], dropout=dropout), about | {"data": "none"}

    with patch.object(train_unet, "on_encoder", untrained):
        yield


def gathered() -> Change:
    """Batch statistics as training gathers them."""
    return patch.object(PlainStatistics, "before_validate", lambda self: None)


BothWays = generator.BothWays


def one_way() -> Change:
    """A picture is painted, and the GAN trained, without its mirror image."""
    return patch.object(BothWays, "forward", DynamicUnet.forward)


class Ingredient(NamedTuple):
    """How to do without it: in a context, or with other values in a section of params.yaml."""

    without: Callable[[], Change] = nullcontext
    values: Mapping[str, float] = MappingProxyType({})


UNET = {
    "U-Net": Ingredient(),
    "− pretraining": Ingredient(random_encoder, {"encoder_learning_rate": 0.004}),  # it has all to learn
    "− Muon: AdamW": Ingredient(lambda: patch.object(train_unet, "Muon", torch.optim.AdamW)),
    "− decay: constant rate": Ingredient(lambda: patch.object(train_unet, "warm_up_and_decay", constant)),
    "− lower rate for the encoder": Ingredient(lambda: patch.object(train_unet, "warm_up_and_decay", alike)),
    "− batch normalisation in the decoder": Ingredient(lambda: patch.object(generator, "BothWays", without_norms)),
    "− dropout": Ingredient(values={"dropout": 0}),
    "− zoom, turn and shift: mirrored": Ingredient(values={"zoom": 0}),
    "− shift of those not zoomed into": Ingredient(lambda: patch.object(batches, "flip_and_shift", batches.flip)),
    "− batch statistics of pictures as they are": Ingredient(gathered),
    "− bfloat16: float32": Ingredient(lambda: patch.object(precision, "autocast", in_float32)),
    "+ block at full resolution": Ingredient(lambda: patch.object(generator, "BothWays", with_last_cross)),
}
GAN = {
    "GAN": Ingredient(),
    "− mirror image, of the GAN": Ingredient(one_way),
    "− adversary": Ingredient(values={"adversarial_weight": 0}),
    "− encoder in the PatchGAN": Ingredient(lambda: patch.object(discriminator, "_layers", lambda encoder, most: [])),
    "− moving average": Ingredient(values={"ema": 0}),
    "− edges": Ingredient(values={"edge_weight": 0}),
    "− paleness": Ingredient(values={"colourfulness_weight": 0}),
    "− Fréchet distance": Ingredient(values={"frechet_weight": 0}),
    "+ zoom, turn and shift": Ingredient(lambda: patch.object(train_gan, "flip", partial(flip_and_zoom, zoom=0.25))),
}


def changed(settings: params.Params, section: str, values: Mapping[str, float]) -> params.Params:
    """The parameters with other values in a section."""
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


def held_out(images: int, more: int) -> store.Split:
    """The validation pictures, and up to so many training pictures after those that the colouriser trains on."""
    validation = store.read(TARGET, "validation")
    unseen = store.read(TARGET, "train").after(images).first(more)
    return validation.then(unseen) if len(unseen.labels) else validation


def measure(network: nn.Module, pictures: store.Split) -> dict[str, float]:
    """Figures on these pictures."""
    judge = saved.load(Path("models/judge.safetensors"), "classifier")[0].to(default_device())
    paint = painting.painters({"unet": network.eval()})
    measured = measurements.measure(pictures, paint, judge, fit_batch(BATCH_SIZE, pictures.pictures))
    results = summarise(measured)
    return {figure: results["unet"][figure] for figure in FIGURES}


def unet(settings: params.Params) -> nn.Module:
    """A trained U-Net."""
    seed_everything(settings.seed)
    network, _ = train_unet.on_encoder(settings.unet.dropout)
    train_unet.train(settings, network)
    return network


def gan(settings: params.Params, start: nn.Module) -> nn.Module:
    """A copy of that U-Net, trained on against a PatchGAN."""
    seed_everything(settings.seed)
    network = deepcopy(start)
    architecture = train_unet.on_encoder(0)[1]["architecture"]
    features = train_gan.features(store.read_about(TARGET)["name"], store.side(TARGET))
    train_gan.train(settings, network, architecture, features)
    return network


def main() -> None:
    """Train and measure one after the other; the table grows as they end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the table")
    parser.add_argument("--epochs", type=int, help="of the U-Net")
    parser.add_argument("--gan-epochs", type=int, help="of the GAN")
    parser.add_argument("--more", type=int, default=0, help="unseen training pictures to measure on, too")
    arguments = parser.parse_args()

    settings = params.load().at(store.side(TARGET))
    for section, epochs in (("unet", arguments.epochs), ("gan", arguments.gan_epochs)):
        settings = changed(settings, section, {"epochs": epochs} if epochs else {})
    arguments.out.mkdir(parents=True, exist_ok=True)
    pictures = held_out(settings.images, arguments.more)
    start = None
    rows = []
    for name, ingredient in {**UNET, **GAN}.items():
        section = "unet" if name in UNET else "gan"
        chosen = changed(settings, section, ingredient.values)
        started = time.perf_counter()
        with ingredient.without():
            network = gan(chosen, start) if section == "gan" else unet(chosen)
            seconds = time.perf_counter() - started
            rows.append({"recipe": name, **measure(network, pictures), "seconds": seconds})
        if start is None:
            start = deepcopy(network)
            with one_way():  # of a U-Net that is a matter of painting, not of training
                rows.append({"recipe": "− mirror image", **measure(network, pictures), "seconds": seconds})
        table = pd.DataFrame(rows)
        table.to_csv(arguments.out / "ablation.csv", index=False, lineterminator="\n")
    print(table.to_string(index=False, float_format="{:.4g}".format))


if __name__ == "__main__":
    memory.keep()
    main()
