"""params.yaml as frozen, checked objects. It is read once a stage, whole, before anything is touched."""

import re
import reprlib
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from pipeline.system.errors import ParamsError

DatasetName = Literal["cifar10", "stl10", "imagenette", "photos32", "photos96", "folder"]
EncoderName = Literal[DatasetName, "imagenet", "none"]

CONTROL = {"Cc", "Cs", "Zl", "Zp"}  # categories of Unicode


def _printable(value: Any) -> Any:
    if isinstance(value, str) and (not value or any(unicodedata.category(letter) in CONTROL for letter in value)):
        raise ValueError("text without line breaks and other control characters")
    return value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value  # some programs print digests in capitals


def _side(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch("[1-9][0-9]{0,4}", value):  # 032 would be 32 once more
        raise ValueError("a side in pixels, such as 96")
    return value


def _unique(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("each once")
    return values


ONE, BY_SIDE = "for all sides", "by side"
Side = Annotated[int, BeforeValidator(_side)]


def _by_side(number: Any) -> Any:
    """The type of a number, or of several by the side of the pictures that each of them is for, see `Training`."""
    several = Annotated[dict[Side, number], Field(min_length=1), Tag(BY_SIDE)]
    kind = Discriminator(lambda given: BY_SIDE if isinstance(given, dict) else ONE)
    return Annotated[Annotated[number, Tag(ONE)] | several, kind]


def _one_of(*names: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in names and not re.fullmatch("timm/[a-z0-9_]+", value):
            raise ValueError(f"{', '.join(names)}, timm/NAME")
        return value

    return AfterValidator(check)


PUBLISHED = "resnet18", "resnet34"  # by torchvision
Published = Annotated[str, _one_of(*PUBLISHED)]
Architecture = Annotated[str, _one_of("vgg8", "resnet20", *PUBLISHED)]
Text = Annotated[str, BeforeValidator(_printable)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
if TYPE_CHECKING:  # what they are at one side
    Epochs = int
    EpochsOrNone = int
    BatchSize = int
    Rate = float
    RateOrNone = float
    FractionBySide = float
    ShareBySide = float
else:
    Epochs = _by_side(Annotated[int, Field(ge=1, le=100_000)])
    EpochsOrNone = _by_side(Annotated[int, Field(ge=0, le=100_000)])
    BatchSize = _by_side(Annotated[int, Field(ge=4, le=1_000_000)])  # `batches.fit_batch` makes none of fewer
    Rate = _by_side(Annotated[float, Field(gt=0, le=1)])
    RateOrNone = _by_side(Annotated[float, Field(ge=0, le=1)])
    FractionBySide = _by_side(Fraction)
    ShareBySide = _by_side(Annotated[float, Field(ge=0, le=1)])


class Section(BaseModel):
    """A part of params.yaml: frozen, with no key but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Training(Section):
    """A part about training: a number in it may be several, each for pictures from some side in pixels on."""

    def at(self, side: int) -> Self:
        """The same, with the numbers for pictures of this side; smaller ones than any have those of the smallest."""
        numbers = {
            name: value[max((start for start in value if start <= side), default=min(value))]
            for name, value in self
            if isinstance(value, dict)
        }
        return self.model_copy(update=numbers)


class Case(Section):
    """Which data set plays which role, and the side in pixels of the target's pictures, if it is not the data set's."""

    target: DatasetName
    encoder: EncoderName
    size: Annotated[int, Field(ge=16, le=1024)] | None = None


class Archive(Section):
    """A file to fetch: the first URL that works, http, https, hub, file or a path, checked against its checksum."""

    urls: Annotated[list[Text], Field(min_length=1)]
    checksum: Annotated[str, BeforeValidator(_lower), Field(pattern="^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")]


# In pixels; other data sets have a parameter for it. Published weights are trained, as a rule, on 224.
SIDES = {"cifar10": 32, "stl10": 96, "photos32": 32, "photos96": 96, "imagenet": 224}
LARGEST = {"imagenette": 160, "folder": 1024}  # which says at most that


class Imagenette(Archive):
    """Pictures of ten classes of ImageNet, and the side in pixels they are brought to."""

    size: Annotated[int, Field(ge=16, le=LARGEST["imagenette"])]


class ImageNetWeights(Archive):
    """Weights for ImageNet, the architecture they belong to, and what they expect to be done to RGB in [0, 1]."""

    architecture: Published
    mean: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=3, max_length=3)]
    deviation: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=3, max_length=3)]


class Folder(Section):
    """Where a user's own pictures are, and the side in pixels they are brought to."""

    path: Annotated[Path, BeforeValidator(_printable)]
    size: Annotated[int, Field(ge=16, le=LARGEST["folder"])]


class Datasets(Section):
    """Where each data set comes from; what each one is stands in pipeline/datasets/sources.py."""

    cifar10: Archive
    stl10: Archive
    imagenette: Imagenette
    imagenet: ImageNetWeights
    folder: Folder


class Classifier(Training):
    """One classifier's architecture and training."""

    architecture: Architecture
    epochs: Epochs
    batch_size: BatchSize
    learning_rate: Rate
    weight_decay: Fraction


class Encoder(Classifier):
    """That of the encoder, and how many training pictures, the first ones, it leaves out."""

    leave_out: Annotated[int, Field(ge=0, le=1_000_000_000)]


class Pretrain(Section):
    """The classifiers: the encoder of the U-Net, the features in the GAN's loss and the judge of the evaluation."""

    encoder: Encoder
    features: Classifier
    judge: Classifier


class UNet(Training):
    """Training of the U-Net with L1 alone."""

    epochs: Epochs
    batch_size: BatchSize
    learning_rate: Rate
    encoder_learning_rate: RateOrNone  # 0: frozen
    weight_decay: Fraction
    dropout: Fraction
    zoom: FractionBySide
    half_size: FractionBySide = 0.0  # runs that the study kept before there was such a thing do not say it


class GAN(Training):
    """Training of the U-Net against a PatchGAN; without epochs there is no GAN, at weight 0 no PatchGAN."""

    epochs: EpochsOrNone
    batch_size: BatchSize
    half_size: FractionBySide = 0.0  # as of the U-Net
    adversarial_weight: Annotated[float, Field(ge=0, le=1_000_000)]
    l1_weight: Annotated[float, Field(ge=0, le=1_000_000)]
    edge_weight: Annotated[float, Field(ge=0, le=1_000_000)]
    colourfulness_weight: Annotated[float, Field(ge=0, le=1_000_000)]
    frechet_weight: Annotated[float, Field(ge=0, le=1_000_000)]
    colourfulness: ShareBySide
    generator_learning_rate: Rate
    discriminator_learning_rate: Rate
    beta1: Fraction
    ema: Fraction
    filters: Annotated[int, Field(ge=1, le=4096)]
    downsamplings: Annotated[int, Field(ge=1, le=5)]


class Evaluate(Section):
    """What the evaluation computes and draws; figures by networks of others, whose weights it fetches, if asked for."""

    batch_size: Annotated[int, Field(ge=4, le=1_000_000)]
    resamples: Annotated[int, Field(ge=100, le=1_000_000)]
    grid: Annotated[int, Field(ge=1, le=64)]
    published: list[Literal["inception", "lpips"]]
    inception: Archive
    lpips: Archive


Seed = Annotated[int, Field(ge=0, lt=2**32)]
Images = Annotated[int, Field(ge=1, le=1_000_000_000)]


class Part(Section):
    """A part of the study: each of its cases with each number of pictures and each setting.

    A setting has a name and other parameters than params.yaml's, as `unet.epochs: 2`.
    """

    cases: Annotated[list[Text], Field(min_length=1), AfterValidator(_unique)]
    images: Annotated[list[Images], Field(min_length=1), AfterValidator(_unique)]
    settings: Annotated[dict[Text, dict[Text, Text | None]], Field(min_length=1)]


class Study(Section):
    """Which runs the study is made of: each seed of each part."""

    seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(_unique)]
    parts: dict[Text, Part]


class Params(Section):
    """The whole of params.yaml."""

    case: str
    cases: dict[Text, Case]
    seed: Seed
    images: Images
    datasets: Datasets
    pretrain: Pretrain
    unet: UNet
    gan: GAN
    evaluate: Evaluate
    study: Study

    @model_validator(mode="after")
    def _cases_are_known(self) -> "Params":
        if self.case not in self.cases:
            raise ValueError(f"case: given {self.case!r}, allowed: {', '.join(self.cases)}")
        for name, case in self.cases.items():
            largest = LARGEST.get(case.target)
            if case.size and (largest is None or case.size > largest):
                allowed = f"up to {largest}" if largest else f"none, for only {' and '.join(LARGEST)} have any side"
                raise ValueError(f"cases.{name}.size: given {case.size} for {case.target}, allowed: {allowed}")
        for name, part in self.study.parts.items():
            if unknown := [case for case in part.cases if case not in self.cases]:
                key = f"study.parts.{name}.cases"
                raise ValueError(f"{key}: given {unknown[0]!r}, allowed: {', '.join(self.cases)}")
        return self

    @model_validator(mode="after")
    def _none_or_all_are_left_out(self) -> "Params":
        left_out = self.pretrain.encoder.leave_out
        if 0 < left_out < self.images:
            allowed = f"0, or images, {self.images}, and more: what the colouriser trains on is left out whole"
            raise ValueError(f"pretrain.encoder.leave_out: given {left_out}, allowed: {allowed}")
        return self

    @model_validator(mode="after")
    def _the_judge_is_another(self) -> "Params":
        if self.pretrain.judge.architecture == self.pretrain.features.architecture:
            given = f"pretrain.judge.architecture: given {self.pretrain.judge.architecture!r}"
            raise ValueError(f"{given}, allowed: another than that of pretrain.features, which the GAN's loss asks")
        return self

    def roles(self) -> Case:
        """The data sets of the case that is set."""
        return self.cases[self.case]

    def datasets_of(self, role: str) -> Datasets:
        """The data sets as that role wants them: the target's pictures have the side that the case gives."""
        case = self.roles()
        if role == "encoder" or case.size is None:
            return self.datasets
        resized = getattr(self.datasets, case.target).model_copy(update={"size": case.size})
        return self.datasets.model_copy(update={case.target: resized})

    def side(self, role: str = "target") -> int:
        """Of the pictures that a role has, in pixels; an encoder of random weights has none."""
        name = getattr(self.roles(), role)
        return SIDES.get(name) or getattr(self.datasets_of(role), name).size

    def at(self, side: int) -> Self:
        """The same, with the colourisers' numbers for pictures of this side, see `Training`."""
        return self.model_copy(update={"unet": self.unet.at(side), "gan": self.gan.at(side)})


class _Loader(yaml.BaseLoader):
    """YAML in which each scalar is text, or null, and no key is there twice.

    What a text means is for the schema to say. YAML itself would make 90 of `1:30`, 8 of `010` and True of `yes`, and
    text of `1e-05`, which is what DVC writes for 0.00001.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for (key, _), name in zip(node.value, keys, strict=True):
            if not isinstance(name, str):
                raise yaml.MarkedYAMLError(problem="a key that is no word", problem_mark=key.start_mark)
            if name == "<<":
                raise yaml.MarkedYAMLError(
                    problem="<<, which is not read here: write its keys out", problem_mark=key.start_mark
                )
            if keys.count(name) > 1:
                raise yaml.MarkedYAMLError(problem=f"{name!r} is there twice", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


NULL = "tag:yaml.org,2002:null"
_Loader.add_implicit_resolver(NULL, re.compile("(~|null|)$"), ["~", "n", ""])
_Loader.add_constructor(NULL, lambda loader, node: None)


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: the file is missing or no YAML, or a key or value is not allowed. One line, for the first fault.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ParamsError(f"{path}: {error.strerror}; run from the project's top folder") from None
    return check(read(text, str(path)), str(path))


def read(text: bytes, path: str) -> Any:
    """What a YAML file holds, each scalar as text or None; raise what `load` raises, with this name of the file."""
    try:
        return yaml.load(text.decode("utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = "".join(letter if letter.isprintable() else " " for letter in str(error))
        raise ParamsError(f"{path}: not YAML: {' '.join(reason.split())}") from None
    except RecursionError:
        raise ParamsError(
            f"{path}: given lists or keys within each other a hundredfold, allowed: three levels"
        ) from None


def check(content: Any, where: str) -> Params:
    """Make parameters of what stands in a file; `where` begins the line of a ParamsError."""
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(f"{where}: {_one_line(error.errors()[0])}") from None


UNNAMED = ONE, BY_SIDE, "[key]"  # what pydantic says of a key that does not stand in the file
_short = reprlib.Repr()  # a value may be a whole file, or aliases of aliases
_short.maxlevel, _short.maxstring, _short.maxother = 2, 80, 80


def _one_line(fault: ErrorDetails) -> str:
    """What pydantic found, as `key: given …, allowed: …`."""
    location = [str(part) for part in fault["loc"] if part not in UNNAMED]
    key = ".".join(part if part.isprintable() else repr(part) for part in location) or "the whole file"
    given = f"given {_short.repr(fault['input'])}"
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
            allowed = ", ".join(get_args(_schema(location)))
        case "string_pattern_mismatch":
            allowed = "md5: and 32, or sha256: and 64, hexadecimal digits"
        case "too_short":
            numbers = "sides in pixels with a number each" if BY_SIDE in fault["loc"] else "names with keys"
            kind = numbers if fault["ctx"]["field_type"] == "Dictionary" else "a list"
            allowed = f"{kind}, {fault['ctx']['min_length']} or more"
        case "model_type":
            allowed = f"the keys {', '.join(_schema(location).model_fields)}"
        case "dict_type":
            allowed = "names, each with its keys"
        case "path_type":
            allowed = "a path"
        case _:
            allowed = fault["msg"].removeprefix("Input should be ").partition(", ")[0]
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
