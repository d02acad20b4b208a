"""The file of a model → a function of arrays. torch is imported for its own files alone: it takes seconds."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import levels
from pipeline.colour import AB_SCALE, l_to_grey
from pipeline.model_files import metadata
from pipeline.system.errors import PipelineError, ran_out_of_memory

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

INCLUDED = {"photograph": Path(__file__).with_name("included") / "photograph.onnx"}  # the included models
Paint = Callable[[np.ndarray], np.ndarray]  # l (N, 1, H, W) in [-1, 1] → ab (N, 2, H, W), both float32

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}  # of ONNX Runtime, the fastest first
LARGEST = 2 << 30  # bytes of an ONNX file, which its format cannot exceed
SIDES = range(16, 2049)  # pixels of what somebody else's model may see
KNOWN = (
    "ColourGAN's, as `export` writes them (l → ab), and DDColor's, as its export_onnx.py does "
    "(input (1, 3, height, width) → output (1, 2, height, width), of float)"
)


@dataclass(frozen=True)
class Network:
    """A trained model; several threads may call it at the same time.

    paint: what it makes of lightness.
    shape: height and width in pixels of what it sees, if that is always the same.
    device: where it computes.
    """

    paint: Paint
    shape: tuple[int, int] | None = None
    device: str = "cpu"

    def __call__(self, l: np.ndarray) -> np.ndarray:  # noqa: E741
        """See `Paint`; height and width are those of `shape`, if there is one."""
        return self.paint(l)


def load(path: Path, device: str | None = None) -> Network:
    """A colouriser for pictures of any tones: of training here, of any height and width; or somebody else's.

    Args:
        path: a .safetensors file that training wrote, or an .onnx file: that `export` wrote, or of DDColor.
        device: where it computes; see `pick`.

    Raises:
        PipelineError: there is no such file, it is not a model, or it is the judge or an encoder; or no such device.
    """
    there = pick(path, device)
    if path.suffix != ".onnx":
        return _load_safetensors(path, there)
    try:
        return _load_onnx(path, there)
    except _Unusable:
        network = _load_onnx(path, "cpu")  # which tells if it is no model
        if device is None:
            return network
        raise PipelineError(f"--device {device}: onnxruntime knows it, but cannot use it here, allowed: cpu") from None


class _Unusable(Exception):
    """A device that onnxruntime was built for, but whose libraries or driver are not there."""


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


def _load_safetensors(path: Path, device: str) -> Network:
    import torch

    from pipeline.model_files import saved
    from pipeline.networks.any_size import AnySize

    unet, about = saved.load(path, "colouriser")
    layout: dict[str, Any] = {"device": device, "memory_format": torch.channels_last}
    network = AnySize(unet).to(**layout)
    alone = Lock()  # what the encoder sees waits in the network itself until the decoder needs it

    @torch.inference_mode()
    def paint(l: np.ndarray) -> np.ndarray:  # noqa: E741
        with alone:
            return network(torch.from_numpy(l).to(device)).cpu().numpy()

    return _ours(paint, about, device)


def _load_onnx(path: Path, device: str) -> Network:
    content = _read(path)
    session = _start(content, path, device)
    try:
        about = session.get_modelmeta().custom_metadata_map
        given, _ = ([one.name for one in ones] for ones in (session.get_inputs(), session.get_outputs()))
    except UnicodeDecodeError:
        raise metadata.not_a_model(path, "names in it are no UTF-8") from None
    if metadata.KEY not in about and given != ["l"]:
        return _ddcolor(session, path, device)
    metadata.check_seal(content, path)
    about = metadata.decode(about, path, "colouriser")
    return _ours(lambda l: _run(session, {"l": l}, "ab", path), about, device)  # noqa: E741


def _ours(paint: Paint, about: dict[str, Any], device: str) -> Network:
    """A model of this project, which is shown the tones that it knows."""
    return Network(levels.shown(paint, levels.Tones(**about["tones"])), device=device)


def _ddcolor(session: "InferenceSession", path: Path, device: str) -> Network:
    """DDColor (Kang et al. 2023, github.com/piddnad/DDColor): of grey as sRGB in [0, 1], a* and b* in their own units.

    Raises:
        PipelineError: it has not the signature of what DDColor's export_onnx.py writes.
    """
    given, made = session.get_inputs(), session.get_outputs()
    found = [(one.name, one.type, len(one.shape), one.shape[1:2]) for one in (*given, *made)]
    shape = tuple(given[0].shape[2:]) if given else ()
    if (
        found != [("input", "tensor(float)", 4, [3]), ("output", "tensor(float)", 4, [2])]
        or any(one.shape[0] not in (1, None) and not isinstance(one.shape[0], str) for one in (*given, *made))
        or not all(isinstance(side, int) and side in SIDES for side in shape)
    ):
        said = " → ".join(", ".join(f"{one.name} {one.type} {one.shape}" for one in ones) for ones in (given, made))
        raise PipelineError(f"{path}: a model of an unknown kind ({said}); known are {KNOWN}")

    def paint(l: np.ndarray) -> np.ndarray:  # noqa: E741
        grey = l_to_grey(l).repeat(3, axis=1)
        painted = [_run(session, {"input": one[None]}, "output", path) for one in grey]
        return np.concatenate(painted) / np.float32(AB_SCALE)

    return Network(paint, shape, device)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise metadata.not_a_model(path, f"{path.stat().st_size / 1e9:.1f} GB, of which an ONNX file has 2")
        return path.read_bytes()
    except FileNotFoundError:
        raise metadata.no_such_model(path) from None
    except OSError as error:
        raise metadata.not_a_model(path, error.strerror) from None


def _start(content: bytes, path: Path, device: str) -> "InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is said once, by what is raised
    # Its threads would wait busily for the next picture, in the way of those that colour this one at full size.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Below what is no folder there is nothing, so weights that are to be read from other files are not found.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", f"{os.devnull}/none")
    providers = list(dict.fromkeys((PROVIDERS[device], PROVIDERS["cpu"])))
    try:
        session = onnxruntime.InferenceSession(content, options, providers, enable_fallback=0)
    except Exception as error:  # of a dozen kinds, which have no more than this in common
        if "External data" in str(error):
            raise PipelineError(
                f"{path}: its weights are in another file; save all in one, as by onnx.save(onnx.load(…), …) in Python"
            ) from None
        if device != "cpu":
            raise _Unusable from None
        if ran_out_of_memory(error):
            raise MemoryError from None
        raise metadata.not_a_model(path, error) from None
    if PROVIDERS[device] not in session.get_providers():  # it passes over those that it cannot load
        raise _Unusable
    return session


def _run(session: "InferenceSession", given: dict[str, np.ndarray], made: str, path: Path) -> np.ndarray:
    """What a model makes of pictures, (N, 2, H, W).

    Raises:
        PipelineError: it fails, or makes something else.
    """
    try:
        (ab,) = session.run([made], given)
    except Exception as error:
        raise PipelineError(f"{path}: the model fails ({' '.join(str(error).split())}); use another one") from error
    ((count, _, *sides),) = (value.shape for value in given.values())
    if ab.shape != (count, 2, *sides):
        raise PipelineError(
            f"{path}: the model makes {ab.shape} of {count} × {sides}, needed: (N, 2, H, W); use another"
        )
    return ab
