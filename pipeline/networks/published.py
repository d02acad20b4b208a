"""Networks of torchvision and timm, taken apart into chains of layers."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pipeline.system.errors import PipelineError

SIDE = 64  # of the picture by which a chain is tried
DEEPEST = 32  # how often smaller the sides are behind the last layer; `any_size` pads to multiples of it
BROKEN = (RuntimeError, TypeError, ValueError, AttributeError, AssertionError, KeyError)  # of networks of other kinds


class Mean(nn.Module):
    """Global average pooling."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C)."""
        return x.mean((2, 3))


class Chain(NamedTuple):
    """A network without its last layer, as layers that are called one after the other, by their names in the library.

    body: up to the smallest features, (N, C, H / 32, W / 32).
    neck: from there to what the head decides by, (N, width).
    head: the name of the last layer.
    """

    body: dict[str, nn.Module]
    neck: dict[str, nn.Module]
    head: str
    width: int


def chain(architecture: str, channels: int) -> Chain:
    """A network with random weights.

    Args:
        architecture: resnet18 or resnet34 of torchvision, or timm/NAME.
        channels: of its pictures.

    Raises:
        PipelineError: timm has no such network, or it is none whose features become half as large step by step.
    """
    library, _, name = architecture.rpartition("/")
    return _of_timm(name, channels) if library else _of_torchvision(name, channels)


def _of_torchvision(name: str, channels: int) -> Chain:
    import torchvision.models

    network = getattr(torchvision.models, name)()
    network.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    body = {name: layer for name, layer in network.named_children() if name not in ("avgpool", "fc")}
    return Chain(body, {"avgpool": Mean()}, "fc", network.fc.in_features)


def _of_timm(name: str, channels: int) -> Chain:
    import timm

    if not timm.is_model(name):
        allowed = f"those of timm {timm.__version__} (timm.list_models() lists them)"
        raise PipelineError(f"architecture: given timm/{name}, allowed: {allowed}; change it in params.yaml")
    try:
        network: Any = timm.create_model(name, in_chans=channels).eval()
        features = [feature["module"] for feature in network.feature_info]
        layers: dict[str, Any] = dict(_layers(network, (*features, network.pretrained_cfg["classifier"])))
        if features[-1] not in layers:
            raise ValueError("whose last features are no layer's")
        end = [*layers].index(features[-1]) + 1
        (*names, head) = layers
        body, neck = ({path: layers[path] for path in part} for part in (names[:end], names[end:]))
        _check(network, nn.Sequential(*layers.values()), nn.Sequential(*body.values()), channels)
        return Chain(body, neck, head, layers[head].in_features)
    except BROKEN as error:
        reason = " ".join(str(error).split())[:200]
        allowed = "networks whose layers form a chain, such as timm/resnet18 or timm/convnext_atto"
        raise PipelineError(
            f"architecture: given timm/{name} ({reason}), allowed: {allowed}; change it in params.yaml"
        ) from None


def _layers(module: nn.Module, named: tuple[str, ...], prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The parts of a network by their paths: whole, but those taken apart that have one of the named within."""
    for name, part in module.named_children():
        path = f"{prefix}{name}"
        if any(other.startswith(f"{path}.") for other in named):
            yield from _layers(part, named, f"{path}.")
        elif not isinstance(part, nn.Identity):
            yield path, part


@torch.no_grad()
def _check(network: Any, layers: nn.Sequential, body: nn.Sequential, channels: int) -> None:
    """See that a chain computes what the network does, and halves the sides step by step.

    Raises:
        ValueError: it does not.
    """
    steps = [feature["reduction"] for feature in network.feature_info]
    if steps[-1] != DEEPEST or any(deep != 2 * flat for flat, deep in pairwise(steps)):
        raise ValueError(f"whose features are smaller by {', '.join(map(str, steps))}")
    x = torch.linspace(-1, 1, channels * SIDE * SIDE).view(1, channels, SIDE, SIDE)
    if body(x).shape != (1, network.feature_info[-1]["num_chs"], SIDE // DEEPEST, SIDE // DEEPEST):
        raise ValueError("whose features are no pictures")
    if not torch.equal(layers(x), network(x)):
        raise ValueError("which computes more than its layers in turn")
