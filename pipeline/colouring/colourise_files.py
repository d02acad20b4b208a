"""Photographs and folders of them, coloured into another folder; what is bad is named, and the rest goes on."""

import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import Image
from tqdm import tqdm

from pipeline.colouring import destinations
from pipeline.colouring.destinations import Plan
from pipeline.colourise import VERSION, Colouriser, compare
from pipeline.model_files.names import TRAINED, called, find_model
from pipeline.photographs import formats, reading, writing
from pipeline.photographs.pages import Photograph
from pipeline.photographs.tones import Seen
from pipeline.photographs.xmp import Made
from pipeline.system import stopping
from pipeline.system.errors import PipelineError, printable
from pipeline.system.files import UNFINISHED, sha256, write_all

THREADS = 2  # that read and write while torch computes; each holds a photograph or two in memory


class Painter(NamedTuple):
    """What makes results, and says of what: the photograph's digest is still to be put in; and what tells people so."""

    paint: Callable[[Seen], Image.Image]
    made: Made
    told: str = ""


class Job(NamedTuple):
    """A photograph on its way.

    target: the file to write.
    made: of what its result will be made.
    anew: another result is there.
    """

    target: Path
    made: Made
    anew: bool
    photograph: Photograph


class Written(NamedTuple):
    """A result, and whether there was another in its place."""

    target: Path
    anew: bool


@dataclass
class Tally:
    """How many photographs there are, and what became of them.

    written: results.
    left: those that were there already.
    """

    total: int = 0
    written: list[Written] = field(default_factory=list)
    left: list[Path] = field(default_factory=list)
    failed: int = 0

    def stopped(self) -> str:
        """How to go on after Ctrl-C."""
        done = f"; {len(self.written) + len(self.left)} of {self.total} photographs are done"
        where = done if self.total else " before the first photograph"
        return f"colourise: stopped{where}; run the same command again to go on"

    def summary(self, out: str, results: int, inside: int) -> str:
        """What was done, in a line; where it lies; and how many files were results already, or lie among them."""
        several, anew = len(self.written) != 1, sum(result.anew for result in self.written)
        parts = [f"written: {f'{len(self.written)} photographs in {out}' if several else self.written[0].target}"]
        if anew:
            parts.append(f"made anew: {anew}, by another model, size or strength, or of photographs that changed")
        if self.left:
            parts.append(f"left as they were: {len(self.left)} that {out} has already")
        if results:
            parts.append(f"passed over: {results} that are results; name one, not its folder, to have it coloured")
        if inside:
            parts.append(f"passed over: {inside} in {out} already, but no result{'s' * (inside != 1)}")
        return printable("; ".join(parts))


@dataclass(frozen=True)
class How:
    """How photographs are coloured.

    model: see `names.find_model`.
    size: pixels of the shorter side of what the network sees; see `Colouriser`.
    strength: what chroma is multiplied by.
    device: where the network computes; see `inference.pick`.
    compared: grey, U-Net, GAN and original side by side, in place of a coloured photograph.
    force: replace files that are no results.
    damaged: colour JPEGs whose end is missing, too.
    """

    model: str | None = None
    size: int | None = None
    strength: float = 1
    device: str | None = None
    compared: bool = False
    force: bool = False
    damaged: bool = False


def run(photos: Sequence[Path], out: Path | None, how: How) -> None:
    """Colour photographs, or draw what U-Net and GAN make of each.

    Args:
        photos: files, and folders, of which all pictures below are meant.
        out: the folder; if there is but one photograph, it may be the name of its result. See `destinations.plan`.
        how: how.

    Raises:
        PipelineError: something is wrong with the arguments, and nothing is written; or with some of the photographs,
            and the others are.
    """
    tally, began = Tally(), time.monotonic()
    with stopping.at_once(tally.stopped), reading.large_ones():
        plan = _plan(photos, out, how)
        painter = load_painter(how)
        for folder in sorted(plan.folders):
            destinations.make(folder)
            plan.failed.update(destinations.tell_apart(plan.targets, folder))
        colour_all(plan, painter, tally, how.force, how.damaged)
    places = ", ".join(str(folder) for folder in sorted(plan.folders))
    summary = tally.summary(places, len(plan.results), len(plan.inside))
    print(f"{summary}; in {time.monotonic() - began:.1f} s, {painter.told}")
    if tally.failed:
        raise PipelineError(f"{tally.failed} of {tally.total} failed, for the reasons above")


