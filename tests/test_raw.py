import struct
import sys

import numpy as np
import pytest
from PIL import Image

from pipeline.colouring import colourise_files
from pipeline.photographs import formats, reading, tags
from pipeline.photographs.tags import ASCII, BYTE, EXIF, GPS, LONG, RATIONAL, SHORT, Tag
from tests.hostile import change_bytes, refusal
from tests.test_carried import PACKET, exif

SIGNED_RATIONAL = 10
OUTDOORS = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)  # from XYZ to linear sRGB


def dng(mosaic=None, orientation=1, sides=None, **more):
    """A camera's raw data as a DNG: pixels (H, W) of 16 bits behind red, green and blue filters.

    sides: that it claims.
    more: tags by number, as `t271=Tag(…)`; None for one that is not there.
    """
    mosaic = ramp() if mosaic is None else mosaic
    pixels, (height, width) = mosaic.astype("<u2").tobytes(), sides or mosaic.shape

    def numbers(kind, *values):
        code = {BYTE: "B", SHORT: "H", LONG: "I"}.get(kind)
        if code:
            return Tag(kind, struct.pack(f"<{len(values)}{code}", *values))
        return Tag(kind, b"".join(struct.pack("<iI", round(value * 10_000), 10_000) for value in values))

    directory = {
        254: numbers(LONG, 0),
        256: numbers(LONG, width),
        257: numbers(LONG, height),
        258: numbers(SHORT, 16),
        259: numbers(SHORT, 1),
        262: numbers(SHORT, 32803),
        271: tags.text("a camera"),
        272: tags.text("a model"),
        273: numbers(LONG, 8),
        274: numbers(SHORT, orientation),
        277: numbers(SHORT, 1),
        278: numbers(LONG, height),
        279: numbers(LONG, len(pixels)),
        33421: numbers(SHORT, 2, 2),
        33422: numbers(BYTE, 0, 1, 1, 2),
        50706: numbers(BYTE, 1, 4, 0, 0),
        50708: tags.text("a camera, a model"),
        50717: numbers(LONG, 65535),
        50721: numbers(SIGNED_RATIONAL, *OUTDOORS),
        50728: numbers(RATIONAL, 1, 1, 1),
        50778: numbers(SHORT, 21),
    } | {int(name[1:]): tag for name, tag in more.items()}
    directory = {number: tag for number, tag in directory.items() if tag}
    return b"II" + struct.pack("<HI", 42, 8 + len(pixels)) + pixels + directory_at(8 + len(pixels), directory)


def directory_at(place, directory):
    """A directory of a TIFF file as it stands at a place, with those in it behind it."""
    head, behind = struct.pack("<H", len(directory)), b""
    start = place + 2 + 12 * len(directory) + 4
    for number, tag in sorted(directory.items()):
        if isinstance(tag, dict):
            kind, count, data = LONG, 1, struct.pack("<I", start + len(behind))
            behind += directory_at(start + len(behind), tag)
        else:
            kind, count, data = tag.kind, len(tag.data) // tags.SIZES[tag.kind], tag.data
            if len(data) > 4:
                behind, data = behind + data + bytes(len(data) % 2), struct.pack("<I", start + len(behind))
        head += struct.pack("<HHI", number, kind, count) + data.ljust(4, b"\0")
    return head + bytes(4) + behind


def ramp(height=64, width=96):
    """Dark at the top, light at the bottom."""
    return np.linspace(0, 60_000, height)[:, None].repeat(width, axis=1)


def test_raw_data_are_developed_in_the_tones_of_srgb():
    (page,), _, told = reading.read(dng())
    assert (page.opaque.mode, page.opaque.size, page.alpha) == ("RGB", (96, 64), None)
    assert told == []
    light = np.asarray(page.opaque)[8:56, 48].mean(axis=1) / 255
    linear = np.where(light > 0.04045, ((light + 0.055) / 1.055) ** 2.4, light / 12.92)
    expected = ramp()[8:56, 48]
    assert np.abs(linear / linear[24] - expected / expected[24]).max() < 0.03


def test_raw_data_of_a_camera_that_sees_no_colours_are_read():
    content = dng(t262=Tag(SHORT, struct.pack("<H", 34892)), t33421=None, t33422=None)
    (page,), _, _ = reading.read(content)
    assert (page.opaque.mode, page.opaque.size) == ("L", (96, 64))
    assert page.opaque.getpixel((48, 8)) < page.opaque.getpixel((48, 56))


@pytest.mark.parametrize(("orientation", "size", "dark"), [(3, (96, 64), (48, 60)), (6, (64, 96), (60, 48))])
def test_a_photograph_is_turned_once(orientation, size, dark):
    (page,), (carries,), _ = reading.read(dng(orientation=orientation))
    assert page.opaque.size == size
    assert max(page.opaque.getpixel(dark)) < 90
    kept = Image.Exif()
    kept.load(carries.exif)
    assert 0x0112 not in kept


def test_what_tells_of_the_photograph_goes_with_it():
    given = exif().directory
    content = dng(
        orientation=6,
        **{f"t{number}": given[number] for number in (0x010E, 0x8298, EXIF, GPS)},
        t700=Tag(BYTE, PACKET.format(more="").encode()),
        t50708=Tag(ASCII, b"what concerns the sensor\0"),
    )
    _, (carries,), told = reading.read(content)
    assert told == []
    found = tags.parse(carries.exif).directory
    assert {number: found[number] for number in (0x010E, 0x8298, GPS)} == {
        number: given[number] for number in (0x010E, 0x8298, GPS)
    }
    assert found[0x010F].data == b"a camera\0"
    assert found[EXIF][0x927C] == given[EXIF][0x927C]
    assert [found[EXIF][number].number("<") for number in (0xA001, 0xA002, 0xA003)] == [1, 64, 96]
    assert not found.keys() & {33421, 33422, 50706, 50708, 50721, 50728, 0x0112}
    assert "Großmutter".encode() in carries.xmp


def test_a_result_is_a_png(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.DNG").write_bytes(dng())
    planned = colourise_files.destinations.plan([tmp_path / "a.DNG"], None)
    assert list(planned.targets.values()) == [tmp_path / "a-coloured.DNG.png"]


@pytest.mark.parametrize("sides", [(640, 960), (1, 1), (0, 0), (64, 60_000), (60_000, 60_000), (2**31, 2**31)])
def test_sides_that_are_not_those_of_the_pixels_are_refused(sides):
    assert formats.RAW in refusal(dng(sides=sides)) or "megapixels" in refusal(dng(sides=sides))


def test_bombs_are_refused_before_they_are_developed():
    assert "0 megapixels, of which 0 million are allowed" in refusal(dng(), most=50 * 50)
    assert "400 megapixels" in refusal(dng(sides=(20_000, 20_000)))


def test_a_file_cut_off_anywhere_is_refused():
    content = dng()
    for length in range(16, len(content) - 400, 997):
        refusal(content[:length])


@pytest.mark.parametrize("seed", range(8))
def test_changed_bytes_end_in_a_picture_or_in_one_line(seed):
    change_bytes(dng(ramp(16, 16)), seed, 4)


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    assert "pip install '.[raw]'" in refusal(dng())


def test_metadata_that_are_in_no_tiff_are_told(monkeypatch):
    monkeypatch.setattr(tags, "pages", lambda file: (_ for _ in ()).throw(ValueError("no TIFF")))
    monkeypatch.setattr(formats, "recognise", lambda file, suffix: formats.RAW)
    assert reading.read(dng()).told == ["left out: EXIF data and XMP (of such raw data not read)"]
