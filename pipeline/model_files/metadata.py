"""What the file of a model says about it: JSON, as a string, which any format of models can hold."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.levels import Tones
from pipeline.params import Architecture
from pipeline.system.errors import PipelineError

KEY = "colourgan"  # one for all: of several, safetensors makes another file each time, in another order
SEAL = b"\x72\x4a\x0a\x06sha256\x12\x40"  # what follows, 64 bytes, is ONNX's ModelProto.metadata_props["sha256"]


class About(BaseModel):
    """What every model's file says; there may be more."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    kind: str
    architecture: Architecture
    data: str  # what it was trained on
    seed: int
    torch: str  # the version that trained it


class Classifier(About):
    """What is needed to rebuild a classifier."""

    kind: Literal["classifier"]
    channels: Literal[1, 3]
    classes: int = Field(ge=1, le=100_000)


class Colouriser(About):
    """What is needed to train a colouriser on, and to tell where it comes from."""

    kind: Literal["colouriser"]
    encoder: str  # what its encoder was pretrained on
    unet: dict[str, Any]  # the parameters of its training
    dropout: float = Field(ge=0, lt=1)
    tones: Tones  # of the pictures that it was trained on


KINDS: dict[str, type[About]] = {"classifier": Classifier, "colouriser": Colouriser}


def encode(about: Mapping[str, Any]) -> dict[str, str]:
    """To strings; see `About`, the values of what is further said are whatever JSON can hold."""
    return {KEY: KINDS[about["kind"]].model_validate(about).model_dump_json()}


def decode(strings: Mapping[str, str], path: Path, kind: str) -> dict[str, Any]:
    """The inverse of `encode`.

    Args:
        strings: from the file.
        path: of the file, to name it.
        kind: what is wanted, classifier or colouriser.

    Raises:
        PipelineError: the model was not made here, or by a former version, or it is of another kind.
    """
    if KEY not in strings:
        raise not_a_model(path, "it says nothing about itself, or in the words of a former version")
    try:
        about = About.model_validate_json(strings[KEY])
        if about.kind != kind and about.kind in KINDS:
            raise PipelineError(f"{path}: given a model that is a {about.kind}, allowed: a {kind}; name another file")
        return KINDS[kind].model_validate_json(strings[KEY]).model_dump()
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "what it says about itself"
        raise not_a_model(path, f"{where}: {fault['msg'].removeprefix('Value error, ')}") from None


def seal(onnx: bytes) -> bytes:
    """An ONNX file with the SHA-256 of all its bytes behind them, as one more entry of its metadata."""
    return onnx + SEAL + hashlib.sha256(onnx).hexdigest().encode()


def is_sealed(onnx: bytes) -> bool:
    """Whether a file is as `export` wrote it."""
    end = len(onnx) - len(SEAL) - 64
    return end >= 0 and onnx == seal(onnx[:end])


def check_seal(onnx: bytes, path: Path) -> None:
    """The inverse of `seal`: nothing comes back, for any reader of ONNX takes the file as it is.

    Raises:
        PipelineError: the file is not as `export` wrote it.
    """
    if not is_sealed(onnx):
        raise not_a_model(path, "it is not as `export` wrote it")


def no_such_model(path: Path) -> PipelineError:
    """To be raised: there is no file."""
    return PipelineError(f"{path}: no such model; run `dvc repro`, or name a file that it wrote")


def not_a_model(path: Path, reason: object) -> PipelineError:
    """To be raised: the file is something else."""
    said = " ".join(str(reason).split())
    return PipelineError(f"{path}: not a model of this project ({said}); run `dvc repro` to make one")
