"""Where the results of colouring go: never over a photograph or one another."""

import os
import stat
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.photographs import folders, formats, reading, writing
from pipeline.system.errors import PipelineError
from pipeline.system.files import UNFINISHED

# The formats that are kept, by suffix: what each is written as; every other becomes a PNG (BMP holds no metadata).
FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".jif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".png", ".apng"), "PNG"),
    ".webp": "WEBP",
}
BROKEN = "a broken link"
COLOURED = "-coloured"  # how the name of a result ends that lies beside its photograph
SUFFIXES = {"PNG": ".png", "TIFF": ".tif"}  # of what holds alpha or frames, and of what holds pages


class Plan(NamedTuple):
    """What becomes of photographs.

    targets: the file of each → the file to write.
    failed: files that cannot be photographs → the reason.
    results: what is passed over, for it was coloured already.
    inside: what is passed over, for it lies where the results will.
    folders: in which all of it will lie.
    """

    targets: dict[Path, Path]
    failed: dict[Path, str]
    results: set[Path]
    inside: set[Path]
    folders: set[Path]


class Found(NamedTuple):
    """A photograph, by its place below the folder that was given, and the folder in which the result has that place."""

    place: Path
    source: Path
    out: Path


def check(out: Path) -> None:
    """See that a name may be that of a folder for results.

    Raises:
        PipelineError: it is a file, in a file, called like a picture, or a broken link.
    """
    with suppress(OSError):  # such as for a name that is too long, of which `make` will tell
        if out.is_symlink() and not out.exists():
            raise PipelineError(f"--out {out}: given a broken link; give a folder")
    there = next((path for path in (out, *out.parents) if _identity(path)), out)
    if there.is_file():
        raise PipelineError(f"--out {out}: given {there}, which is a file; give a folder")
    if there != out and formats.is_called_so(out):
        raise PipelineError(f"--out {out}: given the name of a picture, allowed: a folder, new or there already")


def plan(photos: Sequence[Path], out: Path | None, suffix: str | None = None) -> Plan:
    """What becomes of each photograph: the same name, and the same place below its folder.

    Without a folder to write to, photo.jpg becomes photo-coloured.jpg beside it, or with the suffix .compared.png
    photo.jpg.compared.png, and the folder photos photos-coloured.

    A photograph that is given several times, by its folder, a folder in it or its own name, in whatever order, has the
    place below the outermost folder.

    Args:
        photos: files and folders.
        out: the folder to write to, if there is one. If it lies in one of the folders, what is in it is no photograph
            to colour.
        suffix: to put behind the names; by default .png, behind those alone whose format is not kept.

    Raises:
        PipelineError: there is no such photograph, a folder has none, one would be replaced, or two become one file.
    """
    planned = Plan({}, {}, set(), set(), {out} if out else set())
    found, sources = defaultdict[Path, list[Found]](list), dict[Path, Path]()
    for photo in photos:
        for one in _find(photo, out, planned):
            found[_entry(one.source)].append(one)
    planned.results.difference_update(found)
    planned.inside.difference_update(found)
    for one in sorted(max(places, key=lambda one: (len(one.place.parts), one)) for places in found.values()):
        place, source = one.place, one.source
        added = suffix or ("" if place.suffix.lower() in FORMATS else ".png")
        beside = COLOURED if one.out == source.parent and out is None and not suffix else ""
        target = one.out / place.with_name(f"{place.stem}{beside}{place.suffix}{added}")
        planned.folders.add(one.out)
        other = sources.setdefault(target, source)
        if other == source:
            planned.targets[source] = target
        elif not _same(other, source):
            raise PipelineError(f"{other} and {source} would both become {target}; colour them into different folders")
    _spare(planned.targets)
    return planned


def plan_one(photo: Path, target: Path) -> Plan:
    """That one photograph becomes a file of this name.

    Raises:
        PipelineError: there is no such photograph, it is a folder or what is to be replaced, or the name is not that of
            a picture that can be written.
    """
    if target.suffix.lower() not in FORMATS:
        raise PipelineError(f"--out {target}: given {target.suffix or 'no suffix'}, allowed: {', '.join(FORMATS)}")
    planned = Plan({}, {}, set(), set(), {target.parent})
    for one in _find(photo, target.parent, planned):
        planned.targets[one.source] = target
    _spare(planned.targets)
    return planned


def _spare(targets: Mapping[Path, Path]) -> None:
    """See that no photograph would be replaced, be it by its own result.

    Raises:
        PipelineError: one would.
    """
    sources = {_identity(source): source for source in targets}
    for target in targets.values():
        if (identity := _identity(target)) and identity in sources:
            raise PipelineError(
                f"{sources[identity]} would be replaced by {target}; give another folder than that of the photographs"
            )


