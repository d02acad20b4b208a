"""A trained colouriser as an ONNX file, which other programs read, too, and a model card beside it."""

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from pipeline.colour import AB_SCALE
from pipeline.model_files import metadata, model_card, saved
from pipeline.model_files.names import find_model
from pipeline.networks.any_size import AnySize
from pipeline.networks.generator import BothWays
from pipeline.system.errors import PipelineError, printable
from pipeline.system.files import write_all

CHECKED = ((1, 32, 32), (2, 45, 77), (1, 160, 96))  # pictures, height, width
TOLERANCE = 1e-3  # of ab, in units of ab / 110
HALF_TOLERANCE = 0.5 / AB_SCALE  # nobody sees half a unit of ab
LARGE = 1024  # numbers in a tensor of weights that is worth halving


def run(model: str | None, out: Path | None, force: bool = False, half: bool = False, gain: float = 1) -> None:
    """Write the ONNX file and its card, FILE.md, both or none.

    Args:
        model: unet, gan or the path of a .safetensors file; by default unet.
        out: the ONNX file; by default beside the model.
        force: replace files that export did not write.
        half: store weights with 16 bits, in a file half as large.
        gain: what its colours are multiplied by.

    Raises:
        PipelineError: there is no such model, `out` cannot be written, or what onnxruntime computes is not the same.
    """
    path = find_model("unet" if model is None else model)
    if path.suffix == ".onnx":
        raise PipelineError(f"--model {model}: given an ONNX file, allowed: unet, gan or a .safetensors file")
    out = out or path.with_suffix(".onnx")
    if out.suffix != ".onnx":
        raise PipelineError(f"--out {out}: given a name that ends in {out.suffix or 'nothing'}, allowed: .onnx")
    card = out.with_name(f"{out.name}.md")
    with _writing(out):
        _check(path, out, card, force)
    unet, about = saved.load(path, "colouriser")
    paint_stronger(unet, gain)
    about |= {"gain": gain}
    network = AnySize(unet).eval()
    content, allowed = to_onnx(network, about, half), HALF_TOLERANCE if half else TOLERANCE
    difference = largest_difference(network, content)
    if not difference <= allowed:
        raise PipelineError(
            f"{path}: onnxruntime's ab differs by {difference:.2g}, allowed: {allowed:.2g}; not exported"
        )
    weights = sum(parameter.numel() for parameter in network.parameters())
    page = model_card.write(path, out.name, about, weights, difference).encode()
    with _writing(out):
        write_all({out: lambda new: new.write_bytes(content), card: lambda new: new.write_bytes(page)})
    print(f"written: {printable(out)} and {printable(card)}; ab differs from torch's by {difference:.1g} at most")


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PipelineError(f"--out {out}: {error.strerror}; give a file that can be written") from None


def _check(model: Path, out: Path, card: Path, force: bool) -> None:
    """See that nothing is lost if the files are written.

    Raises:
        PipelineError: something is there that is not export's.
    """
    for file, is_ours in ((out, metadata.is_sealed), (card, model_card.is_sealed)):
        if not file.exists():
            continue
        if file.samefile(model):
            raise PipelineError(f"--out {out}: given the model itself; give another file")
        if not force and not is_ours(file.read_bytes()):
            raise PipelineError(f"{file} is there, and not as export wrote it; give another --out, or add --force")


@torch.no_grad()
def paint_stronger(network: BothWays, gain: float) -> None:
    """Multiply a U-Net's colours: those of its last layer, which is linear."""
    painting = network.layers[-1]
    painting.weight *= gain
    painting.bias *= gain


def to_onnx(network: nn.Module, about: Mapping[str, Any], half: bool = False) -> bytes:
    """An ONNX model, l → ab, with any number of pictures of any height and width, and what is known about it.

    Args:
        network: what is exported.
        about: see `metadata.Colouriser`.
        half: store weights with 16 bits. It still computes with 32.
    """
    axes = {0: "pictures", 2: "height", 3: "width"}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it says much, to nobody's use
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network, (torch.zeros(2, 1, 90, 70),), input_names=["l"], output_names=["ab"], dynamic_shapes=(axes,)
        )
    assert program
    model = program.model_proto
    for axis, name in axes.items():
        model.graph.output[0].type.tensor_type.shape.dim[axis].dim_param = name
    for part in (*model.graph.node, *model.graph.value_info):
        del part.metadata_props[:]  # where in the sources, on this machine, each came from
    if half:
        _halve(model.graph)
    onnx.helper.set_model_props(model, metadata.encode(about))
    return metadata.seal(model.SerializeToString())


def _halve(graph: onnx.GraphProto) -> None:
    """Store large tensors of weights with 16 bits; onnxruntime widens them once, when it loads them."""
    widen = []
    for weights in graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype == np.float32 and values.size >= LARGE:
            name = weights.name
            weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            widen.append(onnx.helper.make_node("Cast", [weights.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*widen, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


@torch.inference_mode()
def largest_difference(network: nn.Module, content: bytes) -> float:
    """Between the ab of torch and of onnxruntime, at any pixel of random pictures of several sizes."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    differences = []
    for count, height, width in CHECKED:
        l = random.uniform(-1, 1, (count, 1, height, width)).astype(np.float32)  # noqa: E741
        (ab,) = session.run(["ab"], {"l": l})
        differences.append(np.abs(ab - network(torch.from_numpy(l)).numpy()).max())
    return float(max(differences))  # NaN stays NaN
