"""Models for tests that are about what is done with one."""

from torch import nn

from pipeline.networks.generator import unet

COLOURISER = {
    "kind": "colouriser",
    "architecture": "resnet20",
    "data": "photos32",
    "encoder": "photos32",
    "seed": 0,
    "unet": {"epochs": 2},
    "dropout": 0,
}
CLASSIFIER = {
    "kind": "classifier",
    "architecture": "resnet20",
    "data": "photos32",
    "seed": 0,
    "channels": 3,
    "classes": 2,
}


def random_unet() -> nn.Module:
    """A U-Net of random weights that paints, where one that is about to be trained would paint next to nothing."""
    network = unet("resnet20")
    nn.init.normal_(network.layers[-1][0].weight, 0, 0.1)
    return network
