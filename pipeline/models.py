"""Trained networks as files: safetensors, with all in their metadata that it takes to rebuild and to judge them."""

from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from pipeline import metadata
from pipeline.files import write_all
from pipeline.networks.classifier import Classifier
from pipeline.networks.generator import unet


def save(path: Path, network: nn.Module, *, kind: str, architecture: str, **about: Any) -> None:
    """Write a network, whole or not at all.

    Args:
        path: the file, whose folder is made if there is none.
        network: what `load` will give back.
        kind: classifier or colouriser.
        architecture: of the encoder.
        about: whatever JSON can hold; a classifier needs its channels and classes.
    """
    about = {"kind": kind, "architecture": architecture, **about, "torch": torch.__version__}
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    strings = metadata.encode(about)
    write_all({path: lambda unfinished: safetensors.torch.save_file(weights, unfinished, strings)})


def load(path: Path, kind: str) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuild a network from its file alone.

    Returns:
        The network, in evaluation mode on the CPU, and what its file says about it.

    Raises:
        PipelineError: there is no such file, it is not a model, or a model of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = metadata.decode(file.metadata() or {}, path, kind)
    except FileNotFoundError:
        raise metadata.no_such_model(path) from None
    except (OSError, SafetensorError) as error:
        raise metadata.not_a_model(path, error) from None
    network = _build(about)
    try:
        network.load_state_dict(safetensors.torch.load_file(path))
    except RuntimeError:  # torch names each weight, over many lines
        reason = f"its weights are not those of this version's {kind} on a {about['architecture']}"
        raise metadata.not_a_model(path, reason) from None
    return network.eval(), about


def _build(about: dict[str, Any]) -> nn.Module:
    if about["kind"] == "classifier":
        return Classifier(about["architecture"], about["channels"], about["classes"])
    return unet(about["architecture"])
