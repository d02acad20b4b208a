"""Lower precision where the device computes faster in it, as a context and as a fastai callback."""

from typing import Any

import torch
from fastai.callback.core import Callback


def fastest(device: torch.device | str) -> torch.dtype:
    """bfloat16 if the device has instructions for it, else float32; a processor without them would take longer.

    bfloat16 has float32's range, so losses need no scaling (Kalamkar et al. 2019, 'A Study of BFLOAT16 for Deep
    Learning Training'), and a device that is made for it does at least twice as many products in the same time.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        made_for_it = any(capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    else:
        supported = getattr(torch.get_device_module(kind), "is_bf16_supported", None)  # Apple's has no answer
        made_for_it = supported is not None and supported(including_emulation=False)
    return torch.bfloat16 if made_for_it else torch.float32


def capabilities() -> dict[str, Any]:
    """What the processor can do; nothing that is known of, if torch does not tell."""
    return getattr(torch.cpu, "get_capabilities", dict)()


def autocast(device: torch.device | str) -> torch.autocast:
    """A context in which convolutions and matrix products are computed in the `fastest` type of the device."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=fastest(device) == torch.bfloat16)


def exact_float32() -> None:
    """From now on compute convolutions of float32 as such; NVIDIA's GPUs round to TF32, of 10 bits, by default."""
    torch.backends.cudnn.allow_tf32 = False


class BFloat16(Callback):
    """Train, and validate, with the network's forward pass in bfloat16; weights, losses, optimiser are in float32."""

    order = 1000  # between entering and leaving, nothing but the network runs

    def before_batch(self) -> None:
        """Enter."""
        self.context = autocast(self.dls.device)
        self.context.__enter__()

    def after_pred(self) -> None:
        """Leave; what the network puts out goes on in float32."""
        self.context.__exit__(None, None, None)
        self.learn.pred = self.pred.float()
