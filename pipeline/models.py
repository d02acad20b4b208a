"""Trained networks as files: safetensors, with all in their metadata that it takes to rebuild and to judge them."""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from pipeline.errors import PipelineError
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
    metadata = {name: json.dumps(value) for name, value in about.items()}
    write_all({path: lambda unfinished: safetensors.torch.save_file(weights, unfinished, metadata)})


def load(path: Path, kind: str) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuild a network from its file alone.

    Returns:
        The network, in evaluation mode on the CPU, and what its file says about it.

    Raises:
        PipelineError: there is no such file, it is not a model, or a model of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such model; run `dvc repro`, or name a file that it wrote") from None
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise PipelineError(f"{path}: not a model of this project ({error}); run `dvc repro` to make one") from None
    if about.get("kind") != kind:
        given = about.get("kind", "an unknown kind")
        raise PipelineError(f"{path}: given a model that is a {given}, allowed: a {kind}; name another file")
    network = _build(about)
    network.load_state_dict(safetensors.torch.load_file(path))
    return network.eval(), about


def _build(about: dict[str, Any]) -> nn.Module:
    if about["kind"] == "classifier":
        return Classifier(about["architecture"], about["channels"], about["classes"])
    return unet(about["architecture"])
