"""The PatchGAN: says of each patch whether it is a photograph's or the generator's."""

import torch
from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """PatchGAN of Isola et al. (2017, 'Image-to-Image Translation with Conditional Adversarial Networks', section 6.1).

    Convolutions of 4×4: `downsamplings` of stride 2, which double the channels up to eight times the first, and two of
    stride 1; batch normalisation but in the first and last, LeakyReLU 0.2, weights N(0, 0.02).

    Args:
        filters: channels of the first layer.
        downsamplings: 1, 2, 3 give patches of 16, 34, 70 pixels.
    """

    def __init__(self, filters: int = 64, downsamplings: int = 2):
        super().__init__()
        widths = [filters * min(2**level, 8) for level in range(downsamplings + 1)]
        layers: list[nn.Module] = [nn.Conv2d(3, filters, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        for level in range(1, downsamplings + 1):
            stride = 2 if level < downsamplings else 1
            layers += [
                nn.Conv2d(widths[level - 1], widths[level], 4, stride, 1, bias=False),
                nn.BatchNorm2d(widths[level]),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1, 0.02)

    def forward(self, l: Tensor, ab: Tensor) -> Tensor:  # noqa: E741
        """L (N, 1, H, W) and ab (N, 2, H, W), both in [-1, 1] → logits (N, 1, H', W'), high for real."""
        return self.layers(torch.cat((l, ab), dim=1))
