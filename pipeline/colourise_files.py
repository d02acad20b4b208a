"""Photographs and folders of them, coloured into another folder; what is bad is named, and the rest goes on."""

import sys
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from pipeline import destinations
from pipeline.colourise import SIZE, Colouriser, compare
from pipeline.errors import PipelineError
from pipeline.files import write_all
from pipeline.photographs import reading, writing
from pipeline.photographs.carried import Carried
from pipeline.photographs.reading import Photograph
from pipeline.photographs.tones import Seen

MODELS = {name: Path(f"models/{name}.safetensors") for name in ("unet", "gan")}
THREADS = 2  # that read and write while torch computes; each holds a photograph or two in memory

Paint = Callable[[Seen], Image.Image]


def run(photos: Sequence[Path], out: Path, model: str | None, size: int | None, compared: bool) -> None:
    """Colour photographs into a folder, or draw what U-Net and GAN make of each.

    Args:
        photos: files, and folders, of which all pictures below are meant.
        out: the folder.
        model: unet, gan or the path of a model; by default unet.
        size: pixels of the shorter side of what the network sees.
        compared: grey, U-Net, GAN and original side by side, in place of a coloured photograph.

    Raises:
        PipelineError: something is wrong with the arguments, and nothing is written; or with some of the photographs,
            and the others are.
    """
    targets = destinations.plan(photos, out, ".compared.png" if compared else None)
    paint = _painter(model, size or SIZE, compared)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PipelineError(f"--out {out}: {error.strerror}; give a folder that can be written") from None
    taken = frozenset(targets.values())
    todo = {source: target for source, target in targets.items() if not destinations.is_done(target, taken)}
    written, failed = colour_all(todo, taken, paint)
    print(_summary(written, len(targets) - len(todo), out))
    if failed:
        raise PipelineError(f"{failed} of {len(targets)} failed, for the reasons above")


def _painter(model: str | None, size: int, compared: bool) -> Paint:
    if not compared:
        colouriser = Colouriser.load(find_model(model or "unet"), size)
        return lambda page: colouriser.paint([page])[0]
    if model:
        raise PipelineError(f"--compare shows U-Net and GAN, so --model {model} has no use; give one of the two")
    unet, gan = (Colouriser.load(find_model(name), size) for name in MODELS)
    return partial(compare, unet=unet, gan=gan)


def find_model(name: str) -> Path:
    """The file of a model, by its name or path.

    Raises:
        PipelineError: there is none.
    """
    path = MODELS.get(name, Path(name))
    if path.exists():
        return path
    allowed = "run `dvc repro` to train it" if name in MODELS else f"give {', '.join(MODELS)} or the path of a model"
    raise PipelineError(f"--model {name}: there is no {path}; {allowed}")


def colour_all(targets: Mapping[Path, Path], taken: Container[Path], paint: Paint) -> tuple[list[Path], int]:
    """Read, paint and write photographs, several at a time; each is written whole or not at all.

    Args:
        targets: file → file to write, both of which are known to differ.
        taken: all files that are planned, those that are there already, too.
        paint: a page of a photograph → what it becomes.

    Returns:
        The files that were written, and how many photographs failed; the reason of each is on stderr.
    """
    written: list[Path] = []
    Image.init()  # finds Pillow's formats, once and not in several threads
    with reading.large_ones(), ThreadPoolExecutor(THREADS) as pool:
        painted = _paint_each(_ahead(pool, reading.read, targets), paint)
        with tqdm(total=len(targets), desc="colouring", unit=" photographs", disable=None) as bar:
            for (source, *_), future in _ahead(pool, partial(_write, targets=targets, taken=taken), painted):
                try:
                    written.append(future.result())
                except Exception as error:  # a broken file makes Pillow's readers stumble over just about anything
                    tqdm.write(f"{source}: {reading.reason(error)}", file=sys.stderr)
                bar.update()
    return written, len(targets) - len(written)


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: Iterable[Any]
) -> Iterator[tuple[Any, Future[Any]]]:
    """Items in their order, each with the work on it, which is begun a few items ahead but no more, to save memory."""
    begun: deque[tuple[Any, Future[Any]]] = deque()
    for item in items:
        begun.append((item, pool.submit(work, item)))
        if len(begun) > THREADS:
            yield begun.popleft()
    yield from begun


def _paint_each(
    photographs: Iterable[tuple[Path, Future[Photograph]]], paint: Paint
) -> Iterator[tuple[Path, Image.Image | Exception, list[Carried]]]:
    """Each photograph's file, the result or what went wrong, and what it carries."""
    for source, future in photographs:
        try:
            photograph = future.result()
            yield source, paint(photograph.pages[0]), photograph.carried
        except Exception as error:
            yield source, error, []


def _write(
    painted: tuple[Path, Image.Image | Exception, list[Carried]], targets: Mapping[Path, Path], taken: Container[Path]
) -> Path:
    source, result, carried = painted
    if isinstance(result, Exception):
        raise result
    target = destinations.with_alpha(targets[source]) if result.mode == "RGBA" else targets[source]
    if target != targets[source] and target in taken:
        raise PipelineError(f"transparent, so it would become {target}, as another photograph does; rename one of them")
    kind = destinations.FORMATS[target.suffix.lower()]
    write_all({target: lambda path: writing.save([result], path, kind, carried)})
    return target


def _summary(written: Sequence[Path], skipped: int, out: Path) -> str:
    said = str(written[0]) if len(written) == 1 else f"{len(written)} photographs in {out}"
    there = f"; left as they were: {skipped} that {out} has already; delete them to have them anew" if skipped else ""
    return f"written: {said}{there}"
