import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from pipeline.photographs import reading, tones, xmp
from pipeline.system.errors import PipelineError
from tests.pictures import RGB, grey_profile, lightness, of_srgb, png, rgb_profile, seen_lightness, tiff

RED = (200, 30, 30)


def swapped():
    """A profile in which red means green and the other way round."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def test_a_profile_is_heeded_beside_transparency_and_in_a_palette(tmp_path):
    picture = Image.new("RGBA", (8, 8), (*RED, 100))
    picture.save(tmp_path / "a.png", icc_profile=swapped())
    opaque, alpha = reading.read(tmp_path / "a.png").pages[0]
    assert np.abs(np.array(opaque)[0, 0].astype(int) - (30, 200, 30)).max() <= 2
    assert alpha.getextrema() == (100, 100)

    Image.new("RGB", (8, 8), RED).quantize(8).save(tmp_path / "b.png", icc_profile=swapped())
    opaque, alpha = reading.read(tmp_path / "b.png").pages[0]
    assert np.abs(np.array(opaque)[0, 0].astype(int) - (30, 200, 30)).max() <= 2
    assert alpha is None


MODES = {  # what Pillow may open → opaque and alpha
    **{mode: ("L", False) for mode in ("1", "L")},
    **{mode: ("L", True) for mode in ("LA", "La")},
    **{mode: ("I;16", False) for mode in ("I", "I;16", "I;16L", "I;16B", "I;16N")},
    **{mode: ("RGB", False) for mode in ("P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")},
    **{mode: ("RGB", True) for mode in ("PA", "RGBA", "RGBa")},
}


@pytest.mark.parametrize("mode", MODES)
def test_the_mode_says_what_there_is_to_see(mode):
    opaque, alpha = tones.understand(Image.new(mode, (4, 6)))
    assert (opaque.mode, alpha is not None) == MODES[mode]
    assert opaque.size == (4, 6)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "LA", "PA", "RGBA"])
def test_white_is_white_in_every_mode(mode):
    picture = Image.new("RGB", (4, 4), "white").convert("LA" if mode == "LA" else mode)
    assert (np.asarray(tones.understand(picture).opaque) >= 254).all()


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_pixels_are_divided_by_their_alpha(mode):
    picture = Image.new(f"{mode[:-1]}A", (4, 4), (200, 100) if mode == "La" else (200, 200, 200, 100)).convert(mode)
    opaque, alpha = tones.understand(picture)
    assert alpha.getextrema() == (100, 100)
    assert np.abs(np.asarray(opaque).astype(int) - 200).max() <= 2


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_the_fourth_sample_of_a_tiff_is_what_the_file_says(extra):
    pixels = np.full((4, 4, 4), 100, np.uint8)
    with Image.open(tiff(pixels, 8, RGB, t338=extra)) as picture:
        opaque, alpha = tones.understand(picture)
    assert (alpha is None) == (extra == 0)  # unspecified
    assert np.asarray(opaque)[0, 0].tolist() == ([255] * 3 if extra == 1 else [100] * 3)  # 1 is premultiplied


def turned(mode, orientation):
    """A picture that lies on its side, light and clear in its left half, dark and faint in its right one."""
    values = np.repeat([[200, 50]], 20, axis=1).repeat(20, axis=0).astype(np.uint8)
    picture = Image.fromarray(values)
    if mode == "I;16":
        picture = Image.fromarray(values.astype(np.uint16) * 257)
    elif mode != "L":
        picture = Image.fromarray(np.dstack([values] * len(mode))).convert(mode) if mode == "RGB" else picture
        picture = picture.convert(mode)
    if mode.endswith("A"):
        picture.putalpha(Image.fromarray(values))
    picture.getexif()[0x0112] = orientation
    return picture


@pytest.mark.parametrize("mode", ["L", "LA", "I;16", "RGB", "RGBA", "PA", "CMYK"])
def test_colours_and_alpha_are_upright(mode):
    for orientation, rows in ((6, slice(0, 20)), (8, slice(20, 40))):  # the light half is above, below
        opaque, alpha = tones.understand(turned(mode, orientation))
        for picture in (opaque, alpha) if alpha else (opaque,):
            values = np.asarray(picture).astype(float) / np.iinfo(np.asarray(picture).dtype).max
            assert values.shape[:2] == (40, 20)
            assert values[rows].min() > 0.7
            assert np.delete(values, np.r_[rows], axis=0).max() < 0.3


def test_the_alpha_of_16_bit_greys_is_kept():
    picture = Image.fromarray(np.array([[1000, 2000, 1001]], np.uint16))
    picture.info["transparency"] = 1000
    opaque, alpha = tones.understand(picture)
    assert np.asarray(opaque).tolist() == [[1000, 2000, 1001]]
    assert np.asarray(alpha).tolist() == [[0, 255, 255]]


@pytest.mark.parametrize("profile", [None, grey_profile, rgb_profile])
def test_alpha_and_profile_and_bits_together(profile):
    values = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    rows = [row.astype(">u2").tobytes() for row in values]
    chunks = {"iCCP": b"name\0\0" + zlib.compress(profile(1.0))} if profile else {}
    with Image.open(png((16, 16), 16, 0, rows, **chunks, tRNS=struct.pack(">H", 512))) as picture:
        opaque, alpha = tones.understand(picture)
    expected = lightness(values / 65535) if profile else of_srgb(values / 65535)
    np.testing.assert_allclose(seen_lightness(opaque), expected, atol=0.1)
    assert np.argwhere(np.asarray(alpha) == 0).tolist() == [[0, 2]]


def test_16_bits_stay_16_bits(tmp_path):
    values = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16) + 7
    for name in ("a.png", "a.tiff"):
        Image.fromarray(values).save(tmp_path / name)
        opaque, _ = reading.read(tmp_path / name).pages[0]
        assert np.array_equal(opaque, values)


def test_no_pixels_and_floating_point_ones_are_refused():
    for picture, said in ((Image.new("L", (5, 0)), "5×0 pixels"), (Image.new("F", (5, 5)), "floating-point")):
        with pytest.raises(PipelineError, match=said):
            tones.understand(picture)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_which_way_is_up_exif_data_say_and_not_xmp_which_viewers_do_not_heed(kind):
    packet = xmp.merge(None, None).replace(b"<rdf:RDF", b'<rdf:RDF tiff:Orientation="6"')
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", packet.decode())
    for way, size in (({}, (40, 20)), ({0x0112: 8}, (20, 40))):
        exif, file = Image.Exif(), io.BytesIO()
        exif.update(way)
        xmp_alone = {"pnginfo": texts} if kind == "PNG" else {"xmp": packet}
        options = {"tiffinfo": {0x02BC: packet} | way} if kind == "TIFF" else xmp_alone | {"exif": exif}
        Image.new("RGB", (40, 20)).save(file, kind, **options)
        assert b"tiff:Orientation" in file.getvalue()
        (page,), (carries,), _ = reading.read(file.getvalue())
        assert page.opaque.size == size
        assert carries.xmp
