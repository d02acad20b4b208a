import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline import photographs
from pipeline.errors import PipelineError

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
    opaque, alpha = photographs.separate(photographs.read(tmp_path / "a.png"))
    assert np.abs(np.array(opaque)[0, 0].astype(int) - (30, 200, 30)).max() <= 2
    assert alpha.getextrema() == (100, 100)

    Image.new("RGB", (8, 8), RED).quantize(8).save(tmp_path / "b.png", icc_profile=swapped())
    opaque, alpha = photographs.separate(photographs.read(tmp_path / "b.png"))
    assert np.abs(np.array(opaque)[0, 0].astype(int) - (30, 200, 30)).max() <= 2
    assert alpha is None


def test_the_mode_says_what_there_is_to_see():
    expected = {"1": "L", "L": "L", "I;16": "I;16", "I": "I;16", "RGB": "RGB", "P": "RGB", "CMYK": "RGB", "LA": "RGB"}
    for given, wanted in expected.items():
        opaque, alpha = photographs.separate(Image.new(given, (4, 4)))
        assert opaque.mode == wanted, given
        assert (alpha is not None) == (given == "LA")


def test_16_bits_stay_16_bits(tmp_path):
    values = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16) + 7
    for name in ("a.png", "a.tiff"):
        Image.fromarray(values).save(tmp_path / name)
        opaque, _ = photographs.separate(photographs.read(tmp_path / name))
        assert np.array_equal(opaque, values)


def test_the_first_frame_of_an_animation_is_read(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, (0, 0, 255))]
    for name in ("a.gif", "a.webp", "a.png", "a.tiff"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        pixel = np.array(photographs.to_rgb(photographs.read(tmp_path / name)))[4, 4]
        assert np.abs(pixel.astype(int) - RED).max() < 6, name


def test_a_photograph_is_read_upright_and_its_exif_data_say_so(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    Image.new("RGB", (40, 20), RED).save(tmp_path / "a.jpg", exif=exif)
    picture = photographs.read(tmp_path / "a.jpg")
    assert picture.size == (20, 40)
    assert photographs.upright(picture) is picture
    assert picture.getexif()[0x010F] == "a camera"


def test_no_pixels_and_floating_point_ones_are_refused():
    for picture, said in ((Image.new("L", (5, 0)), "5×0 pixels"), (Image.new("F", (5, 5)), "floating-point")):
        with pytest.raises(PipelineError, match=said):
            photographs.separate(picture)


def test_pictures_are_found_below_a_folder_and_the_rest_is_counted(tmp_path, capsys):
    for name in ("b.JPG", "a/c.png", "a/.hidden.png", ".trash/d.png", "notes.txt", "a/e.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert photographs.find(tmp_path) == [tmp_path / name for name in ("a/c.png", "a/e.webp", "b.JPG")]
    assert capsys.readouterr().err == f"{tmp_path}: files of other kinds passed over: 1 .txt\n"


def test_reasons_are_one_line():
    assert photographs.reason(PermissionError(13, "Permission denied", "a.jpg")) == "Permission denied"
    assert photographs.reason(ValueError("one\n  two")) == "one two"
    assert photographs.reason(ValueError()) == "ValueError"
