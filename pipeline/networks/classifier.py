"""A classifier: an encoder and a linear head. It pretrains the encoder, and it is the judge of colours."""

from torch import Tensor, nn

from pipeline.networks import encoder


class Classifier(nn.Module):
    """Encoder, global average pooling, linear head; between them what else a published network has there.

    Args:
        architecture: of the encoder, see `encoder.build`.
        channels: 1 for lightness in [-1, 1], 3 for RGB in [0, 1].
        classes: how many there are to tell apart.
    """

    def __init__(self, architecture: str, channels: int, classes: int):
        super().__init__()
        built = encoder.build(architecture, channels)
        self.body, self.neck = built.body, built.neck
        self.head = nn.Linear(built.width, classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) → (N, width): what the head decides by."""
        return self.neck(self.body(x))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) → logits (N, classes)."""
        return self.head(self.features(x))
