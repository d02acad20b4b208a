"""params.yaml as frozen, checked objects. It is read once a stage, whole, before anything is touched."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.errors import ParamsError

DatasetName = Literal["cifar10", "stl10", "photos32", "photos96", "folder"]
EncoderName = DatasetName | Literal["imagenet", "none"]
Architecture = Literal["resnet10", "resnet20", "resnet18", "resnet34"]

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A part of params.yaml: frozen, with no key but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_booleans(cls, value: Any) -> Any:
        # YAML reads `yes` and `on` as booleans, which Python would take for 1. No key here is a switch.
        if isinstance(value, bool):
            raise ValueError("a number or a word, no yes or no")
        return value


class Case(Section):
    """Which data set plays which role."""

    target: DatasetName
    encoder: EncoderName


class Archive(Section):
    """A file to fetch: the first URL that works, http, https, file or a path, checked against its checksum."""

    urls: Annotated[list[str], Field(min_length=1)]
    checksum: Annotated[str, Field(pattern="^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")]


class ImageNetWeights(Archive):
    """torchvision's weights for ImageNet, and the architecture they belong to."""

    architecture: Literal["resnet18", "resnet34"]


class Folder(Section):
    """Where a user's own pictures are, and the side in pixels they are brought to."""

    path: Path
    size: Annotated[int, Field(ge=16, le=1024)]


class Datasets(Section):
    """Where each data set comes from; what each one is stands in pipeline/datasets/__init__.py."""

    cifar10: Archive
    stl10: Archive
    imagenet: ImageNetWeights
    folder: Folder


class Classifier(Section):
    """One classifier's architecture and training."""

    architecture: Architecture
    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]  # batch normalisation needs two
    learning_rate: Rate
    weight_decay: Fraction


class Pretrain(Section):
    """The two classifiers: the encoder of the U-Net and the judge of the evaluation."""

    encoder: Classifier
    judge: Classifier


class UNet(Section):
    """Training of the U-Net with L1 alone."""

    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Rate
    weight_decay: Fraction


class GAN(Section):
    """Training of the U-Net against a PatchGAN."""

    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    l1_weight: Annotated[float, Field(ge=0)]
    generator_learning_rate: Rate
    discriminator_learning_rate: Rate
    beta1: Fraction
    ema: Fraction
    filters: Count
    downsamplings: Annotated[int, Field(ge=1, le=5)]


class Evaluate(Section):
    """What the evaluation computes and draws."""

    batch_size: Count
    resamples: Annotated[int, Field(ge=100)]
    grid: Annotated[int, Field(ge=1, le=64)]


class Params(Section):
    """The whole of params.yaml."""

    case: str
    cases: dict[str, Case]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    images: Count
    datasets: Datasets
    pretrain: Pretrain
    unet: UNet
    gan: GAN
    evaluate: Evaluate

    @field_validator("case", mode="before")
    @classmethod
    def _case_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value

    @field_validator("cases", mode="before")
    @classmethod
    def _case_names_as_text(cls, value: Any) -> Any:
        return {str(name): case for name, case in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _case_is_known(self) -> "Params":
        if self.case not in self.cases:
            raise ValueError(f"case: given {self.case!r}, allowed: {', '.join(self.cases)}")
        return self

    def roles(self) -> Case:
        """The data sets of the case that is set."""
        return self.cases[self.case]


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: the file is missing or no YAML, or a key or value is not allowed. One line, for the first fault.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParamsError(f"{path}: {error.strerror}; run from the project's top folder") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(f"{path}: {_one_line(error.errors()[0])}") from None


def _one_line(fault: dict[str, Any]) -> str:
    """What pydantic found, as `key: given …, allowed: …`."""
    location = [str(part) for part in fault["loc"] if not str(part).startswith("literal[")]
    key, given = ".".join(location) or "the whole file", f"given {fault['input']!r}"
    match fault["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key, allowed: {', '.join(_schema(location[:-1]).model_fields)}"
        case "missing":
            return f"{key}: missing, give it a value"
        case "value_error" if not location:
            return str(fault["ctx"]["error"])
        case "value_error":
            allowed = str(fault["ctx"]["error"])
        case "literal_error":
            allowed = ", ".join(_words(_schema(location)))
        case "string_pattern_mismatch":
            allowed = "md5: and 32, or sha256: and 64, hexadecimal digits"
        case "too_short":
            allowed = f"a list of {fault['ctx']['min_length']} or more"
        case "model_type":
            allowed = f"the keys {', '.join(_schema(location).model_fields)}"
        case "dict_type":
            allowed = "names, each with its keys"
        case "path_type":
            allowed = "a path"
        case _:
            allowed = fault["msg"].removeprefix("Input should be ")
            allowed = allowed.replace("a valid integer", "an integer").replace("a valid ", "a ")
    return f"{key}: {given}, allowed: {allowed}"


def _schema(location: list[str]) -> Any:
    """The type that the schema gives to a key, walked from the top."""
    annotation: Any = Params
    for part in location:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = annotation.model_fields[part].annotation
        else:
            annotation = get_args(annotation)[-1]  # dict[str, Case] → Case
    return annotation


def _words(annotation: Any) -> list[str]:
    """The words of a Literal, or of a union of Literals."""
    words: list[str] = []
    for argument in get_args(annotation):
        words += [argument] if isinstance(argument, str) else _words(argument)
    return words
