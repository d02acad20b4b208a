"""Files and folders of photographs: which there are, and what each holds."""

import io
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from pipeline.photographs import folders, formats, pages
from pipeline.photographs.folders import Found
from pipeline.photographs.pages import Photograph
from pipeline.system.errors import PipelineError, printable


def find(folder: Path) -> Found:
    """Pictures below a folder, sorted; links are followed. The rest is told on stderr.

    What is a picture, its content says, or else its suffix: what cannot be read has to fail by name, not to be missed.

    Raises:
        PipelineError: the folder cannot be opened.
    """
    files, left_out = folders.walk(folder)
    if left_out:
        print(f"{printable(folder)}: left out: {folders.listed(folder, left_out)}", file=sys.stderr)
    pictures = [path for path in files if formats.is_picture(path)]
    others = Counter(path.suffix.lower() or path.name for path in sorted(set(files).difference(pictures)))
    if others:
        listed = printable(", ".join(f"{count} {suffix}" for suffix, count in others.most_common(5)))
        print(f"{printable(folder)}: files of other kinds passed over: {listed}", file=sys.stderr)
    return Found(pictures, left_out)


# Of a PNG's texts and profile, as of all its texts together: one that is longer shall not cost the photograph.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY
END = b"\xff\xd9"  # of a JPEG; a decoder that comes to it too early makes grey what it misses


class Damaged(PipelineError):
    """A JPEG of which the end is missing."""


def read(
    given: Path | bytes, smallest: int | None = None, most: int | None = None, damaged: bool = False
) -> Photograph:
    """All that a file holds, understood.

    Args:
        given: the file, or what is in it.
        smallest: a side in pixels that is enough, of the first page alone that is no thumbnail; lets a JPEG decode at a
            fraction of its size, much faster.
        most: pixels of all pages together; by default as many as Pillow allows for one.
        damaged: whether a JPEG's end may be missing; what there was in it is grey.

    Raises:
        PipelineError: it is not a picture of a format that is read, or broken, or too large, or its pixels are not
            understood.
        OSError: the file cannot be read; see `reason`.
    """
    with io.BytesIO(given) if isinstance(given, bytes) else formats.open_file(given) as file:
        kind = formats.check(file, "" if isinstance(given, bytes) else given.suffix)
        most = most or (2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else sys.maxsize)
        try:
            return pages.read(file, kind, smallest, most)
        except UnidentifiedImageError:
            said = pages.variant(file, kind)
            raise PipelineError(f"{said}, broken or of a kind that is not read; {formats.SAVE}") from None
        except Image.DecompressionBombError:
            raise PipelineError(
                f"far too many pixels, of which {most / 1e6:.0f} million are allowed; give a smaller copy"
            ) from None
        except (PipelineError, MemoryError):
            raise
        except Exception as error:  # a broken file makes Pillow's readers stumble over just about anything
            if isinstance(error, OSError) and error.errno:
                raise
            if kind != "JPEG" or "truncated" not in str(error):
                raise PipelineError(f"a broken picture ({reason(error)}); give another copy of it") from None
        if not damaged:
            raise Damaged("its end is missing (truncated); give another copy of it")
        file.seek(0)
        ended = io.BytesIO(file.read() + END)
    photograph = pages.read(ended, kind, smallest, most)
    return photograph._replace(told=[*photograph.told, "its end is missing; what there was in it is grey"])


def reason(error: Exception) -> str:
    """Why a file could not be read or written, in one line, without its path."""
    if isinstance(error, UnidentifiedImageError):  # whose message is the path again
        return "not a picture"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "out of memory; give a smaller copy, or end other programs"
    page = "".join(f"{note}: " for note in getattr(error, "__notes__", ()))
    return page + (" ".join(str(error).split()) or type(error).__name__)


@contextmanager
def large_ones() -> Iterator[None]:
    """Photographs of 90 to 180 megapixels are read without a warning: a camera can. Larger ones stay an error.

    Nor does Pillow warn of broken metadata, in lines of its own: `read` tells what is left out. For the main thread:
    Python's warnings are the same for all threads.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        yield