def _plan(photos: Sequence[Path], out: Path | None, how: How) -> Plan:
    """What becomes of each photograph."""
    if out and len(photos) == 1 and photos[0].is_file() and formats.SUFFIX.fullmatch(out.suffix) and not out.is_dir():
        destinations.check(out.parent)
        return destinations.plan_one(photos[0], out)
    if out:
        destinations.check(out)
    return destinations.plan(photos, out, ".compared.png" if how.compared else None)


def load_painter(how: How) -> Painter:
    """What makes results, by one model or, to compare them, by two.

    Raises:
        PipelineError: there is no such model, or one is named where two are compared.
    """
    if how.compared and how.model is not None:
        raise PipelineError(f"--compare shows U-Net and GAN, so --model {how.model} has no use; give one of the two")
    paths = [find_model(name) for name in (TRAINED if how.compared else (how.model,))]
    colourisers = [Colouriser.load(path, how.size, how.strength, how.device) for path in paths]
    size, shape = colourisers[0].size, colourisers[0].network.shape
    if shape and how.size not in (None, size):
        raise PipelineError(f"--size {how.size}: {paths[0]} sees all pictures at {shape[1]}×{shape[0]}; leave it out")
    models = tuple(map(sha256, paths))
    made = Made(source="", models=models, size=size, version=VERSION, compared=how.compared, strength=how.strength)
    told = f"on {colourisers[0].network.device}, by {' and '.join(map(called, paths))}"
    if how.compared:
        return Painter(lambda page: compare(page, *colourisers), made, told)
    return Painter(lambda page: colourisers[0].paint([page])[0], made, told)


def pipe(given: BinaryIO, taken: BinaryIO, how: How) -> None:
    """Colour the photograph that one stream has, into the other, as a PNG, or a TIFF if it has several pages.

    What was done, and what the result does not hold, is told on stderr.

    Raises:
        PipelineError: it is no photograph, or nobody would take the result.
    """
    if taken.isatty():
        raise PipelineError("standard output: given a terminal, needed a file or another program: … - > coloured.png")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=UNFINISHED) as folder, reading.large_ones():
        source, target = Path(folder) / "photograph", Path(folder) / "result"
        with source.open("wb") as file:
            shutil.copyfileobj(given, file)
        painter = load_painter(how)
        try:
            photograph = reading.read(source, damaged=how.damaged)
            pages = [painter.paint(page) for page in photograph.pages]
        except Exception as error:  # a broken file makes Pillow's readers stumble over just about anything
            raise PipelineError(f"standard input: {reading.reason(error)}") from None
        made = painter.made.model_copy(update={"source": sha256(source)})
        target.touch()
        told = writing.save(pages, target, writing.fit("PNG", photograph), photograph.carried, made)
        with target.open("rb") as file:
            shutil.copyfileobj(file, taken)
    taken.flush()
    for line in (*photograph.told, *told, f"coloured in {time.monotonic() - began:.1f} s, {painter.told}"):
        print(printable(line), file=sys.stderr)


