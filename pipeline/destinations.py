"""Where the results of colouring go: the same names and folders, and never over a photograph or one another."""

from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.photographs import reading

# The formats that are kept, by suffix: what each is written as; every other becomes a PNG (BMP holds no metadata).
FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".png": "PNG",
    ".webp": "WEBP",
}
WITHOUT_ALPHA = {"JPEG"}


def plan(photos: Sequence[Path], out: Path, suffix: str | None = None) -> dict[Path, Path]:
    """What becomes of each photograph: its file → the file to write, with the same name and place below its folder.

    Args:
        photos: files and folders.
        out: the folder to write to. If it lies in one of the folders, what is in it is no photograph to colour.
        suffix: to put behind the names; by default .png, behind those alone whose format is not kept.

    Raises:
        PipelineError: there is no such photograph, a folder has none, one would be replaced, or two become one file.
    """
    targets: dict[Path, Path] = {}
    sources: dict[Path, Path] = {}
    for source, place in (found for photo in photos for found in _find(photo, out)):
        added = suffix or ("" if place.suffix.lower() in FORMATS else ".png")
        target = out / place.with_name(place.name + added)
        other = sources.setdefault(target, source)
        if not other.samefile(source):
            raise PipelineError(f"{source} and {other} would both become {target}; colour them into different folders")
        targets[other] = target
    for source, target in targets.items():
        if target.exists() and target.samefile(source):
            raise PipelineError(
                f"{source} would be replaced by its coloured self; give another folder than --out {out}"
            )
    return targets


def _find(photo: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Each picture, and its place below the folder that was given."""
    if not photo.is_dir():
        if not photo.exists():
            raise PipelineError(f"{photo}: no such photograph or folder; give one that exists")
        yield photo, Path(photo.name)
        return
    if out.exists() and out.samefile(photo):
        raise PipelineError(f"--out {out}: given the folder of the photographs; give another one, in it if you like")
    inside = photo.resolve() in out.resolve().parents
    found = [path for path in reading.find(photo) if not (inside and out.resolve() in path.resolve().parents)]
    if not found:
        raise PipelineError(f"{photo}: no pictures in this folder; give one with pictures, or a picture")
    yield from ((path, path.relative_to(photo)) for path in found)


def with_alpha(target: Path) -> Path:
    """Where a result with transparent parts goes: elsewhere, if the format of the target has none."""
    return target.with_name(target.name + ".png") if FORMATS[target.suffix.lower()] in WITHOUT_ALPHA else target


def is_done(target: Path, taken: Container[Path]) -> bool:
    """Whether the result is there, with or without alpha.

    Args:
        target: one of those planned.
        taken: all that are planned.
    """
    other = with_alpha(target)
    return target.exists() or (other not in taken and other.exists())
