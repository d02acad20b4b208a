"""What a folder of pictures says of each by its subfolders: its class, and its split where the folder has its own."""

import os
import re
import unicodedata
from collections.abc import Sequence, Set
from pathlib import Path
from typing import NamedTuple

from pipeline.system.errors import printable

NAMES = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation", "holdout"), "test"),
}
WORD = re.compile(rf"(?<![^\W\d_])({'|'.join(NAMES)})(?![^\W\d_])", re.IGNORECASE)  # with no letters around it
PLAIN = re.compile(r"([ _-]?(set|split|data|images|\d{4}))?", re.IGNORECASE)  # what may follow, as in training_set


class Place(NamedTuple):
    """What the subfolders say of a picture.

    kind: its class.
    split: train, validation or test; None if the folder has no splits of its own.
    """

    kind: str
    split: str | None


def places(paths: Sequence[Path], folder: Path) -> dict[Path, Place]:
    """The place of each picture below a folder; of a folder that has its own splits, only of those that are in one.

    Splits are subfolders with the names above: `train` and another one, or `train` alone and nothing beside it. They
    may lie in a folder that holds all pictures, as archives have it, and in each class instead of around all classes.
    """
    parts = {path: path.relative_to(folder).parts for path in paths}
    common = Path(os.path.commonpath([path.parent for path in paths])).relative_to(folder).parts if paths else ()
    for depth in range(len(common) + 2):
        around = depth <= len(common)  # all pictures are in that folder: its subfolders are splits or classes
        splits = _splits({_part(of_one, depth) for of_one in parts.values()}, whole=not around)
        if splits:
            top = common[:depth] if around else common
            return {
                path: Place(_kind(_without(of_one, depth)[len(top) :], Path(folder, *top)), splits[of_one[depth]])
                for path, of_one in parts.items()
                if _part(of_one, depth) in splits
            }
    return {path: Place(_kind(of_one, folder), None) for path, of_one in parts.items()}


def _splits(names: Set[str], whole: bool) -> dict[str, str]:
    """The split for which each of the subfolders of a level stands; none, if they do not stand for splits.

    Args:
        names: of the subfolders; '' for pictures that are in none.
        whole: whether only splits may be among them.
    """
    matches = {name: match for name in names if (match := WORD.search(name))}
    meant = {name: NAMES[match[1].lower()] for name, match in matches.items()}
    rests = {name: WORD.sub("*", name, count=1).lower() for name in matches}
    splits = {
        name: split
        for name, split in meant.items()
        if PLAIN.fullmatch(rests[name].removeprefix("*"))
        or {meant[other] for other in matches if rests[other] == rests[name]} > {"train"}  # as in cars_train, cars_test
    }
    found = set(splits.values())
    complete = len(splits) == len(names)
    return splits if "train" in found and (complete or (len(found) > 1 and not whole)) else {}


def _part(parts: tuple[str, ...], depth: int) -> str:
    return parts[depth] if depth < len(parts) - 1 else ""


def _without(parts: tuple[str, ...], depth: int) -> tuple[str, ...]:
    return parts[:depth] + parts[depth + 1 :]


def _kind(parts: tuple[str, ...], folder: Path) -> str:
    """The class by the first subfolder; pictures beside the subfolders form one named after the folder."""
    name = parts[0] if len(parts) > 1 else folder.resolve().name
    return printable(unicodedata.normalize("NFC", name))  # some systems write an ä as one character, others as two
