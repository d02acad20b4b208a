"""The process that opens what visitors send: one task at a time, until its parent ends it, or is gone.

`python -m pipeline.serving.worker` takes lines of JSON and answers each with one. The first has the models' paths, the
others are tasks: {"task": "paint", "file": …}. An answer holds strings alone, so that a reader of pictures that an evil
file took over has nothing to say to the parent but words.
"""

import json
import os
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, Self, TextIO

from PIL import Image, ImageOps

from pipeline.colouring import destinations
from pipeline.colourise import VERSION, Colouriser, paint_nothing
from pipeline.datasets import photos
from pipeline.model_files import inference
from pipeline.model_files.inference import Network
from pipeline.photographs import formats, reading, tones, writing
from pipeline.photographs.pages import Photograph
from pipeline.photographs.xmp import Made
from pipeline.system import environment
from pipeline.system.errors import PipelineError
from pipeline.system.files import sha256

MEGAPIXELS = 50  # of a photograph: what the cameras of phones make, and about 1 GB while it is coloured
SCANS = 30  # of a JPEG; a progressive one has about ten, and each is gone through at full size
MARKER = re.compile(
    rb"\xff+([^\x00\x01\xd0-\xd8\xff])", re.DOTALL
)  # before a segment; in a scan itself, 0 follows 0xff
SCAN, END_OF_IMAGE = b"\xda", b"\xd9"
PREVIEW = 1600  # pixels of the longer side of what the slider shows, at most
THUMBNAIL = 160


class _Unread(PipelineError):
    """A file of a kind that is not read here."""


class Model(NamedTuple):
    """A network, and the SHA-256 of its file."""

    network: Network
    digest: str

    @classmethod
    def load(cls, path: Path) -> Self:
        """See `inference.load`."""
        return cls(inference.load(path), sha256(path))


