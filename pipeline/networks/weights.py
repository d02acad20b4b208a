"""ImageNet weights that others published → a classifier of greyscale pictures."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from pipeline.networks import encoder
from pipeline.networks.classifier import Classifier
from pipeline.system.errors import PipelineError

CLASSES = 1000
COUNTER = "num_batches_tracked"  # of batch normalisation; older files have none
DAMAGED = (RuntimeError, KeyError, TypeError, AttributeError, ValueError, EOFError, pickle.UnpicklingError)


def load(path: Path, architecture: str, mean: Sequence[float], deviation: Sequence[float]) -> Classifier:
    """A classifier of greyscale pictures with published weights.

    Args:
        path: a .pth file of torch, or a .safetensors file.
        architecture: resnet18 or resnet34 of torchvision, or timm/NAME.
        mean: of each channel, of RGB in [0, 1], as it was taken off in their training.
        deviation: of each channel, by which it was divided.

    Raises:
        PipelineError: these are other weights, timm has no such network, or one that cannot be made to see grey.
    """
    network = Classifier(architecture, channels=1, classes=CLASSES)
    first, behind = _first_layers(network, architecture)
    try:
        if path.suffix == ".safetensors":
            weights = safetensors.torch.load_file(path)
        else:
            weights = torch.load(path, weights_only=True, map_location="cpu")
        weights = _renamed(weights, network, encoder.build(architecture, channels=1).places)
        network.load_state_dict(fold_to_grey(weights, first, behind, mean, deviation))
    except (*DAMAGED, SafetensorError):
        way_out = "see datasets.imagenet in params.yaml"
        raise PipelineError(f"{path}: not ImageNet weights of a {architecture}; {way_out}") from None
    return network


def _renamed(weights: Mapping[str, Tensor], network: Classifier, places: Mapping[str, str]) -> dict[str, Tensor]:
    """Weights by the names that they have in a `Classifier`.

    In some files, such as those of EfficientNet-PyTorch, the same layers have other names. They are known by their
    order then, in which weights, biases and statistics must alternate as they do here.
    """
    layers = {place: name for name, place in places.items()}
    ours = {_published(name, layers): name for name in network.state_dict() if not name.endswith(COUNTER)}
    theirs = {name: tensor for name, tensor in weights.items() if not name.endswith(COUNTER)}
    if ours.keys() != theirs.keys():
        if [name.rpartition(".")[2] for name in ours] != [name.rpartition(".")[2] for name in theirs]:
            raise ValueError("other layers")
        theirs = dict(zip(ours, theirs.values(), strict=True))
    return {name: theirs[published] for published, name in ours.items()}


def _published(name: str, layers: Mapping[str, str]) -> str:
    """What a library calls a weight of a `Classifier`, such as blocks.0.0.bn1.bias for body.3.0.bn1.bias."""
    parts = name.split(".")
    depth = 1 if parts[0] == "head" else 2
    return ".".join((layers[".".join(parts[:depth])], *parts[depth:]))


def _first_layers(network: Classifier, architecture: str) -> tuple[str, str]:
    """The names of the one convolution that sees the picture, and of what comes behind it, for `fold_to_grey`.

    Raises:
        PipelineError: there are several, it computes something else, or has neither bias nor batch normalisation.
    """
    modules = list(network.named_modules())
    convolutions = [(place, module) for place, (_, module) in enumerate(modules) if isinstance(module, nn.Conv2d)]
    seeing = [place for place, convolution in convolutions if convolution.in_channels == 1]
    if len(seeing) == 1 and seeing[0] + 1 < len(modules):
        (first, layer), (behind, norm) = modules[seeing[0] : seeing[0] + 2]
        plain = type(layer) is nn.Conv2d or type(layer).__name__ == "Conv2dSame"  # timm's, padded as TensorFlow does
        if plain and (layer.bias is not None or isinstance(norm, nn.BatchNorm2d)):
            return first, behind
    allowed = "networks that begin with one plain convolution, with a bias or batch normalisation"
    raise PipelineError(
        f"datasets.imagenet.architecture: given {architecture}, whose published weights cannot be made to see grey, "
        f"allowed: {allowed}, such as timm/resnet18; change it in params.yaml"
    )


def fold_to_grey(
    weights: Mapping[str, Tensor], first: str, behind: str, mean: Sequence[float], deviation: Sequence[float]
) -> dict[str, Tensor]:
    """Weights for colour pictures, rewritten for the one grey channel.

    They expect (grey − mean_c) / deviation_c in each channel c, and `StandardiseGrey` gives (grey − m) / s; so the
    first convolution becomes Σ_c w_c · s / deviation_c, and what the different means add, a constant in each output
    channel, goes into its bias, or into the mean of the batch normalisation behind it. Away from the zero-padded border
    this is exact.

    Args:
        weights: by the names that they have in the network.
        first: the name of the convolution.
        behind: that of the batch normalisation behind it, if it has no bias.
        mean: of each channel.
        deviation: of each channel.
    """
    means, deviations = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, deviation))
    grey = encoder.StandardiseGrey
    colour = weights[f"{first}.weight"]  # (C, 3, K, K)
    constant = (colour * (grey.mean - means) / deviations).sum((1, 2, 3))  # (C,)
    folded = {**weights, f"{first}.weight": (colour * grey.deviation / deviations).sum(1, keepdim=True)}  # (C, 1, K, K)
    if f"{first}.bias" in weights:
        folded[f"{first}.bias"] = weights[f"{first}.bias"] + constant
    else:
        folded[f"{behind}.running_mean"] = weights[f"{behind}.running_mean"] - constant
    return folded
