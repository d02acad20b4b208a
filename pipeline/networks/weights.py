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
        PipelineError: these are other weights, or timm has no such network.
    """
    network = Classifier(architecture, channels=1, classes=CLASSES)
    try:
        if path.suffix == ".safetensors":
            weights = safetensors.torch.load_file(path)
        else:
            weights = torch.load(path, weights_only=True, map_location="cpu")
        weights = _renamed(weights, network, encoder.build(architecture, channels=1).places)
        network.load_state_dict(fold_to_grey(weights, network, mean, deviation))
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


def fold_to_grey(
    weights: Mapping[str, Tensor], network: nn.Module, mean: Sequence[float], deviation: Sequence[float]
) -> dict[str, Tensor]:
    """Weights for colour pictures, rewritten for the one grey channel.

    They expect (grey − mean_c) / deviation_c in each channel c, and `StandardiseGrey` gives (grey − m) / s; so the
    first convolution becomes Σ_c w_c · s / deviation_c, and what the different means add, a constant in each output
    channel, goes into its bias, or into the mean of the batch normalisation behind it. Away from the zero-padded border
    this is exact.

    Args:
        weights: by the names that they have in the network.
        network: for greyscale pictures.
        mean: of each channel.
        deviation: of each channel.

    Raises:
        ValueError: there is neither bias nor batch normalisation.
    """
    modules = iter(network.named_modules())
    first = next(name for name, module in modules if isinstance(module, nn.Conv2d))
    behind, norm = next(modules)
    means, deviations = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, deviation))
    grey = encoder.StandardiseGrey
    colour = weights[f"{first}.weight"]  # (C, 3, K, K)
    constant = (colour * (grey.mean - means) / deviations).sum((1, 2, 3))  # (C,)
    folded = {**weights, f"{first}.weight": (colour * grey.deviation / deviations).sum(1, keepdim=True)}  # (C, 1, K, K)
    if f"{first}.bias" in weights:
        folded[f"{first}.bias"] = weights[f"{first}.bias"] + constant
    elif isinstance(norm, nn.BatchNorm2d):
        folded[f"{behind}.running_mean"] = weights[f"{behind}.running_mean"] - constant
    else:
        raise ValueError("neither bias nor batch normalisation")
    return folded
