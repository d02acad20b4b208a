"""Which runs the study is made of: what params.yaml's section `study` means."""

import hashlib
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline import params
from pipeline.params import Params
from pipeline.system.errors import ParamsError

AXES = ("case", "images", "seed")  # what the study itself sets
RESERVED = {*AXES, "cases", "study"}  # what no setting may change


class Place(NamedTuple):
    """Where the study has a run; `order` is the same for all seeds."""

    part: str
    setting: str
    order: int


@dataclass
class Run:
    """A run of all stages: with what parameters, and for which parts of the study.

    overrides: what differs from params.yaml, by names as `unet.epochs`.
    params: all parameters.
    key: says which run it is, see `key`.
    """

    overrides: dict[str, Any]
    params: Params
    key: str
    places: list[Place] = field(default_factory=list)

    @property
    def name(self) -> str:
        """A name for people; what makes it one of its kind is the key."""
        case, images, seed = (self.overrides[axis] for axis in AXES)
        part, setting, _ = self.places[0]
        return re.sub(r"\W+", "-", f"{part}-{case}-{images}-{setting}-seed{seed}")


def runs(base: Params) -> list[Run]:
    """All runs of the study, none twice, in the order of params.yaml, the first seed of all parts first.

    Raises:
        ParamsError: a setting names a parameter that there is not, or a value that is not allowed.
    """
    found: dict[str, Run] = {}
    for seed in base.study.seeds:
        order = itertools.count()
        for name, part in base.study.parts.items():
            for setting, values in part.settings.items():
                where = f"params.yaml: study.parts.{name}.settings.{setting}"
                if taken := [value for value in values if value.partition(".")[0] in RESERVED]:
                    raise ParamsError(f"{where}: given {taken[0]}, allowed: all but {', '.join(sorted(RESERVED))}")
                for case in part.cases:
                    for images in part.images:
                        overrides = {"case": case, "images": images, "seed": seed, **values}
                        whole = override(base, overrides, where)
                        run = Run(overrides, whole, key(whole))
                        found.setdefault(run.key, run).places.append(Place(name, setting, next(order)))
    return list(found.values())


def override(base: Params, values: Mapping[str, Any], where: str) -> Params:
    """Parameters, some of which are changed and all checked again.

    Args:
        base: the others.
        values: by names as `unet.epochs`.
        where: begins the line of a ParamsError.
    """
    content = base.model_dump(mode="json")
    for name, value in values.items():
        *sections, last = name.split(".")
        place: Any = content
        for section in sections:
            place = place.get(section) if isinstance(place, dict) else None
        if not _is_section(place) or _is_section(place.get(last)):
            raise ParamsError(f"{where}: given {name}, allowed: names of parameters, such as unet.epochs")
        place[last] = value
    return params.check(content, where)


def _is_section(value: Any) -> bool:
    """Whether this has keys that are words; those that are sides of pictures belong to one parameter."""
    return isinstance(value, dict) and not all(name.isdecimal() for name in value)


def key(whole: Params) -> str:
    """The same for runs that must come to the same: of what decides a run, a digest, in 16 hexadecimal digits.

    A case counts for its data sets, not for its name, and of all data sets only those that the case uses.
    """
    return digest(decisive(whole))[:16]


def digest(content: Any) -> str:
    """Of what JSON can hold, the same for the same content: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def decisive(whole: Params) -> dict[str, Any]:
    """What decides a run: the parameters, but for the study's and for cases and data sets that are not its own.

    Of colourisers' numbers for several sides only those for the target's count; where there is no GAN, none of its; of
    an encoder that is not trained here, what its weights do not bring.
    """
    roles = whole.roles().model_dump(include={"target", "encoder"})
    content = whole.at(whole.side()).model_dump(mode="json", exclude={"case", "cases", "study", "datasets"})
    if not content["gan"]["epochs"]:
        content["gan"] = {"epochs": 0}
    encoder = content["pretrain"].pop("encoder")
    if roles["encoder"] == "none":
        content["pretrain"]["encoder"] = {"architecture": encoder["architecture"]}
    elif roles["encoder"] != "imagenet":
        content["pretrain"]["encoder"] = encoder
    datasets = {role: whole.datasets_of(role).model_dump(mode="json").get(name) for role, name in roles.items()}
    return {**roles, **content, "datasets": datasets}
