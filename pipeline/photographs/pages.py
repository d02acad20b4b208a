"""Pages of a document and frames of an animation: which of them are photographs, and each of these understood."""

from contextlib import ExitStack
from functools import partial
from typing import BinaryIO, NamedTuple

from PIL import Image

from pipeline.photographs import carried, heif, profiles, raw, samples, tags, tones
from pipeline.photographs.carried import Carried
from pipeline.photographs.formats import RAW
from pipeline.photographs.tags import Tag, Tags
from pipeline.photographs.tones import Seen
from pipeline.system.errors import PipelineError

SUBFILE, WIDTH, HEIGHT, BITS = 0x00FE, 0x0100, 0x0101, 0x0102
REDUCED, MASK = 1, 4  # bits of a TIFF page's NewSubfileType


class Photograph(NamedTuple):
    """What a file holds.

    pages: of a document or an animation; most files have one.
    carried: by each page, beside its pixels.
    told: what is not as in the file, a line each.
    """

    pages: list[Seen]
    carried: list[Carried]
    told: list[str]


def read(file: BinaryIO, kind: str, smallest: int | None, most: int) -> Photograph:
    """All photographs of a file. See `reading.read`."""
    if kind == RAW:
        return _developed(file, most)
    if kind == "HEIF":
        heif.register()
    file.seek(0)
    with ExitStack() as stack:
        picture = stack.enter_context(Image.open(file, formats=[kind]))
        directories = tags.pages(file) if kind == "TIFF" else []
        if smallest:  # the first, and no thumbnail
            first = next(filter(partial(_is_photograph, directories), range(len(directories))), picture.tell())
            places, told = [first], list[str]()
        else:
            places, told = _places(picture, directories)
        pixels = heif.count_pixels(file) if kind == "HEIF" else _count_pixels(picture, places, directories)
        _check_size(pixels, len(places), most)
        if smallest and kind == "JPEG":  # decoded at a fraction of its size
            picture.draft(None, (smallest, smallest))
        else:  # opened anew: counting its pages may have left something of the last
            stack.close()
            file.seek(0)
            picture = stack.enter_context(Image.open(file, formats=[kind]))
        profiles.note_tones(picture, file)
        pages, all_carried, left_out = _all(picture, places, directories)
    told += [line for line in left_out if line not in told]
    if not smallest:
        told += carried.unread(file, kind)
    return Photograph(pages, all_carried, [f"left out: {line}" for line in told])


def _all(
    picture: Image.Image, places: list[int], directories: list[Tags]
) -> tuple[list[Seen], list[Carried], list[str]]:
    """Some pages of a file, what each carries, and what is left out of them, each line once."""
    pages, all_carried, told = [], [], dict[str, None]()
    for number, place in enumerate(places, 1):
        try:
            seen, carries, left_out = _page(picture, place, directories[place] if directories else None)
        except Exception as error:
            if len(places) > 1:
                error.add_note(f"page {number}")
            raise
        if len(places) > 1 and picture.format not in ("TIFF", "HEIF"):  # whose pages are not shown one after the other
            carries = _timed(carries, picture)
        if seen.opaque is picture and number < len(places):  # which is going to be another page
            seen = seen._replace(opaque=picture.copy())
        pages.append(seen)
        all_carried.append(carries)
        told |= dict.fromkeys(left_out)
    return pages, all_carried, list(told)


def _developed(file: BinaryIO, most: int) -> Photograph:
    """The one photograph of a camera's raw data."""
    picture, turned = raw.develop(file, most)
    carries, told = carried.of_raw(file, picture.size, turned)
    return Photograph([Seen(picture, None)], [carries], [f"left out: {line}" for line in told])


def variant(file: BinaryIO, kind: str) -> str:
    """What a picture is that Pillow does not open, so far as that can be told."""
    try:
        bits = _number(tags.pages(file)[0], BITS)
    except (ValueError, LookupError):
        return kind
    return f"{kind} of {bits} bits" if bits else kind


def _page(picture: Image.Image, place: int, page: Tags | None) -> tuple[Seen, Carried, list[str]]:
    if place != picture.tell():
        if page:  # of a TIFF: Pillow would keep profile, resolution and palette of the page before
            picture.info.clear()
            picture.palette = None
        picture.seek(place)
    stored = samples.look(picture)
    carried.load(picture)  # a PNG may have texts behind its pixels
    broken = carried.heal(picture)
    seen = tones.understand(picture, stored)
    try:
        carries, left_out = carried.look(picture, page, seen.opaque.size)
    except Exception as error:  # a photograph is never lost for what it carries
        carries, left_out = Carried(), [f"all metadata ({error})"]
    return seen, carries, broken + left_out


def _timed(carries: Carried, picture: Image.Image) -> Carried:
    """What a frame carries, with how long it is shown."""
    duration, loop = (picture.info.get(name) for name in ("duration", "loop"))
    if not isinstance(loop, int):
        loop = int(picture.format != "AVIF")  # of which Pillow does not tell how often it is shown: for ever
    elif picture.format == "GIF" and loop:  # which says how often it is shown again
        loop = min(loop + 1, 0xFFFF)  # what WebP holds
    return carries._replace(duration=float(duration) if isinstance(duration, int | float) else 0.0, loop=loop)


def _places(picture: Image.Image, directories: list[Tags]) -> tuple[list[int], list[str]]:
    """Which of a file's pages are photographs, and what is left out."""
    count = getattr(picture, "n_frames", 1)
    if picture.format in ("JPEG", "MPO"):
        further = count > 1 or "mp" in picture.info
        return [0], ["what follows the photograph in its file: another view, a gain map or depths"] if further else []
    if directories:
        if count != len(directories):
            raise PipelineError("its pages contradict one another; save it anew")
        places = [*filter(partial(_is_photograph, directories), range(count))] or [0]
        left_out = count - len(places)
        return places, [f"pages that are thumbnails or masks: {left_out}"] if left_out else []
    hidden = int(bool(picture.info.get("default_image")) and count > 1)
    return list(range(hidden, count)), ["the picture for programs that show no animations"] if hidden else []


def _is_photograph(directories: list[Tags], place: int) -> bool:
    """Whether a page of a TIFF is neither a thumbnail nor a mask."""
    return not _number(directories[place], SUBFILE) & (REDUCED | MASK)


def _count_pixels(picture: Image.Image, places: list[int], directories: list[Tags]) -> int:
    if directories:
        return sum(_number(directories[place], WIDTH) * _number(directories[place], HEIGHT) for place in places)
    return picture.width * picture.height * len(places)


def _check_size(pixels: int, count: int, most: int) -> None:
    if pixels > most:
        pages = f" in {count} pages" if count > 1 else ""
        raise PipelineError(
            f"{pixels / 1e6:.0f} megapixels{pages}, of which {most / 1e6:.0f} million are allowed; give a smaller copy"
        )


def _number(page: Tags, number: int) -> int:
    tag = page.directory.get(number)
    return tag.number(page.order) if isinstance(tag, Tag) else 0
