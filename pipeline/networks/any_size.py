"""Pictures whose sides a network does not halve without a remainder."""

import torch
from torch import Tensor, nn

MULTIPLE = 32  # what the encoder with the most down-steps needs the sides to be a multiple of


class AnySize(nn.Module):
    """A colouriser for pictures of any height and width: they are mirrored at the lower and the right edge.

    Written so that `torch.onnx.export` can follow it with free sides.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, l: Tensor) -> Tensor:  # noqa: E741
        """L (N, 1, H, W) in [-1, 1] → ab (N, 2, H, W)."""
        height, width = l.shape[2:]
        padded = l[:, :, mirrored(height, l.device)][..., mirrored(width, l.device)]
        return self.network(padded)[..., :height, :width]


def mirrored(side: int, device: torch.device | None = None) -> Tensor:
    """Places 0, 1, …, side − 1, side − 2, … in a row of pixels, to and fro until their number is a multiple of 32."""
    padded = (side + MULTIPLE - 1) // MULTIPLE * MULTIPLE  # of nothing below 0, which ONNX would round up
    places = torch.arange(padded, device=device)
    last = places[:side].max()  # not the number, to which the sides would be fixed in an export
    places = places % (2 * last).clamp_min(1)
    return torch.minimum(places, 2 * last - places)
