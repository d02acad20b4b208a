"""The stage train_unet: train a U-Net, on the pretrained encoder, to paint ab with an L1 loss."""

from functools import partial
from pathlib import Path
from typing import Any

from fastai.callback.core import Callback
from torch import nn
from torch.nn import Parameter

from pipeline.datasets import store
from pipeline.model_files import saved
from pipeline.networks.encoder import check_side
from pipeline.networks.generator import BothWays, unet
from pipeline.params import Params
from pipeline.training import colouriser, processes
from pipeline.training.batches import flip, flip_and_zoom
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.growing import HalfSize, smallest
from pipeline.training.history import History
from pipeline.training.learner import learner, seed_everything, warm_up_and_decay
from pipeline.training.muon import Muon
from pipeline.training.statistics import take_statistics

ENCODER = Path("models/encoder.safetensors")


def on_encoder(dropout: float) -> tuple[BothWays, dict[str, Any]]:
    """A U-Net on the pretrained encoder, untrained else, and what the encoder's file says about it."""
    encoder, about = saved.build_on(ENCODER, "classifier")
    network = unet(about["architecture"], dropout=dropout)
    network.layers[0].load_state_dict(encoder.body.state_dict())
    return network, about


def run(params: Params) -> None:
    """Write models/unet.safetensors and plots/unet.csv (a row an epoch)."""
    seed_everything(params.seed)
    side = store.side(colouriser.TARGET)
    params = params.at(side)
    network, about = on_encoder(params.unet.dropout)
    check_side(about["architecture"], smallest(side, params.unet.half_size))
    settings = params.model_dump(include={"seed", "images", "unet"})
    checkpoint = Checkpoint("train-unet", __name__, settings, [*colouriser.files(), ENCODER])
    if about["data"] == "none" and not params.unet.encoder_learning_rate:
        normalise(network.layers[0], params)
    history = train(params, network, checkpoint)
    if not processes.first():
        return
    colouriser.save(
        "unet",
        network,
        history,
        params,
        architecture=about["architecture"],
        data=store.read_about(colouriser.TARGET)["name"],
        encoder=about["data"],
        unet=params.unet.model_dump(),
    )
    checkpoint.remove()


def normalise(encoder: nn.Module, params: Params) -> None:
    """Take the batch statistics of an encoder of random weights, in place: if it is frozen nothing else does."""
    batches = colouriser.batches(params, params.unet.batch_size, flip)
    take_statistics(encoder.to(batches.device), batches)


def train(params: Params, network: BothWays, *callbacks: Callback) -> History:
    """Train a U-Net, in place, with Muon; at a learning rate of 0 its encoder is frozen.

    Args:
        params: all of them.
        network: what `on_encoder` gives.
        callbacks: behaviour besides the step.
    """
    rates = [params.unet.encoder_learning_rate, params.unet.learning_rate]
    if not params.unet.encoder_learning_rate:
        network.freeze_encoder()
    history = History(parts={"train_l1": colouriser.l1}, measures=colouriser.MEASURES)
    muon = partial(Muon, weight_decay=params.unet.weight_decay)
    augment = partial(flip_and_zoom, zoom=params.unet.zoom) if params.unet.zoom else flip
    batches = colouriser.batches(params, params.unet.batch_size, augment)
    schedule = warm_up_and_decay(*filter(None, rates))
    training = learner(batches, network, nn.L1Loss(), muon, [history, *callbacks], encoder_and_decoder)
    training.fit(params.unet.epochs, cbs=[schedule, HalfSize(params.unet.half_size)])
    return history


def encoder_and_decoder(network: BothWays) -> list[list[Parameter]]:
    """The parameters in two groups, for the encoder may have learnt already; without it, if it is frozen, in one."""
    encoder, *decoder = network.layers
    groups = [list(encoder.parameters()), [parameter for layer in decoder for parameter in layer.parameters()]]
    return groups if network.encoder_learns else groups[1:]
