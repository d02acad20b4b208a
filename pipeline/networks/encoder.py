"""Encoders: bodies of classifiers, as a plain `nn.Sequential` in which `DynamicUnet` finds its skip connections."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor, nn

from pipeline.colour import l_to_grey
from pipeline.networks.published import DEEPEST, Mean, chain
from pipeline.system.errors import PipelineError


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al. 2016, 'Deep Residual Learning', fig. 2; projection of eq. 2)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) → (N, channels_out, H / stride, W / stride)."""
        y = self.relu(self.norm1(self.conv1(x)))
        return self.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def resnet20(channels: int) -> nn.Sequential:
    """ResNet-20 as He et al. (2016, section 4.2) made it for CIFAR-10: three groups of 16, 32 and 64 channels."""
    stem = nn.Sequential(*_convolution(channels, 16))
    groups = [
        nn.Sequential(BasicBlock(wide_in, wide_out, stride), *(BasicBlock(wide_out, wide_out) for _ in range(2)))
        for wide_in, wide_out, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
    ]
    return _initialised(nn.Sequential(stem, *groups))


def vgg8(channels: int) -> nn.Sequential:
    """A VGG (Simonyan & Zisserman 2015) for small pictures and little time: seven convolutions, and the head.

    A stem, then three pairs of convolutions, which halve the sides and have 64, 192 and 256 channels. Most of its work
    is dense, and little at full resolution, so that a device does more operations a second in it than in ResNet-20.
    After the network of Jordan (2024, '94% on CIFAR-10 in 3.29 Seconds on a Single GPU', section 3.1), with a border
    around each convolution, as a U-Net needs it.
    """
    stem = nn.Sequential(*_convolution(channels, 24), *_pair(24, 64))
    return _initialised(nn.Sequential(stem, _pair(64, 192), _pair(192, 256)))


def _pair(channels_in: int, channels_out: int) -> nn.Sequential:
    halved = _convolution(channels_in, channels_out, nn.MaxPool2d(2))
    return nn.Sequential(*halved, *_convolution(channels_out, channels_out))


def _convolution(channels_in: int, channels_out: int, *pool: nn.Module) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, channels_out, 3, 1, 1, bias=False)
    return [convolution, *pool, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)]


def _initialised(body: nn.Sequential) -> nn.Sequential:
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return body


class StandardiseGrey(nn.Module):
    """Lightness, in [-1, 1], → grey values as published weights expect them: mean 0, deviation 1."""

    mean, deviation = 0.449, 0.226  # the averages over the three channels

    def forward(self, l: Tensor) -> Tensor:  # noqa: E741
        """Keep the shape, (N, 1, H, W)."""
        return (l_to_grey(l) - self.mean) / self.deviation


class Encoder(NamedTuple):
    """An encoder, with what a classifier puts between it and its head.

    body: the layers, in which `DynamicUnet` finds its skip connections.
    neck: what the body puts out → (N, width).
    width: how many numbers the head decides by.
    places: what the library of a published network calls its layers → where they are in a `Classifier`.
    """

    body: nn.Sequential
    neck: nn.Module
    width: int
    places: Mapping[str, str] = MappingProxyType({})


def build(architecture: str, channels: int) -> Encoder:
    """An encoder with random weights.

    Args:
        architecture: vgg8, resnet20, torchvision's resnet18 or resnet34, or timm/NAME.
        channels: 1 takes lightness in [-1, 1], 3 takes RGB in [0, 1].

    Raises:
        PipelineError: timm has no such network, or none that can be a U-Net's encoder.
    """
    match architecture:
        case "vgg8":
            return Encoder(vgg8(channels), Mean(), 256)
        case "resnet20":
            return Encoder(resnet20(channels), Mean(), 64)
        case _:
            return _published(architecture, channels)


def _published(architecture: str, channels: int) -> Encoder:
    body, neck, head, width = chain(architecture, channels)
    first = [StandardiseGrey()] if channels == 1 else []
    places = {name: f"body.{place}" for place, name in enumerate(body, len(first))}
    places |= {name: f"neck.{place}" for place, name in enumerate(neck)} | {head: "head"}
    return Encoder(nn.Sequential(*first, *body.values()), nn.Sequential(*neck.values()), width, places)


def check_side(architecture: str, side: int) -> None:
    """See that pictures are large enough for an encoder.

    Raises:
        PipelineError: they are not.
    """
    if architecture.startswith("timm/") and side < DEEPEST:
        allowed = f"allowed for {architecture}: {DEEPEST} pixels and more"
        raise PipelineError(f"given pictures of {side} pixels, {allowed}; choose another architecture or pictures")
