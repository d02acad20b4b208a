"""A device that has what Apple's GPUs have, computed by the processor: no float64, and no `is_bf16_supported`.

Import it in a process of its own: from then on it is torch's accelerator there. A tensor on it lies in another memory,
so that one which was not brought there, or back, is an error as on a real device.
"""

from typing import Any

import torch
from torch.utils import _pytree as trees
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "apple"


class Module:
    """What `torch.mps` has."""

    def is_available(self) -> bool:
        return True

    is_initialized = is_available

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        pass  # random numbers are the processor's

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]

    def get_rng_state(self, device: Any = NAME) -> torch.Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: torch.Tensor, device: Any = NAME) -> None:
        torch.set_rng_state(state)


class There(torch.Tensor):
    """A tensor on the device; `memory` stands for what it has there."""

    @staticmethod
    def __new__(cls, memory: torch.Tensor) -> "There":
        layout = {"strides": memory.stride(), "storage_offset": memory.storage_offset(), "dtype": memory.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, memory.shape, device=DEVICE, **layout)

    def __init__(self, memory: torch.Tensor):
        self.memory = memory

    def __reduce_ex__(self, protocol: int) -> Any:
        """As it is saved, and loaded where `map_location` says, which is always the CPU here."""
        return self.memory.__reduce_ex__(protocol)

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        return compute(op, *arguments, **(options or {}))


def compute(op: Any, *arguments: Any, **options: Any) -> Any:
    """Have the processor compute what the device was asked for."""
    given = {}
    copies = op.name() in ("aten::_to_copy", "aten::copy_")
    back = copies and options.get("device", DEVICE).type == "cpu"

    def fetch(value: Any) -> Any:
        if isinstance(value, torch.device):
            return torch.device("cpu")
        if not isinstance(value, torch.Tensor):
            return value
        memory = value.memory if isinstance(value, There) else value
        if memory is value and value.dim() and not copies:
            raise RuntimeError(f"{op}: given a tensor that is not on the device")
        given[id(memory)] = value
        return memory

    def bring(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or back:
            return value
        if id(value) in given:
            return given[id(value)]
        if value.dtype == torch.float64:
            raise TypeError(f"{op}: Apple's GPUs have no float64")
        return There(value)

    arguments, options = trees.tree_map(fetch, (arguments, options))
    return trees.tree_map(bring, op(*arguments, **options))


def fill(content: torch.Tensor, new: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    """Fill a new tensor, as `torch.tensor` does without asking `There`."""
    new.memory.copy_(content)
    return new


_setup_privateuseone_for_python_backend(NAME, backend_module=Module())
DEVICE = torch.device(NAME, 0)
_libraries = [torch.library.Library(name, "IMPL") for name in ("_", "aten")]  # they count for as long as they are here
_libraries[0].fallback(compute, "PrivateUse1")
_libraries[1].impl("_copy_from", fill, "PrivateUse1")
torch.inference_mode = torch.no_grad  # of the other, torch's devices that are made in Python know too little
