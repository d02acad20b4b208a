"""Two figures that papers report, by networks of others, which torchmetrics has: LPIPS, and Inception's features.

The weights are published files, which may be damaged or others than they are taken for.
"""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.colour import bytes_to_rgb
from pipeline.system.errors import PipelineError, ran_out_of_memory

SMALLEST = 64  # pixels: the side of the patches that LPIPS was made with, Zhang et al. 2018, section 2.1
AT_ONCE = 25  # pictures; Inception sees 299×299 pixels of each, whatever its size
BROKEN = (RuntimeError, LookupError, TypeError, AttributeError, ValueError, EOFError, pickle.UnpicklingError)

Compare = Callable[[Tensor, Tensor], Tensor]  # uint8 (N, H, W, 3), and the same pictures in their colours → (N,)
Look = Callable[[Tensor], Tensor]  # uint8 (N, H, W, 3) → features (N, F) float32


class Published(NamedTuple):
    """Networks of others, on the device there is; None are those that are not asked for."""

    lpips: Compare | None = None
    inception: Look | None = None


NONE = Published()


def require_inception() -> None:
    """Refuse, in one line, to go on without the package that has Inception's layers."""
    if find_spec("torch_fidelity") is None:
        raise PipelineError(
            "evaluate.published: given inception, which needs torch-fidelity; install it "
            "(python -m pip install -c constraints.txt -e '.[inception]'), or take inception out in params.yaml"
        )


def lpips(path: Path, side: int, device: torch.device) -> Compare:
    """LPIPS, version 0.1 on AlexNet: Zhang et al. 2018, 'The Unreasonable Effectiveness of Deep Features as a
    Perceptual Metric'. The weights that it gives AlexNet's layers come with torchmetrics.

    Args:
        path: torchvision's weights of AlexNet.
        side: of the pictures; those of less than `SMALLEST` are enlarged to it, bilinearly.
        device: where to compute.

    Raises:
        PipelineError: these are other weights.
    """
    from torchmetrics.functional.image.lpips import _NoTrainLpips  # the public class would download AlexNet by itself

    def compare(pictures: Tensor, real: Tensor) -> Tensor:
        return network(bytes_to_rgb(pictures), bytes_to_rgb(real), normalize=True).flatten()

    with _reading(path, "lpips", "AlexNet"):
        weights = torch.load(path, weights_only=True, map_location="cpu")
        network = _NoTrainLpips(net="alex", pnet_rand=True, resize=SMALLEST if side < SMALLEST else None)
        # Its layers are called slice1.0.weight and so on, those of torchvision features.0.weight.
        layers = {name: f"features.{name.partition('.')[2]}" for name in network.net.state_dict()}
        network.net.load_state_dict({name: weights[theirs] for name, theirs in layers.items()})
        _require_numbers(compare(*_examples()))
    network.to(device)
    return compare


def inception(path: Path, device: torch.device) -> Look:
    """The 2,048 features by which the Fréchet Inception distance is measured: Heusel et al. 2017.

    Pictures are brought to 299×299 as torchmetrics does, which differs a little from what TensorFlow did.

    Args:
        path: the weights of TensorFlow's Inception of 2015-12-05, as torch-fidelity or pytorch-fid have them.
        device: where to compute.

    Raises:
        PipelineError: these are other weights, or torch-fidelity is not installed.
    """
    require_inception()
    from torchmetrics.image.fid import NoTrainInceptionV3

    def look(pictures: Tensor) -> Tensor:
        return torch.cat([network(some.movedim(3, 1)) for some in pictures.split(AT_ONCE)])

    with _reading(path, "inception", "Inception"):
        torch.load(path, weights_only=True, map_location="cpu")  # torch-fidelity itself would run any program in it
        network = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(path))
        _require_numbers(look(_examples()[0]))
    network.to(device)
    return look


@contextmanager
def _reading(path: Path, name: str, architecture: str) -> Iterator[None]:
    try:
        with torch.no_grad():  # not inference_mode, whose weights lose what views need on their way to a GPU
            yield
    except BROKEN as error:
        if ran_out_of_memory(error):
            raise
        raise PipelineError(f"{path}: not weights of {architecture}; see evaluate.{name} in params.yaml") from None


def _examples() -> Tensor:
    """Two batches of a picture each, uint8 (2, 1, H, W, 3)."""
    return torch.arange(2 * SMALLEST**2 * 3).byte().view(2, 1, SMALLEST, SMALLEST, 3)


def _require_numbers(found: Tensor) -> None:
    if not found.isfinite().all():
        raise ValueError("what comes out are no numbers")
