"""Files and folders of photographs: which there are, and what each holds."""

import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from pipeline.errors import printable
from pipeline.photographs import carried, folders
from pipeline.photographs.carried import Carried
from pipeline.photographs.tones import Seen, understand


def find(folder: Path) -> list[Path]:
    """Files below a folder whose suffix is that of a picture, sorted; links are followed. The rest is told on stderr.

    Raises:
        PipelineError: the folder cannot be opened.
    """
    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    files, left_out = folders.walk(folder)
    if left_out:
        print(f"{printable(folder)}: left out: {folders.listed(folder, left_out)}", file=sys.stderr)
    others = Counter(path.suffix.lower() or path.name for path in files if path.suffix.lower() not in suffixes)
    if others:
        listed = printable(", ".join(f"{count} {suffix}" for suffix, count in others.most_common(5)))
        print(f"{printable(folder)}: files of other kinds passed over: {listed}", file=sys.stderr)
    return [path for path in files if path.suffix.lower() in suffixes]


class Photograph(NamedTuple):
    """What a file holds.

    pages: of a document of several pages, each of them; most files have one.
    carried: by each page, beside its pixels.
    """

    pages: list[Seen]
    carried: list[Carried]


def read(path: Path, smallest: int | None = None) -> Photograph:
    """The first picture of a file, understood.

    Args:
        path: the file.
        smallest: a side in pixels that is enough; lets a JPEG decode at a fraction of its size, much faster.

    Raises:
        Exception: whatever Pillow raises for a file that it cannot read, and for one too large to be honest; see
            `reason`. A broken file makes its readers stumble over just about anything.
    """
    with Image.open(path) as picture:
        if smallest:
            picture.draft(None, (smallest, smallest))
        picture.load()
        return Photograph([understand(picture)], [carried.look(picture)])


def reason(error: Exception) -> str:
    """Why a file could not be read or written, in one line, without its path."""
    if isinstance(error, UnidentifiedImageError):  # whose message is the path again
        return "not a picture"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def large_ones() -> Iterator[None]:
    """Photographs of 90 to 180 megapixels are read without a warning: a camera can. Larger ones stay an error.

    For the main thread: Python's warnings are the same for all threads.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield
