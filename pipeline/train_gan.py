"""The stage train_gan: train the U-Net on with α·BCE of a PatchGAN + λ·L1 + κ·edges + μ·paleness + ν·Fréchet."""

from functools import partial
from pathlib import Path

import torch
from fastai.callback.core import Callback
from torch import nn

from pipeline.datasets import store
from pipeline.model_files import saved
from pipeline.networks import encoder
from pipeline.networks.discriminator import PatchDiscriminator
from pipeline.networks.generator import BothWays
from pipeline.params import GAN, Params
from pipeline.system.errors import PipelineError
from pipeline.training import colouriser, processes
from pipeline.training.average import MovingAverage
from pipeline.training.batches import flip
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.growing import HalfSize, smallest
from pipeline.training.history import History
from pipeline.training.learner import learner, seed_everything
from pipeline.training.losses.adversarial import AdversarialStep
from pipeline.training.losses.frechet import FrechetLoss
from pipeline.training.losses.likeness import LikenessLoss
from pipeline.training.selection import Selection

UNET, FEATURES = Path("models/unet.safetensors"), Path("models/features.safetensors")


def run(params: Params) -> None:
    """Write models/gan.safetensors, the generator, and plots/gan.csv (a row an epoch).

    Without epochs the generator is the U-Net as it was, and evaluate leaves it out.
    """
    seed_everything(params.seed)
    params = params.at(store.side(colouriser.TARGET))
    network, about = saved.build_on(UNET, "colouriser", store.read_about(colouriser.TARGET)["name"])
    if about["unet"].get("encoder_learning_rate") == 0:
        network.freeze_encoder()  # it is the control of what an encoder brings that never learns to colour
    settings = params.model_dump(include={"seed", "images", "gan"})
    seen = smallest(store.side(colouriser.TARGET), params.gan.half_size if params.gan.epochs else 0)
    encoder.check_side(about["architecture"], seen)
    eye = features(about["data"], seen)
    checkpoint = Checkpoint("train-gan", __name__, settings, [*colouriser.files(), UNET, FEATURES])
    history, share = train(params, network, about["architecture"], eye, checkpoint)
    shared = {key: about[key] for key in ("architecture", "data", "encoder", "unet")}
    shared["unet_sha256"] = about["weights_sha256"]  # for evaluate, which compares the two
    if not processes.first():
        return
    colouriser.save("gan", network, history, params, **shared, gan=params.gan.model_dump(), share=share)
    if params.gan.epochs:
        checkpoint.remove()


def features(data: str, side: int) -> nn.Module:
    """The body of the classifier of colour pictures, for `FrechetLoss`.

    Args:
        data: what it must have been trained on.
        side: of the smallest pictures that it is to see.

    Raises:
        PipelineError: there is no such model, it was trained on other pictures, or these are too small for it.
    """
    network, about = saved.build_on(FEATURES, "classifier", data)
    encoder.check_side(about["architecture"], side)
    return network.body


def train(
    params: Params, network: BothWays, architecture: str, eye: nn.Module, *callbacks: Callback
) -> tuple[History, float]:
    """Train a U-Net on, in place, for livelier colours.

    Args:
        params: all of them.
        network: trained with L1 alone.
        architecture: of its encoder.
        eye: what `features` gives.
        callbacks: behaviour besides the step.

    Returns:
        What happened in training, and what share of the weights is the GAN's, see `Selection`.

    Raises:
        PipelineError: the pictures are too small for so large patches.
    """
    likeness = LikenessLoss(params.gan.l1_weight, params.gan.colourfulness_weight, params.gan.edge_weight)
    frechet = FrechetLoss(eye, params.gan.frechet_weight)
    step = None
    history = History(
        parts={
            "train_l1": lambda _: likeness.l1,
            "train_edges": lambda _: likeness.edges,
            "adversarial": lambda _: getattr(step, "adversarial", None),
            "paleness": lambda _: likeness.paleness,
            "frechet_distance": lambda _: frechet.distance,
            "discriminator_real": lambda _: getattr(step, "real", None),
            "discriminator_fake": lambda _: getattr(step, "fake", None),
        },
        measures=colouriser.MEASURES,
    )
    if not params.gan.epochs:
        return history, 0.0
    batches = colouriser.batches(params, params.gan.batch_size, flip)
    network.trains_both_ways = True
    network.keep_statistics()  # in use no batch normalises a picture: what is trained so would paint other colours
    adam = partial(torch.optim.Adam, betas=(params.gan.beta1, 0.999), fused=True)
    if params.gan.adversarial_weight:
        side = min(batches.train.split.pictures.shape[1:3])
        _check_patches(params.gan.downsamplings, smallest(side, params.gan.half_size))
        discriminator = _discriminator(params.gan, network, architecture)
        optimiser = adam(discriminator.parameters(), lr=params.gan.discriminator_learning_rate)
        step = AdversarialStep(discriminator, optimiser, params.gan.adversarial_weight)
    selection = Selection(params.gan.colourfulness)
    losses = filter(None, (likeness, step, frechet))
    parts = [*losses, MovingAverage(params.gan.ema), history, selection, *callbacks]
    training = learner(batches, network, nn.L1Loss(), adam, parts)
    training.fit(params.gan.epochs, params.gan.generator_learning_rate, cbs=HalfSize(params.gan.half_size))
    return history, selection.share


def _discriminator(gan: GAN, network: BothWays, architecture: str) -> PatchDiscriminator:
    """A PatchGAN that sees with the encoder that the U-Net has now."""
    body = encoder.build(architecture, channels=1).body
    body.load_state_dict(network.layers[0].state_dict())
    return PatchDiscriminator(body, gan.filters, gan.downsamplings)


def _check_patches(downsamplings: int, side: int) -> None:
    most = side.bit_length() - 1
    if downsamplings > most:
        given = f"gan.downsamplings: given {downsamplings}, allowed for pictures of {side} pixels: up to {most}"
        raise PipelineError(f"{given}; change it in params.yaml")
