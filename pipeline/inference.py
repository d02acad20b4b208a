"""The file of a model → a function of arrays. torch is imported for its own files alone: it takes seconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import levels, metadata

Network = Callable[[np.ndarray], np.ndarray]  # l (N, 1, H, W) in [-1, 1] → ab (N, 2, H, W), both float32


def load(path: Path) -> Network:
    """A colouriser, on the accelerator there is, or the CPU, for pictures of any height and width, and of any tones.

    Args:
        path: a .safetensors file that training wrote, or an .onnx file that `export` wrote.

    Raises:
        PipelineError: there is no such file, it is not a model, or it is the judge or an encoder.
    """
    network, about = _load_onnx(path) if path.suffix == ".onnx" else _load_safetensors(path)
    return levels.shown(network, levels.Tones(**about["tones"]))


def _load_safetensors(path: Path) -> tuple[Network, dict[str, Any]]:
    import torch

    from pipeline import models
    from pipeline.networks.any_size import AnySize
    from pipeline.training.batches import default_device

    network, about = models.load(path, "colouriser")
    device = default_device()
    network = AnySize(network).to(device=device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def paint(l: np.ndarray) -> np.ndarray:  # noqa: E741
        return network(torch.from_numpy(l).to(device)).cpu().numpy()

    return paint, about


def _load_onnx(path: Path) -> tuple[Network, dict[str, Any]]:
    import onnxruntime

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise metadata.no_such_model(path) from None
    except OSError as error:
        raise metadata.not_a_model(path, error.strerror) from None
    metadata.check_seal(content, path)
    there = onnxruntime.get_available_providers()
    options = onnxruntime.SessionOptions()
    # Its threads would wait busily for the next picture, in the way of those that colour this one at full size.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in there]
    try:
        session = onnxruntime.InferenceSession(content, options, providers)
    except Exception as error:  # of a dozen kinds, which have no more than this in common
        raise metadata.not_a_model(path, error) from None
    about = metadata.decode(session.get_modelmeta().custom_metadata_map, path, "colouriser")
    return lambda l: session.run(["ab"], {"l": l})[0], about  # noqa: E741
