"""What a training run is: all that the bits of its result depend on."""

import ast
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from pipeline.system.files import sha256
from pipeline.training import processes
from pipeline.training.batches import default_device
from pipeline.training.precision import capabilities, fastest

PROJECT = Path(__file__).parents[2]
# The schema and the errors are everywhere and change no result.
EVERYWHERE = {Path("pipeline/params.py"), Path("pipeline/system/errors.py")}

LIBRARIES = "fastai", "numpy", "scipy", "timm", "torch", "torchvision"
SWITCHES = (  # by which users have libraries compute in another way
    "CUBLAS_WORKSPACE_CONFIG",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)


def describe(module: str, settings: Mapping[str, Any], inputs: Iterable[Path]) -> dict[str, Any]:
    """What tells a run from any other, by its name: settings, digests of files and modules, libraries and the machine.

    Where the project lies is no part of it.

    Args:
        module: of the stage, such as pipeline.train_unet.
        settings: whatever JSON can hold.
        inputs: files that the stage reads, relative to the project.
    """
    return {
        **dict(_flat(settings)),
        **{path.as_posix(): sha256(path) for path in inputs},
        **{path.as_posix(): sha256(PROJECT / path) for path in modules(module)},
        **{library: version(library) for library in LIBRARIES},
        **{name: os.environ[name] for name in SWITCHES if name in os.environ},
        **_machine(),
    }


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Where two runs differ, in words: the first three names, with the values if they are short."""
    names = [name for name in {**here, **there} if there.get(name) != here.get(name)]
    shown = [_compared(name, str(there.get(name)), str(here.get(name))) for name in names[:3]]
    return ", ".join((*shown, f"and {len(names) - 3} more") if len(names) > 3 else shown)


def _compared(name: str, there: str, here: str) -> str:
    return f"{name}: {there} there, {here} here" if len(there + here) < 50 else name


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _machine() -> dict[str, Any]:
    """How torch computes here, and on what."""
    device = default_device()
    get_name = getattr(torch.get_device_module(device), "get_device_name", None)  # not every kind of device has one
    count = torch.accelerator.device_count()
    return {
        "torch's build": torch.__config__.show(),
        "processes": processes.count(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        # How many cores there are does not matter, but for the threads.
        "processor": {name: value for name, value in capabilities().items() if not name.startswith("num_")},
        "device": device.type,
        "devices": [get_name(number) for number in range(count)] if get_name else count,
        "precision": [str(fastest(device)), torch.get_float32_matmul_precision()],
        "deterministic": [
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
        ],
    }


@cache
def modules(name: str) -> frozenset[Path]:
    """The project's modules without which one cannot be imported, with itself, relative to the project.

    Args:
        name: such as pipeline.train_unet.
    """
    found, open_ends = set(), _files({name})
    while open_ends:
        found |= open_ends
        open_ends = _files({name for end in open_ends for name in _imports(_parse(end))}) - found
    return frozenset(path for path in found - EVERYWHERE if _does_something(_parse(path)))


def _does_something(tree: ast.Module) -> bool:
    """Whether a module has more than a docstring."""
    return not all(isinstance(statement, ast.Expr) for statement in tree.body)


def _parse(path: Path) -> ast.Module:
    return ast.parse((PROJECT / path).read_text(encoding="utf-8"))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _files(names: Iterable[str]) -> set[Path]:
    """Of those names that are the project's modules, and of the packages that these bring in."""
    parts = [name.split(".") for name in names if name.partition(".")[0] == "pipeline"]
    paths = {Path(*name[:depth]) for name in parts for depth in range(1, len(name) + 1)}
    files = {file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py")}
    return {file for file in files if (PROJECT / file).is_file()}
