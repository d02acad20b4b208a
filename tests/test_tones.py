import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.errors import PipelineError
from pipeline.photographs import reading, tones

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


def test_the_mode_says_what_there_is_to_see():
    expected = {"1": "L", "L": "L", "I;16": "I;16", "I": "I;16", "RGB": "RGB", "P": "RGB", "CMYK": "RGB", "LA": "RGB"}
    for given, wanted in expected.items():
        opaque, alpha = tones.understand(Image.new(given, (4, 4)))
        assert opaque.mode == wanted, given
        assert (alpha is not None) == (given == "LA")


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