def colour_all(plan: Plan, painter: Painter, tally: Tally, force: bool, damaged: bool = False) -> None:
    """Read, paint and write photographs, several at a time; each is written whole or not at all.

    Args:
        plan: where they go. Of those that fail the reason is told on stderr.
        painter: what makes the results.
        tally: counts what becomes of them.
        force: replace files that are no results.
        damaged: colour JPEGs whose end is missing, too.
    """
    tally.total = len(plan.targets.keys() | plan.failed.keys())
    todo = {source: target for source, target in plan.targets.items() if source not in plan.failed}
    Image.init()  # finds Pillow's formats, once and not in several threads
    taken, read = frozenset(map(destinations.simplified, plan.targets.values())), partial(reading.read, damaged=damaged)
    look = partial(_look, targets=plan.targets, taken=taken, made=painter.made, force=force, read=read)
    with ThreadPoolExecutor(THREADS) as pool, tqdm(desc="colouring", unit=" photographs", disable=None) as bar:
        bar.reset(tally.total)
        for source, reason in plan.failed.items():
            _fail(source, reason, tally, bar)
        painted = _paint_each(_ahead(pool, look, todo), painter.paint)
        for (source, *_), future in _ahead(pool, partial(_write, tally=tally), painted):
            try:
                for line in future.result():
                    _tell(source, line)
                bar.update()
            except Exception as error:  # a broken file makes Pillow's readers stumble over just about anything
                _fail(source, reading.reason(error), tally, bar)


def _fail(source: Path, reason: str, tally: Tally, bar: tqdm) -> None:
    tally.failed += 1
    _tell(source, reason)
    bar.update()


def _tell(source: Path, line: str) -> None:
    tqdm.write(printable(f"{source}: {line}"), file=sys.stderr)


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


def _look(
    source: Path,
    targets: Mapping[Path, Path],
    taken: frozenset[str],
    made: Made,
    force: bool,
    read: Callable[[Path], Photograph],
) -> Job | None:
    """What there is to do for a photograph; None if its result is there already.

    Raises:
        Exception: it cannot be read, or its result has no place.
    """
    # Taken first: should the photograph be changed meanwhile, its result is made anew the next time.
    made = made.model_copy(update={"source": sha256(source)})
    target = targets[source]
    planned = destinations.FORMATS[target.suffix.lower()]
    others = (destinations.elsewhere(target, kind) for kind in destinations.SUFFIXES if kind != planned)
    free = sorted(path for path in others if destinations.simplified(path) not in taken)
    there = {path: result for path in (target, *free) if (result := writing.made(path))}
    if made in there.values():
        return None
    try:
        photograph = read(source)
    except reading.Damaged as error:
        raise PipelineError(f"{error}, or have what is there coloured by --damaged") from None
    kind = writing.fit(planned, photograph)
    if kind != planned:
        target = destinations.elsewhere(target, kind)
        if destinations.simplified(target) in taken:  # on some systems A is a
            raise PipelineError(
                f"{planned} cannot hold its result, so it would become {target}, as another photograph does; "
                "rename one of them"
            )
    with _writing(target):
        if not destinations.is_free(target, force):
            raise PipelineError(f"{target} is there and no result of this command; move it away, or add --force")
    stale = [
        f"{path} stays beside {target.name}; it is of another photograph, or of this one before it changed"
        for path in there
        if path != target
    ]
    return Job(target, made, target in there, photograph._replace(told=[*photograph.told, *stale]))


def _paint_each(
    photographs: Iterable[tuple[Path, Future[Job | None]]], paint: Callable[[Seen], Image.Image]
) -> Iterator[tuple[Path, Job | Exception | None, list[Image.Image]]]:
    """Each photograph's file, what is to do or what went wrong, and the pages of its result."""
    for source, future in photographs:
        try:
            job = future.result()
            yield source, job, [paint(page) for page in job.photograph.pages] if job else []
        except Exception as error:
            yield source, error, []


def _write(painted: tuple[Path, Job | Exception | None, list[Image.Image]], tally: Tally) -> list[str]:
    """Write a result, if there is one, and count it; what it does not hold of the photograph, a line each."""
    source, job, pages = painted
    if isinstance(job, Exception):
        raise job
    if not job:
        tally.left.append(source)
        return []
    kind, told = destinations.FORMATS[job.target.suffix.lower()], [*job.photograph.told]
    save = partial(writing.save, pages, kind=kind, carried=job.photograph.carried, made=job.made)
    with _writing(job.target):
        write_all({job.target: lambda path: told.extend(save(path))})
    tally.written.append(Written(job.target, job.anew))
    return told


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Of what the system says, make something about the result."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename and Path(error.filename) in target.parents else ""
        raise PipelineError(f"{target} cannot be written: {reading.reason(error)}{where}") from None