def main() -> None:
    """Answer one line after the other. What goes wrong with a picture is an answer, too."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    with suppress(OSError):  # Linux: should memory run out, this is the process to end
        Path("/proc/self/oom_score_adj").write_bytes(b"1000")
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    try:
        models = {name: Model.load(Path(path)) for name, path in json.loads(lines.get()).items()}
    except PipelineError as error:
        _say(answers, refusal=str(error))
        return
    except ImportError as error:  # torch, which .safetensors files need and the page does not
        _say(answers, refusal=environment.import_failure(error) or str(error))
        return
    _say(answers)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # readers of pictures complain there, in the words of the picture
    while True:
        _say(answers, **_answer(models, json.loads(lines.get())))


def _listen(lines: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)  # the parent is gone: nobody waits for what is being painted


def _say(answers: TextIO, **answer: Any) -> None:
    print(json.dumps(answer), file=answers, flush=True)


def _answer(models: Mapping[str, Model], task: dict[str, Any]) -> dict[str, Any]:
    try:
        return paint(models, **task) if task.pop("task") == "paint" else example(**task)
    except _Unread as error:
        return {"unread": str(error)}
    except PipelineError as error:
        return {"refusal": str(error)}
    except Exception as error:
        return {"fault": f"{type(error).__name__}: {error}"}


def paint(
    models: Mapping[str, Model], file: str, folder: str, model: str, size: int, strength: float = 1, shown: bool = True
) -> dict[str, str]:
    """Colour a photograph.

    Args:
        models: by name.
        file: the photograph.
        folder: where to write.
        model: the name of a network.
        size: pixels of the shorter side of what it sees.
        strength: what chroma is multiplied by.
        shown: whether there are to be small copies, in grey and in colour, for a page to show.

    Returns:
        The paths of what was written: result and, if they are to be there, grey and coloured; and what is told of that.

    Raises:
        PipelineError: it cannot be read, or not here.
    """
    kind, photograph = recognise(Path(file)), read(Path(file))
    network, digest = models[model]
    colouriser = Colouriser(network, size, strength)
    coloured = [colouriser.paint([page])[0] for page in photograph.pages]  # the network needs memory for one
    paths = _show(photograph.pages[0], coloured[0], Path(folder)) if shown else {}
    made = Made(source=sha256(Path(file)), models=(digest,), size=colouriser.size, version=VERSION, strength=strength)
    if network.shape and size != colouriser.size:
        photograph.told.append(f"seen at {network.shape[1]}×{network.shape[0]}, as this model sees all pictures")
    paths["result"], told = save(coloured, Path(folder), Path(file), kind, photograph, made)
    return {name: str(path) for name, path in paths.items()} | {"told": "; ".join(photograph.told + told)}


def example(name: str, folder: str) -> dict[str, str]:
    """Write a photograph that comes with an installed package, in grey, and a small copy of it; returns their paths."""
    picture = photos.load(name).convert("L")
    paths = {"file": str(Path(folder, f"{name}.png")), "thumbnail": str(Path(folder, f"{name}.webp"))}
    picture.save(paths["file"])
    ImageOps.fit(picture, (THUMBNAIL, THUMBNAIL)).save(paths["thumbnail"])
    return paths


def recognise(path: Path) -> str:
    """The format of an uploaded file, see `formats.check`.

    Raises:
        _Unread: it is none that is read here.
    """
    with formats.open_file(path) as file:
        try:
            return formats.check(file, path.suffix)
        except PipelineError as error:
            raise _Unread(str(error)) from None


def read(path: Path) -> Photograph:
    """An uploaded photograph.

    Raises:
        PipelineError: it has too many pixels or scans, or is no picture of a kind that is read here, or a broken one.
    """
    if (scans := count_scans(path)) > SCANS:
        raise PipelineError(
            f"a JPEG in {scans} scans or more, of which {SCANS} are allowed; save it as JPEG or PNG again"
        )
    try:
        return reading.read(path, most=MEGAPIXELS * 1_000_000)
    except OSError as error:
        raise PipelineError(f"cannot be read: {reading.reason(error)}; upload it again") from None


def count_scans(path: Path) -> int:
    """How many scans a JPEG has, as far as there are more than allowed; 0 of another file.

    Of the photograph alone: what follows it, such as a phone's film, and what it embeds are not decoded.
    """
    content = path.read_bytes()
    place, scans = 2 if content.startswith(b"\xff\xd8") else len(content), 0
    while scans <= SCANS and (found := MARKER.search(content, place)) and found[1] != END_OF_IMAGE:
        scans += found[1] == SCAN
        place = found.end() + int.from_bytes(content[found.end() : found.end() + 2])
    return scans


def save(
    coloured: Sequence[Image.Image], folder: Path, file: Path, kind: str, photograph: Photograph, made: Made
) -> tuple[Path, list[str]]:
    """Write a result, at full size.

    Args:
        coloured: its pages, of mode RGB or RGBA.
        folder: where to.
        file: what was uploaded; `photo.jpg` becomes `photo-coloured.jpg`.
        kind: its format, which the result has if the name tells none; see `formats.READ`.
        photograph: what that holds.
        made: what the result was made of.

    Returns:
        The file, and what was left out.
    """
    own = next((suffix for suffix, known in destinations.FORMATS.items() if known == kind), ".png")
    suffix = file.suffix if file.suffix.lower() in destinations.FORMATS else own
    target = folder / f"{file.stem}{destinations.COLOURED}{suffix}"
    planned = destinations.FORMATS[suffix.lower()]
    kind = writing.fit(planned, photograph)
    if kind != planned:
        target = destinations.elsewhere(target, kind)
    target.touch()
    return target, writing.save(coloured, target, kind, photograph.carried, made)


def _show(seen: tones.Seen, coloured: Image.Image, folder: Path) -> dict[str, Path]:
    """Write small copies of a photograph, in grey and in colour."""
    pictures = {
        "grey": Colouriser(paint_nothing)(_preview(seen)),
        "coloured": _preview(tones.understand(coloured)),
    }
    paths = {name: folder / f"{name}.webp" for name in pictures}
    for name, picture in pictures.items():
        picture.save(paths[name])
    return paths


def _preview(seen: tones.Seen) -> Image.Image:
    picture = tones.to_rgb(seen)
    picture.thumbnail((PREVIEW, PREVIEW), Image.Resampling.LANCZOS)
    return picture


if __name__ == "__main__":
    main()
