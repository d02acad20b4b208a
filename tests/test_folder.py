import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.datasets import folder
from pipeline.errors import PipelineError

RED, BLUE = (200, 30, 30), (30, 30, 200)


def save(path, colour=RED, size=(20, 20), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)
    return path


@pytest.fixture
def pictures(tmp_path):
    """Sixty pictures in two subfolders, red dogs and blue cats."""
    top = tmp_path / "pictures"
    for number in range(30):
        save(top / "dogs" / f"{number}.png", RED)
        save(top / "cats" / "old" / f"{number}.jpg", BLUE, quality=95)
    return top


def numbers(splits):
    return {name: len(split.labels) for name, split in splits.items()}


def test_a_subfolder_is_a_class(pictures):
    classes, splits = folder.read(pictures, 16)
    assert classes == ["cats", "dogs"]
    assert sum(numbers(splits).values()) == 60
    for split in splits.values():
        assert split.pictures.shape[1:] == (16, 16, 3)
        reddish = split.pictures[:, 8, 8, 0] > 100
        np.testing.assert_array_equal(split.labels, reddish)  # dogs, class 1, are red


def test_without_subfolders_the_folder_is_the_class(tmp_path):
    for number in range(60):
        save(tmp_path / "holiday" / f"{number}.png")
    classes, splits = folder.read(tmp_path / "holiday", 16)
    assert classes == ["holiday"]
    assert sum(numbers(splits).values()) == 60


def test_adding_pictures_moves_none(pictures):
    def seen():
        """Split by file, told apart by a colour for each."""
        splits = folder.read(pictures, 16)[1]
        return {tuple(picture[8, 8]): name for name, split in splits.items() for picture in split.pictures}

    for number in range(60):
        save(pictures / "birds" / f"{number}.png", (number, 255, 0))
    before = seen()
    for number in range(100):
        save(pictures / "ants" / f"{number}.png", (number, 0, 255))
        save(pictures / "birds" / f"new {number}.png", (number, 100, 255))
    after = seen()
    assert {colour: after[colour] for colour in before} == before
    assert len(after) == len(before) + 200


def test_shares():
    drawn = [folder.split_of(folder._rank(folder.Path(f"dogs/{number}.jpg"))) for number in range(10_000)]
    assert 0.19 < drawn.count("test") / 10_000 < 0.21
    assert 0.09 < drawn.count("validation") / 10_000 < 0.11


def test_broken_pictures_are_named_and_the_rest_is_read(pictures, capsys, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    (pictures / "dogs" / "empty.jpg").write_bytes(b"")
    (pictures / "dogs" / "text.png").write_text("no picture")
    whole = save(pictures / "dogs" / "half.png", size=(90, 90)).read_bytes()
    (pictures / "dogs" / "half.png").write_bytes(whole[: len(whole) // 2])
    save(pictures / "dogs" / "bomb.png", size=(300, 300))
    save(pictures / "dogs" / "large.png", size=(110, 110))  # a warning, not yet an error
    Image.new("F", (20, 20)).save(pictures / "dogs" / "float.tiff")
    (pictures / "README.md").write_text("my pictures")
    (pictures / "dogs" / ".DS_Store").write_bytes(b"\0")
    save(pictures / ".thumbnails" / "0.png")
    _, splits = folder.read(pictures, 16)
    assert sum(numbers(splits).values()) == 61
    warned = [line for line in capsys.readouterr().err.splitlines() if "passed over" in line]
    for name in ("empty.jpg", "text.png", "half.png", "bomb.png", "float.tiff"):
        assert sum(f"{name}: passed over: " in line for line in warned) == 1
    assert f"{pictures}: files of other kinds passed over: 1 .md" in warned
    assert len(warned) == 6


def two_halves(left, right, size=(40, 40)):
    picture = Image.new("RGB", size, left)
    picture.paste(right, (size[0] // 2, 0, *size))
    return picture


def test_pictures_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: the left edge of the file is the top
    two_halves(RED, BLUE).save(tmp_path / "a.jpg", exif=exif, quality=95)
    picture = folder.load(tmp_path / "a.jpg", 16).astype(int)
    assert np.abs(picture[2, :, :] - RED).max() < 15
    assert np.abs(picture[13, :, :] - BLUE).max() < 15


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_the_centre_is_cropped(tmp_path, name):
    picture = Image.new("RGB", (600, 200), BLUE)
    picture.paste(RED, (190, 0, 410, 200))
    picture.save(tmp_path / name)
    assert np.abs(folder.load(tmp_path / name, 16).astype(int) - RED).max() < 15


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "YCbCr", "LAB"])
def test_colours_survive_any_mode(tmp_path, mode):
    picture = Image.new("RGB", (20, 20), RED)
    if mode == "LAB":
        picture = ImageCms.profileToProfile(
            picture, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    else:
        picture = picture.quantize(8) if mode == "P" else picture.convert(mode)
    # Pillow before 13 does not read the uncompressed YCbCr that it writes.
    picture.save(tmp_path / "a.tiff", compression="tiff_adobe_deflate" if mode == "YCbCr" else None)
    assert np.abs(folder.load(tmp_path / "a.tiff", 16).astype(int) - RED).max() < 6


def test_grey_and_16_bits_keep_their_brightness(tmp_path):
    Image.new("L", (20, 20), 100).save(tmp_path / "8.png")
    Image.fromarray(np.full((20, 20), 100 * 257, np.uint16)).save(tmp_path / "16.png")
    for name in ("8.png", "16.png"):
        assert (folder.load(tmp_path / name, 16) == 100).all()


def test_transparent_parts_are_white(tmp_path):
    picture = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    picture.paste((*RED, 255), (0, 0, 20, 10))
    picture.save(tmp_path / "a.png")
    picture.quantize(8).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        loaded = folder.load(tmp_path / name, 16)
        assert loaded[2, 8].tolist() == list(RED)
        assert loaded[13, 8].tolist() == [255, 255, 255]


def test_a_colour_profile_is_heeded_and_a_broken_one_ignored(tmp_path):
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    srgb = save(tmp_path / "srgb.png", icc_profile=bytes(profile))
    assert np.abs(folder.load(srgb, 16).astype(int) - RED).max() <= 1
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")  # swap what is red with what is green
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    swapped = save(tmp_path / "swapped.png", icc_profile=bytes(profile))
    assert np.abs(folder.load(swapped, 16)[0, 0].astype(int) - (30, 200, 30)).max() <= 2
    broken = save(tmp_path / "broken.png", icc_profile=b"no profile")
    assert folder.load(broken, 16)[0, 0].tolist() == list(RED)


def test_no_folder_and_too_few_pictures_are_one_line(tmp_path, pictures):
    few = save(tmp_path / "few" / "0.png").parent
    for path, said in ((tmp_path / "gone", "no such folder"), (few, "1 readable pictures in 1 picture files")):
        with pytest.raises(PipelineError, match=said) as raised:
            folder.read(path, 16)
        assert str(raised.value).startswith(f"{path}: ")
        assert "datasets.folder.path" in str(raised.value)
        assert "\n" not in str(raised.value)