def _find(photo: Path, out: Path | None, planned: Plan) -> Iterator[Found]:
    """Each picture, and its place below the folder that was given; what is none is added to the plan.

    Raises:
        PipelineError: see `plan`.
    """
    try:
        mode = photo.stat().st_mode
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not photo.is_symlink():
            raise PipelineError(f"{photo}: no such photograph or folder; give one that exists") from None
        planned.failed[photo] = BROKEN if isinstance(error, FileNotFoundError) else str(error.strerror)
        return
    if stat.S_ISREG(mode):
        yield Found(Path(photo.name), photo, out or photo.parent)
        return
    if not stat.S_ISDIR(mode):
        planned.failed[photo] = "neither a file nor a folder"
        return
    out = out or _beside(photo)
    if _same(out, photo):
        raise PipelineError(f"--out {out}: given the folder of the photographs; give another one, in it if you like")
    (pictures, left_out), results = reading.find(photo), _real(out)
    inside = _real(photo) in results.parents
    planned.failed.update((path, "may not be opened") for path in left_out.get(folders.LOCKED, ()))
    planned.failed.update((path, BROKEN) for path in left_out.get(folders.BROKEN, ()) if formats.is_called_so(path))
    if not pictures:
        raise PipelineError(f"{photo}: no pictures in this folder; give one with pictures, or a picture")
    for path in pictures:
        if writing.made(path):
            planned.results.add(_entry(path))
        elif inside and results in _entry(path).parents:
            planned.inside.add(_entry(path))
        else:
            yield Found(path.relative_to(photo), path, out)


def _real(path: Path) -> Path:
    """A path without links, which may lead in a circle."""
    return Path(os.path.realpath(path))


def _beside(folder: Path) -> Path:
    """The folder for the results of all that is in a folder."""
    named = folder if folder.name not in ("", "..") else _real(folder)
    if not named.name:
        raise PipelineError(f"{folder}: the folder of all folders has none beside it; say by --out where to write")
    return named.with_name(named.name + COLOURED)


def _entry(path: Path) -> Path:
    """A file by the real name of its folder, of which a name is given in whatever way; a link to a file is another."""
    return _real(path.parent) / path.name


def _identity(path: Path) -> tuple[int, int] | None:
    """What is the same for all names of a file; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _same(one: Path, other: Path) -> bool:
    return _identity(one) == _identity(other) is not None


def elsewhere(target: Path, kind: str) -> Path:
    """Where a result goes that the format of its target does not hold, but another one does."""
    return target.with_name(target.name + SUFFIXES[kind])


def make(out: Path) -> None:
    """Make the folder for results, unless it is there.

    Raises:
        PipelineError: it cannot be made, or nothing can be written there.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise PipelineError(f"--out {out}: {error.strerror}; give a folder that can be written") from None


def tell_apart(targets: Mapping[Path, Path], out: Path) -> dict[Path, str]:
    """Photographs that would become one file in a folder, where its file system takes two names for the same.

    Many do not tell A from a, é from e with an accent, or a name from that with a dot behind.

    Returns:
        All but the first of them → the reason.
    """
    alike = defaultdict(list)
    for source, target in targets.items():
        if out in target.parents:
            alike[simplified(target)].append(source)
    suspects = [sources for sources in alike.values() if len(sources) > 1]
    failed: dict[Path, str] = {}
    if not suspects:
        return failed
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=out) as folder:
        for sources in suspects:
            tried: dict[Path, Path] = {}
            for source in sources:
                place = Path(folder) / targets[source].relative_to(out)
                other = next((before for before, there in tried.items() if _same(place, there)), None)
                if other:
                    failed[source] = f"would become {targets[source]}, which is no other file here than that of {other}"
                    continue
                with suppress(OSError):  # what cannot be written will be told when it is
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.touch()
                tried[source] = place
    return failed


def simplified(target: Path) -> str:
    """A name that is the same for all names that any file system takes for one, and at times for others."""
    parts = (unicodedata.normalize("NFKD", part).casefold().rstrip(". ") for part in target.parts)
    return "/".join(unicodedata.normalize("NFKD", part) for part in parts)


def is_free(target: Path, force: bool) -> bool:
    """Whether a result may be written there: nothing is there, or a result, or, by force, any other file."""
    return (
        not (target.exists() or target.is_symlink())
        or writing.made(target) is not None
        or (force and not target.is_dir())
    )
