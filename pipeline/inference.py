"""The file of a model → a function of arrays. torch is imported for its own files alone: it takes seconds."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from pipeline import levels, metadata
from pipeline.errors import PipelineError

# l (N, 1, H, W) in [-1, 1] → ab (N, 2, H, W), both float32; several threads may call one at the same time.
Network = Callable[[np.ndarray], np.ndarray]

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}  # of ONNX Runtime, the fastest first


def load(path: Path, device: str | None = None) -> Network:
    """A colouriser for pictures of any height and width, and of any tones.

    Args:
        path: a .safetensors file that training wrote, or an .onnx file that `export` wrote.
        device: where it computes; see `pick`.

    Raises:
        PipelineError: there is no such file, it is not a model, or it is the judge or an encoder; or no such device.
    """
    device = pick(path, device)
    network, about = _load_onnx(path, device) if path.suffix == ".onnx" else _load_safetensors(path, device)
    return levels.shown(network, levels.Tones(**about["tones"]))


def pick(path: Path, device: str | None = None) -> str:
    """Where a model will compute: where it is asked to, or by default on the accelerator there is, or the CPU.

    Args:
        path: of the model.
        device: cpu, cuda or mps.

    Raises:
        PipelineError: there is no such device, or what runs such files cannot use it.
    """
    there = _onnx_devices() if path.suffix == ".onnx" else _torch_devices()
    if device is None or device in there:
        return device or there[0]
    raise PipelineError(f"--device {device}: not there for a {path.suffix} file, allowed: {', '.join(there)}")


def _onnx_devices() -> list[str]:
    import onnxruntime

    return [name for name, provider in PROVIDERS.items() if provider in onnxruntime.get_available_providers()]


def _torch_devices() -> list[str]:
    from pipeline.training.batches import default_device

    return list(dict.fromkeys((default_device().type, "cpu")))


def _load_safetensors(path: Path, device: str) -> tuple[Network, dict[str, Any]]:
    import torch

    from pipeline import models
    from pipeline.networks.any_size import AnySize

    network, about = models.load(path, "colouriser")
    network = AnySize(network).to(device=device, memory_format=torch.channels_last)
    alone = Lock()  # what the encoder sees waits in the network itself until the decoder needs it

    @torch.inference_mode()
    def paint(l: np.ndarray) -> np.ndarray:  # noqa: E741
        with alone:
            return network(torch.from_numpy(l).to(device)).cpu().numpy()

    return paint, about


def _load_onnx(path: Path, device: str) -> tuple[Network, dict[str, Any]]:
    import onnxruntime

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise metadata.no_such_model(path) from None
    except OSError as error:
        raise metadata.not_a_model(path, error.strerror) from None
    metadata.check_seal(content, path)
    options = onnxruntime.SessionOptions()
    # Its threads would wait busily for the next picture, in the way of those that colour this one at full size.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            content, options, list(dict.fromkeys((PROVIDERS[device], PROVIDERS["cpu"])))
        )
    except Exception as error:  # of a dozen kinds, which have no more than this in common
        raise metadata.not_a_model(path, error) from None
    about = metadata.decode(session.get_modelmeta().custom_metadata_map, path, "colouriser")
    return lambda l: session.run(["ab"], {"l": l})[0], about  # noqa: E741
