"""Encoders: bodies of classifiers, as a plain `nn.Sequential` in which `DynamicUnet` finds its skip connections."""

import torch
from torch import Tensor, nn

from pipeline.colour import l_to_grey


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al. 2016, 'Deep Residual Learning', fig. 2; projection of eq. 2)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity()
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
    """Lightness, in [-1, 1], → grey values as the ImageNet weights of torchvision expect them: mean 0, deviation 1."""

    mean, deviation = 0.449, 0.226  # the averages over the three channels

    def forward(self, l: Tensor) -> Tensor:  # noqa: E741
        """Keep the shape, (N, 1, H, W)."""
        return (l_to_grey(l) - self.mean) / self.deviation


TORCHVISION_LAYERS = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


def torchvision_resnet(architecture: str, channels: int) -> nn.Sequential:
    """Torchvision's resnet18 or resnet34 with the given number of input channels, random weights, no head."""
    import torchvision.models

    network = getattr(torchvision.models, architecture)()
    network.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    body = [getattr(network, layer) for layer in TORCHVISION_LAYERS]
    return nn.Sequential(StandardiseGrey(), *body) if channels == 1 else nn.Sequential(*body)


def build(architecture: str, channels: int) -> tuple[nn.Sequential, int]:
    """An encoder with random weights, and the number of channels it puts out.

    Args:
        architecture: vgg8, resnet20, resnet18 or resnet34.
        channels: 1 takes lightness in [-1, 1], 3 takes RGB in [0, 1].
    """
    match architecture:
        case "vgg8":
            return vgg8(channels), 256
        case "resnet20":
            return resnet20(channels), 64
        case _:
            return torchvision_resnet(architecture, channels), 512


def fold_to_grey(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Torchvision's ImageNet weights of a ResNet, rewritten for the one grey channel and the names of `Classifier`.

    The weights expect (grey − mean_c) / deviation_c in each channel c, and `StandardiseGrey` gives (grey − m) / s; so
    the first convolution becomes Σ_c w_c · s / deviation_c, and what the different means add, a constant in each output
    channel, goes into the mean of the batch normalisation behind it. Away from the zero-padded border this is exact.
    """
    mean = torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
    deviation = torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)
    colour = weights["conv1.weight"]  # (64, 3, 7, 7)
    constant = (colour * (StandardiseGrey.mean - mean) / deviation).sum((1, 2, 3))  # (64,)
    folded = weights | {
        "conv1.weight": (colour * StandardiseGrey.deviation / deviation).sum(1, keepdim=True),  # (64, 1, 7, 7)
        "bn1.running_mean": weights["bn1.running_mean"] - constant,
    }
    places = {name: f"body.{place + 1}" for place, name in enumerate(TORCHVISION_LAYERS)} | {"fc": "head"}
    renamed = {}
    for name, tensor in folded.items():
        layer, _, rest = name.partition(".")
        renamed[f"{places[layer]}.{rest}"] = tensor
    return renamed
