"""What the file of a model says about it: names and JSON values, as strings, which any format of models can hold."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError


def encode(about: Mapping[str, Any]) -> dict[str, str]:
    """To strings; the values are whatever JSON can hold."""
    return {name: json.dumps(value) for name, value in about.items()}


def decode(strings: Mapping[str, str], path: Path, kind: str) -> dict[str, Any]:
    """The inverse of `encode`.

    Args:
        strings: from the file.
        path: of the file, to name it.
        kind: what is wanted, classifier or colouriser.

    Raises:
        PipelineError: the model was not made here, or it is of another kind.
    """
    try:
        about = {name: json.loads(value) for name, value in strings.items()}
    except json.JSONDecodeError as error:
        raise not_a_model(path, error) from None
    if about.get("kind") != kind:
        given = f"that is a {about['kind']}" if "kind" in about else "of an unknown kind"
        raise PipelineError(f"{path}: given a model {given}, allowed: a {kind}; name another file")
    return about


def no_such_model(path: Path) -> PipelineError:
    """To be raised: there is no file."""
    return PipelineError(f"{path}: no such model; run `dvc repro`, or name a file that it wrote")


def not_a_model(path: Path, reason: object) -> PipelineError:
    """To be raised: the file is something else."""
    said = " ".join(str(reason).split())
    return PipelineError(f"{path}: not a model of this project ({said}); run `dvc repro` to make one")
