"""Trained networks as files: safetensors, with all in their metadata that it takes to rebuild and to judge them."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pipeline.model_files import metadata
from pipeline.networks.classifier import Classifier
from pipeline.networks.generator import BothWays, unet
from pipeline.system.errors import PipelineError, printable
from pipeline.system.files import write_all

Kind = Literal["classifier", "colouriser"]


def save(path: Path, network: nn.Module, *, kind: str, architecture: str, **about: Any) -> None:
    """Write a network, whole or not at all.

    Args:
        path: the file, whose folder is made if there is none.
        network: what `load` will give back.
        kind: classifier or colouriser.
        architecture: of the encoder.
        about: see `metadata.Classifier` and `metadata.Colouriser`.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    made = {"torch": torch.__version__, "weights_sha256": digest(weights)}
    strings = metadata.encode({"kind": kind, "architecture": architecture, **about, **made})
    content = safetensors.torch.save(weights, strings)
    write_all({path: lambda unfinished: unfinished.write_bytes(content)})


@overload
def load(path: Path, kind: Literal["classifier"], data: str | None = None) -> tuple[Classifier, dict[str, Any]]: ...


@overload
def load(path: Path, kind: Literal["colouriser"], data: str | None = None) -> tuple[BothWays, dict[str, Any]]: ...


def load(path: Path, kind: Kind, data: str | None = None) -> tuple[Classifier | BothWays, dict[str, Any]]:
    """Rebuild a network from its file alone.

    Args:
        path: the file.
        kind: classifier or colouriser.
        data: what it must have been trained on, if that matters.

    Returns:
        The network, in evaluation mode on the CPU, and what its file says about it.

    Raises:
        PipelineError: there is no such file, it is not a model, one of another kind, or not as it was saved, or it was
            trained on other pictures.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = metadata.decode(file.metadata() or {}, path, kind)
        weights = safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise metadata.no_such_model(path) from None
    except (OSError, SafetensorError) as error:
        raise metadata.not_a_model(path, error) from None
    if about.get("weights_sha256") != digest(weights):
        raise metadata.not_a_model(path, "its weights are not those that were saved")
    network = _build(about)
    try:
        network.load_state_dict(weights)
    except RuntimeError:  # torch names each weight, over many lines
        reason = f"its weights are not those of this version's {kind} on a {about['architecture']}"
        raise metadata.not_a_model(path, reason) from None
    if data not in (None, about["data"]):
        raise PipelineError(f"{path}: given one trained on {about['data']}, needed {data}; run `dvc repro`")
    return network.eval(), about


@overload
def build_on(path: Path, kind: Literal["classifier"], data: str | None = None) -> tuple[Classifier, dict[str, Any]]: ...


@overload
def build_on(path: Path, kind: Literal["colouriser"], data: str | None = None) -> tuple[BothWays, dict[str, Any]]: ...


def build_on(path: Path, kind: Kind, data: str | None = None) -> tuple[Classifier | BothWays, dict[str, Any]]:
    """`load`, for a stage; says so if another version of torch trained the network, of which DVC knows nothing."""
    network, about = load(path, kind, data)
    if about["torch"] != torch.__version__:
        versions = f"trained with torch {about['torch']}, and this is torch {torch.__version__}"
        line = f"warning: {path}: {versions}; for results of one version alone, run `dvc repro --force`"
        print(printable(line), file=sys.stderr, flush=True)
    return network, about


def digest(weights: Mapping[str, Tensor]) -> str:
    """The SHA-256 of names, types, shapes and values, in hexadecimal."""
    total = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)  # NumPy has no bfloat16
    return total.hexdigest()


def _build(about: dict[str, Any]) -> Classifier | BothWays:
    if about["kind"] == "classifier":
        return Classifier(about["architecture"], about["channels"], about["classes"])
    return unet(about["architecture"], dropout=about["dropout"])
