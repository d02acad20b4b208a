"""What a folder of pictures says of each by its subfolders: its class, and its split where the folder has its own."""

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence, Set
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

Parts = tuple[str, ...]


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
    may lie in a folder that holds all pictures, as archives have it, and in each class instead of around all classes,
    if each has pictures to train on. Their names may have the class in them.
    """
    parts = {path: path.relative_to(folder).parts for path in paths}
    common = Path(os.path.commonpath([path.parent for path in paths])).relative_to(folder).parts if paths else ()
    for depth in range(len(common) + 2):
        splits = _splits({_part(of_one, depth) for of_one in parts.values()})
        mine = {path: of_one for path, of_one in parts.items() if _part(of_one, depth) in splits}
        if splits and depth <= len(common):  # all pictures are in that folder: its subfolders are splits or classes
            inner = _within(mine, depth, splits)
            top = Path(folder, *common[:depth])
            return {path: Place(_kind(inner[path], top), splits[of_one[depth]]) for path, of_one in mine.items()}
        classes = {of_one[:depth] for of_one in parts.values() if len(of_one) > depth}
        if splits and classes == {of_one[:depth] for of_one in mine.values() if splits[of_one[depth]] == "train"}:
            return {
                path: Place(_kind(of_one[depth - 1 :], folder), splits[of_one[depth]]) for path, of_one in mine.items()
            }
    return {path: Place(_kind(of_one, folder), None) for path, of_one in parts.items()}


def unheeded(paths: Sequence[Path], folder: Path) -> list[str]:
    """Which subfolders of the first two levels are called like splits, in a folder that has none by `places`."""
    names = {part for path in paths for part in path.relative_to(folder).parts[:-1][:2]}
    return sorted(name for name in names if _meant(name) and _is_plain(name))


def _within(mine: Mapping[Path, Parts], depth: int, splits: Mapping[str, str]) -> dict[Path, Parts]:
    """What remains of the pictures' paths in their splits, which may name the class, or lie once more in themselves.

    As in cats_train, and in training_set/training_set, which is how many archives unpack.
    """
    bare = {name: _bare(name, splits[name]) for name in splits}
    kinds = bare if len(set(bare.values())) > 1 else {}
    rests = {path: of_one[depth + 1 :] for path, of_one in mine.items()}
    while True:
        inner = {path: _bare(_part(rest, 0), splits[mine[path][depth]]) for path, rest in rests.items()}
        again = all(inner[path] != _part(rest, 0) for path, rest in rests.items())
        if not again or len(set(inner.values())) > 1:
            break
        rests = {path: rest[1:] for path, rest in rests.items()}
    return {
        path: ((kinds[mine[path][depth]],) if kinds else ()) + ((inner[path], *rest[1:]) if inner[path] else rest)
        for path, rest in rests.items()
    }


def _bare(name: str, split: str) -> str:
    """A subfolder's name without the split that it names once more: cats of cats_train, nothing of training_set."""
    if _meant(name) != split:
        return name
    return "" if _is_plain(name) else WORD.sub("", name, count=1).strip(" _-").lower()


def _meant(name: str) -> str | None:
    """The split that a subfolder's name has in it; an ı for the i, which counts as one, has none."""
    match = WORD.search(name)
    return NAMES.get(match[1].lower()) if match else None


def _is_plain(name: str) -> bool:
    return bool(PLAIN.fullmatch(WORD.sub("*", name, count=1).removeprefix("*")))


def _splits(names: Set[str]) -> dict[str, str]:
    """The split for which each of the subfolders of a level stands; none, if they do not stand for splits.

    Args:
        names: of the subfolders; '' for pictures that are in none.
    """
    meant = {name: split for name in names if (split := _meant(name))}
    rests = {name: WORD.sub("*", name, count=1).lower() for name in meant}
    splits = {
        name: split
        for name, split in meant.items()
        if _is_plain(name)
        or {meant[other] for other in meant if rests[other] == rests[name]} > {"train"}  # as in cars_train, cars_test
    }
    found = set(splits.values())
    return splits if "train" in found and (len(splits) == len(names) or len(found) > 1) else {}


def _part(parts: Parts, depth: int) -> str:
    return parts[depth] if depth < len(parts) - 1 else ""


def _kind(parts: Parts, folder: Path) -> str:
    """The class by the first subfolder; pictures beside the subfolders form one named after the folder."""
    name = parts[0] if len(parts) > 1 else folder.resolve().name
    return printable(unicodedata.normalize("NFC", name))  # some systems write an ä as one character, others as two
