"""The stage download: the data set of one role of the case, as data/ROLE. What comes after does not know the case."""

from pathlib import Path
from typing import Literal

from pipeline.datasets import sources, store
from pipeline.params import Params


def run(role: Literal["target", "encoder"], params: Params) -> None:
    """Write data/ROLE and print one line about it.

    Raises:
        PipelineError: the data set cannot be had, or it is the target and has no colours.
        OSError: there is no room for it.
    """
    folder = Path("data") / role
    name, datasets = getattr(params.roles(), role), params.datasets_of(role)
    sources.prepare(name, datasets, folder, coloured=role == "target")  # an encoder learns from greys
    print(f"{folder}: {describe(folder)}")


def describe(folder: Path) -> str:
    """What data/ROLE holds, in a line."""
    about = store.read_about(folder)
    match about["name"]:
        case "none":
            return "none, the encoder starts from random weights"
        case "imagenet":
            return f"imagenet, weights of {about['architecture']}"
        case name:
            counts = [f"{len(store.read(folder, split).labels):,} {split}" for split in store.SPLITS]
            size, classes = about["size"], len(about["classes"])
            return f"{name}, {size}×{size}, {', '.join(counts)} pictures, {classes} classes"
