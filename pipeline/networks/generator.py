"""The colouriser: fastai's `DynamicUnet` on an encoder of greyscale pictures."""

import torch
from fastai.layers import NormType
from fastai.vision.models.unet import DynamicUnet, UnetBlock
from torch import Tensor, nn

from pipeline.networks import encoder

BUILD_SIZE = 64  # DynamicUnet finds its skips with a dummy of this side; small enough to be quick, large enough for all


class BothWays(DynamicUnet):
    """A DynamicUnet that paints the mean of what it sees in a picture and in its mirror image.

    What differs between the two is mostly error, for training shows it both ways alike (Krizhevsky et al. 2012, section
    4.1). It takes twice the time, and paints paler; so L1 alone, which needs no lively colours, is trained one way.
    """

    trains_both_ways = False
    encoder_learns = True
    keeps_statistics = False
    dropout: float

    def forward(self, l: Tensor) -> Tensor:  # noqa: E741
        """(N, 1, H, W) → (N, 2, H, W)."""
        if self.training and not self.trains_both_ways:
            return super().forward(l)
        there, back = super().forward(torch.cat((l, l.flip(3)))).unflatten(0, (2, -1))
        return (there + back.flip(3)) / 2

    def freeze_encoder(self) -> None:
        """From now on training changes nothing in the encoder, neither weights nor batch statistics."""
        self.encoder_learns = False
        self.layers[0].requires_grad_(False)
        self.train(self.training)

    def keep_statistics(self) -> None:
        """From now on batch normalisation uses, in training as well, the statistics that there are."""
        self.keeps_statistics = True
        self.train(self.training)

    def train(self, mode: bool = True) -> "BothWays":
        """All that learns; what is frozen or kept stays in evaluation mode."""
        super().train(mode)
        if not self.encoder_learns:
            self.layers[0].eval()
        if self.keeps_statistics:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


def unet(architecture: str, *, dropout: float = 0) -> BothWays:
    """A U-Net with random weights: l (N, 1, H, W) in [-1, 1] → ab (N, 2, H, W) in about [-1, 1], at any H and W.

    Its first layer, `layers[0]`, is the encoder that `encoder.build` makes. Convolutions of the decoder are followed by
    batch normalisation (Ioffe & Szegedy 2015); without it their weights learn to sum to less than zero, and ReLU leaves
    fewer and fewer values that are not. There is no further block at full resolution that looks at the input again: it
    would take two thirds of the time once more. The last layer paints; it is not normalised, and starts near zero,
    because grey is a better guess than noise.

    Args:
        architecture: of the encoder.
        dropout: share of the channels that training leaves out, behind the encoder and each block of the decoder
            (Tompson et al. 2015, section 3.2), lest it soon know few pictures by heart.
    """
    body = encoder.build(architecture, channels=1).body
    network = BothWays(body, n_out=2, img_size=(BUILD_SIZE, BUILD_SIZE), last_cross=False, norm_type=NormType.Batch)
    *hidden, normalised_painting, _ = network.layers  # the last one wraps the result in a tensor subclass
    layers = []
    for layer in hidden:
        layers.append(layer)
        if layer is body or isinstance(layer, UnetBlock):
            layers.append(nn.Dropout2d(dropout))
        if isinstance(layer, UnetBlock):
            layer.bn.register_forward_hook(_lay_gradient_out)
    painting = nn.Conv2d(normalised_painting[0].in_channels, 2, 1)
    for parameter in painting.parameters():
        nn.init.normal_(parameter, 0, 0.001)
    network.layers = nn.ModuleList([*layers, painting])
    network.dropout = dropout
    return network


def _lay_gradient_out(module: nn.Module, _: tuple[Tensor], output: Tensor) -> None:
    """Have the gradient of a skip in memory of its own, channels last.

    It comes as a slice of the gradient of what a UnetBlock joins, for which torch's batch normalisation on a CPU has
    nothing but a slow kernel, on one core.
    """
    if module.training and output.requires_grad:
        output.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
