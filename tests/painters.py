"""Models for tests that are about what is done with one."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from pipeline.model_files import metadata
from pipeline.networks.generator import unet

COLOURISER = {
    "kind": "colouriser",
    "architecture": "resnet20",
    "data": "photos32",
    "encoder": "photos32",
    "seed": 0,
    "unet": {"epochs": 2},
    "dropout": 0,
    "tones": {"black": 8, "black_begins": 46, "white": 90, "white_begins": 52},
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
    nn.init.normal_(network.layers[-1].weight, 0, 0.1)
    return network


def tinting(a: float, b: float) -> bytes:
    """An ONNX model that paints one tint, whatever it sees."""
    tint = np.array([a, b], np.float32).reshape(1, 2, 1, 1) / 110
    nodes = [
        helper.make_node("Mul", ["l", "nothing"], ["black"]),
        helper.make_node("Add", ["black", "tint"], ["ab"]),
    ]
    constants = [numpy_helper.from_array(np.float32(0), "nothing"), numpy_helper.from_array(tint, "tint")]
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h", "w"])
        for name, channels in (("l", 1), ("ab", 2))
    ]
    graph = helper.make_graph(nodes, "tint", shapes[:1], shapes[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, metadata.encode(COLOURISER | {"weights_sha256": "0", "torch": "2"}))
    return metadata.seal(model.SerializeToString())
