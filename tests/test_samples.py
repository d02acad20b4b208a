import io
import struct

import numpy as np
import pytest
from PIL import Image

from pipeline.photographs import tones
from pipeline.system.errors import PipelineError
from tests.pictures import BLACK_IS_ZERO, FLOAT, RGB, SIGNED, WHITE_IS_ZERO, YCBCR, of_srgb, png, seen_lightness, tiff

STEPS = np.linspace(0, 1, 256).reshape(16, 16)


def understand(file):
    with Image.open(file) as picture:
        return tones.understand(picture)


@pytest.mark.parametrize(
    ("bits", "photometric", "order"),  # all that Pillow opens
    [
        *((8, photometric, order) for photometric in (BLACK_IS_ZERO, WHITE_IS_ZERO) for order in "<>"),
        *((16, BLACK_IS_ZERO, order) for order in "<>"),
        (16, WHITE_IS_ZERO, "<"),
        (32, BLACK_IS_ZERO, "<"),
    ],
)
def test_greys_of_a_tiff_mean_what_the_file_says(bits, photometric, order):
    kind = f"u{bits // 8}"
    values = STEPS if photometric == BLACK_IS_ZERO else 1 - STEPS
    opaque, alpha = understand(tiff((values * (2**bits - 1)).round().astype(kind), bits, photometric, order))
    assert alpha is None
    np.testing.assert_allclose(seen_lightness(opaque), of_srgb(STEPS), atol=0.01)


@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, WHITE_IS_ZERO])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_do_too(bits, photometric):
    values = np.array([0, 2**bits - 1, 1, 0, 0, 0, 0, 0])
    stored = values if photometric == BLACK_IS_ZERO else 2**bits - 1 - values
    flags = "".join(f"{value:0{bits}b}" for value in stored)
    row = int(flags, 2).to_bytes(bits, "big")
    opaque, _ = understand(tiff(row, bits, photometric, size=(1, 8)))
    assert opaque.mode == "L"
    np.testing.assert_allclose(np.asarray(opaque)[0] / 255, values / (2**bits - 1), atol=0.002)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_fewer_bits_than_there_is_room_for(bits):
    values = (STEPS * (2**bits - 1)).round().astype(np.uint16)
    opaque, _ = understand(tiff(values, 16, t281=2**bits - 1))
    np.testing.assert_allclose(seen_lightness(opaque), of_srgb(STEPS), atol=0.2)
    opaque, _ = understand(tiff(2**bits - 1 - values, 16, WHITE_IS_ZERO, t281=2**bits - 1))
    np.testing.assert_allclose(seen_lightness(opaque), of_srgb(STEPS), atol=0.2)


@pytest.mark.parametrize("maximum", [40000, 3000, 4095])
def test_a_highest_value_that_is_no_range_changes_nothing(maximum):
    values = np.array([[0, 3000, 40000]], np.uint16)
    assert np.array_equal(understand(tiff(values, 16, t281=maximum)).opaque, values)


def test_twelve_bits_packed():
    row = bytes([0x00, 0x0F, 0xFF, 0x80, 0x00, 0x00])  # 0, 4095, 2048, 0
    opaque, _ = understand(tiff(row, 12, size=(1, 4)))
    np.testing.assert_allclose(np.asarray(opaque)[0] / 65535, [0, 1, 2048 / 4095, 0], atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "bits", "sort", "said"),
    [
        ("i1", 8, SIGNED, "signed integers"),
        ("i2", 16, SIGNED, "signed integers"),
        ("i4", 32, SIGNED, "signed integers"),
        ("f4", 32, FLOAT, "floating-point"),
    ],
)
def test_numbers_without_a_range_are_refused_by_what_they_are(kind, bits, sort, said):
    with pytest.raises(PipelineError, match=rf"^{said}.*save it with 8 or 16 bits"):
        understand(tiff(np.ones((4, 4), kind), bits, t339=sort))


def test_integers_beyond_any_known_range_are_refused():
    for values in ([[-1, 5]], [[0, 70000]]):
        with pytest.raises(PipelineError, match="whose range is not known"):
            tones.understand(Image.fromarray(np.array(values, np.int32)))


def test_colours_that_pillow_would_take_for_others_are_refused():
    with pytest.raises(PipelineError, match="YCbCr"):
        understand(tiff(np.zeros((4, 4, 3), np.uint8), 8, YCBCR))


@pytest.mark.parametrize("highest", [1, 100, 255, 1000, 4095, 65535])
def test_a_pgm_of_any_range(highest):
    values = (STEPS * highest).round()
    content = values.astype("u1" if highest < 256 else ">u2").tobytes()
    opaque, _ = understand(io.BytesIO(b"P5 16 16 %d\n" % highest + content))
    np.testing.assert_allclose(seen_lightness(opaque), of_srgb(values / highest), atol=0.3)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_one_transparent_grey_of_a_png(bits):
    highest, key = 2**bits - 1, 1
    row = {1: b"\x40", 2: b"\x10", 4: b"\x01", 8: b"\x00\x01", 16: b"\x00\x00\x00\x01"}[bits]  # 0, then 1
    with Image.open(png((2, 1), bits, 0, [row], tRNS=struct.pack(">H", key))) as picture:
        said = picture.info["transparency"]
        opaque, alpha = tones.understand(picture)
        assert picture.info["transparency"] == said  # further frames may follow
    assert np.asarray(alpha).tolist() == [[255, 0]]
    np.testing.assert_allclose(np.asarray(opaque)[0] / np.iinfo(np.asarray(opaque).dtype).max, [0, 1 / highest])


@pytest.mark.parametrize("bits", [8, 16])
def test_one_transparent_colour_of_a_png(bits):
    key, other = [10, 20, 30], [10, 20, 31]
    scale = 1 if bits == 8 else 257
    pack = f">{3}{'B' if bits == 8 else 'H'}"
    row = b"".join(struct.pack(pack, *(value * scale for value in pixel)) for pixel in (key, other))
    opaque, alpha = understand(png((2, 1), bits, 2, [row], tRNS=struct.pack(">3H", *(value * scale for value in key))))
    assert np.asarray(alpha).tolist() == [[0, 255]]
    assert np.asarray(opaque).tolist() == [[key, other]]


@pytest.mark.parametrize("photometric", [RGB, 5])
@pytest.mark.parametrize("order", "<>")
def test_colours_of_16_bits_in_planes_are_refused_where_pillow_misreads_them(photometric, order):
    pixels = np.zeros((4, 4, 3 if photometric == RGB else 4), "u2")
    planes = tiff(pixels, 16, photometric, order, t284=2)
    size = 32
    content = bytearray(planes.getvalue())
    starts = struct.pack(f"{order}{pixels.shape[2]}I", *(8 + size * band for band in range(pixels.shape[2])))
    entry = next(place for place in range(len(content)) if content[place : place + 2] == struct.pack(order + "H", 273))
    struct.pack_into(f"{order}II", content, entry + 4, pixels.shape[2], len(content))
    with pytest.raises(PipelineError, match=r"^colours of 16 bits, each by itself"):
        understand(io.BytesIO(content + starts))
