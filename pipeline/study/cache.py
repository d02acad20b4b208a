"""What an experiment's stages wrote, out of DVC's cache, or of the files that are kept of it."""

import json
from functools import cache
from pathlib import Path

import pandas as pd
from safetensors import SafetensorError, safe_open

from pipeline.model_files import metadata
from pipeline.study.experiments import Experiment


@cache
def _folder() -> Path:
    """Where DVC keeps files by their MD5."""
    from dvc.repo import Repo

    with Repo() as repository:
        return Path(repository.cache.local.path)


def path(experiment: Experiment, name: str) -> Path | None:
    """The file that a stage wrote as `name`, for reading alone, or None if it is not there, or no longer."""
    if experiment.folder:
        found = experiment.folder / Path(name).name
        return found if found.is_file() else None
    digest = experiment.output(name)
    if not digest:
        return None
    found = _folder() / digest[:2] / digest[2:]
    return found if found.is_file() else None


def table(experiment: Experiment, name: str) -> pd.DataFrame | None:
    """A table that a stage wrote, or None if it is not there or holds nothing."""
    found = path(experiment, name)
    try:
        content = pd.read_csv(found) if found else None
    except (OSError, ValueError):
        return None
    return None if content is None or content.empty else content


def torch(experiment: Experiment) -> str | None:
    """The version of torch that trained the U-Net, as its file says, or None if that is not there."""
    if experiment.folder:
        return experiment.torch
    try:
        with safe_open(path(experiment, "models/unet.safetensors"), framework="numpy") as file:
            return json.loads(file.metadata()[metadata.KEY])["torch"]
    except (OSError, TypeError, KeyError, ValueError, SafetensorError):
        return None
