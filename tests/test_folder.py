import errno
import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.datasets import copies, folder
from pipeline.datasets.store import Split
from pipeline.photographs import writing
from pipeline.photographs.xmp import Made
from pipeline.system.errors import PipelineError

RED, BLUE = (200, 30, 30), (30, 30, 200)


def save(path, colour=RED, size=(20, 20), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)
    return path


@pytest.fixture
def pictures(tmp_path):
    """Sixty pictures in two subfolders, dogs in shades of red and cats in shades of blue."""
    top = tmp_path / "pictures"
    for number in range(30):
        save(top / "dogs" / f"{number}.png", (200, number, 30))
        save(top / "cats" / "old" / f"{number}.png", (number, 30, 200))
    return top


def read(path, size):
    """Classes and splits, with pictures that are arrays."""
    with tempfile.TemporaryDirectory() as scratch:
        classes, splits = folder.read(path, size, Path(scratch))
        return classes, {name: Split(split.pictures[:], split.labels) for name, split in splits.items()}


def photographs(folder, number, seed=0, size=(40, 30)):
    """Pictures as different as photographs are: smooth, in several colours."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for index in range(number):
        colours = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def numbers(splits):
    return {name: len(split.labels) for name, split in splits.items()}


def contents(splits):
    """Split by picture."""
    return {picture.tobytes(): name for name, split in splits.items() for picture in split.pictures}


def told(capsys):
    """What was left out, and how many of it, of the last line that says so."""
    *_, line = (line for line in capsys.readouterr().err.splitlines() if ": left out: " in line)
    return line.partition(": left out: ")[2]


def test_a_subfolder_is_a_class(pictures):
    classes, splits = read(pictures, 16)
    assert classes == ["cats", "dogs"]
    assert sum(numbers(splits).values()) == 60
    for split in splits.values():
        assert split.pictures.shape[1:] == (16, 16, 3)
        reddish = split.pictures[:, 8, 8, 0] > 100
        np.testing.assert_array_equal(split.labels, reddish)  # dogs, class 1, are red


def test_a_subfolder_without_pictures_is_no_class(pictures):
    (pictures / "empty").mkdir()
    (pictures / "texts").mkdir()
    (pictures / "texts/a.txt").write_text("none")
    (pictures / "broken").mkdir()
    (pictures / "broken/a.jpg").write_text("none")
    save(pictures / "@eaDir/a.jpg")
    save(pictures / "__MACOSX/cats/._a.jpg")
    assert read(pictures, 16)[0] == ["cats", "dogs"]


def test_without_subfolders_the_folder_is_the_class(tmp_path):
    classes, splits = read(photographs(tmp_path / "holiday", 60), 16)
    assert classes == ["holiday"]
    assert sum(numbers(splits).values()) == 60


def test_adding_pictures_moves_none(tmp_path):
    before = contents(read(photographs(tmp_path / "birds", 60), 16)[1])
    photographs(tmp_path / "birds/ants", 100, seed=1)
    photographs(tmp_path / "birds/a", 100, seed=2)
    after = contents(read(tmp_path / "birds", 16)[1])
    assert {picture: after[picture] for picture in before} == before
    assert len(after) == len(before) + 200


def test_new_names_and_folders_move_none_and_change_no_order(tmp_path):
    first = read(photographs(tmp_path / "birds", 60), 16)[1]
    (tmp_path / "new/other").mkdir(parents=True)
    for number in range(60):
        (tmp_path / f"birds/{number}.png").rename(tmp_path / f"new/other/{number * 7 % 61} ä.png")
    second = read(tmp_path / "new", 16)[1]
    for split in first:
        np.testing.assert_array_equal(first[split].pictures, second[split].pictures)


def test_the_size_moves_none(tmp_path):
    photographs(tmp_path / "birds", 60, size=(64, 64))
    small, large = (numbers(read(tmp_path / "birds", size)[1]) for size in (16, 64))
    assert small == large


def test_a_picture_is_known_by_the_same_digest_and_look_whatever_the_size(tmp_path):
    for path in photographs(tmp_path / "a", 3, size=(1200, 800)).iterdir():
        Image.open(path).save(path.with_suffix(".jpg"))  # which is decoded at a fraction of its size, as that allows
    for path in (tmp_path / "a").iterdir():
        sizes = {size: folder._show(path, size) for size in (32, copies.SIDE, 150, 400)}
        assert [shown.pixels.shape for shown in sizes.values()] == [(size, size, 3) for size in sizes]
        assert len({shown.digest for shown in sizes.values()}) == 1
        assert len({shown.look.tobytes() for shown in sizes.values()}) == 1


def test_shares():
    digests = [hashlib.sha256(bytes([number % 256, number // 256])).hexdigest() for number in range(10_000)]
    drawn = [folder.split_of(digest) for digest in digests]
    assert 0.19 < drawn.count("test") / 10_000 < 0.21
    assert 0.09 < drawn.count("validation") / 10_000 < 0.11


def test_copies_are_taken_once_whatever_their_format_name_and_orientation(tmp_path, capsys):
    top = photographs(tmp_path / "birds", 100)
    before = contents(read(top, 16)[1])
    exif = Image.Exif()
    exif[0x0112] = 8
    for number in range(0, 100, 4):
        (top / f"{number} (1).png").write_bytes((top / f"{number}.png").read_bytes())
        with Image.open(top / f"{number + 1}.png") as picture:
            picture.save(top / f"again {number}.tiff")
            picture.save(top / f"again {number}.webp", lossless=True)
        with Image.open(top / f"{number + 2}.png") as picture:
            turned = picture.transpose(Image.Transpose.ROTATE_270)
            turned.save(top / f"turned {number}.png", exif=exif)
        (top / f"link {number}.png").symlink_to(f"{number + 3}.png")
    after = contents(read(top, 16)[1])
    assert after == before
    assert told(capsys).startswith("copies: 125 (")


@pytest.mark.parametrize("changed", ["quality 50", "quality 90", "half", "double"])
def test_a_copy_that_was_compressed_anew_or_resized_is_taken_once(tmp_path, changed, capsys):
    top = photographs(tmp_path / "birds", 60, size=(96, 72))
    before = contents(read(top, 16)[1])
    for number in range(60):
        with Image.open(top / f"{number}.png") as picture:
            if changed.startswith("quality"):
                picture.save(top / f"a{number}.jpg", quality=int(changed.split()[1]))
            else:
                size = [side // 2 if changed == "half" else side * 2 for side in picture.size]
                picture.resize(size, Image.Resampling.BICUBIC).save(top / f"a{number}.png")
    splits = read(top, 16)[1]
    assert sum(numbers(splits).values()) == 60
    assert told(capsys).startswith("copies: 60 (")
    for picture, split in before.items():
        pixels = np.frombuffer(picture, np.uint8).reshape(16, 16, 3).astype(int)
        [now] = [name for name, found in splits.items() if (np.abs(found.pictures - pixels).mean((1, 2, 3)) < 5).any()]
        assert folder.PRECEDENCE.index(now) <= folder.PRECEDENCE.index(split)


def test_a_large_jpeg_and_its_lossless_copy_are_the_same(tmp_path):
    """It is decoded at a fraction of its size, the copy is not."""
    generator = np.random.default_rng(0)
    photograph = Image.fromarray(generator.integers(0, 256, (40, 50, 3), dtype=np.uint8)).resize((2500, 2000))
    photograph.save(tmp_path / "a.jpg", quality=90)
    with Image.open(tmp_path / "a.jpg") as picture:
        picture.save(tmp_path / "b.bmp")
    digests, looks = zip(
        *(copies.fingerprint(folder._open(tmp_path / name, 16)) for name in ("a.jpg", "b.bmp")), strict=True
    )
    assert digests[0] != digests[1]  # or this test tests nothing
    assert copies.originals(digests, np.stack(looks)).tolist() == [0, 0]


def test_a_picture_in_two_classes_is_in_one_of_them_and_that_is_told(pictures, capsys):
    for number in range(5):
        (pictures / "cats" / f"{number}.png").write_bytes((pictures / f"dogs/{number}.png").read_bytes())
    _, splits = read(pictures, 16)
    assert sum(numbers(splits).values()) == 60
    labels = np.concatenate([split.labels for split in splits.values()])
    assert np.bincount(labels).tolist() == [35, 25]  # the first by name
    assert told(capsys).startswith("copies in another class: 5 (dogs/")


def test_splits_of_its_own_are_kept(tmp_path, capsys):
    for split, number in (("Train", 40), ("valid", 10), ("TEST", 20)):
        photographs(tmp_path / "mine" / split / "cats", number, seed=number)
        photographs(tmp_path / "mine" / split / "dogs", number, seed=number + 1)
    classes, splits = read(tmp_path / "mine", 16)
    assert classes == ["cats", "dogs"]
    assert numbers(splits) == {"train": 80, "validation": 20, "test": 40}
    with Image.open(tmp_path / "mine/TEST/dogs/3.png") as picture:
        shown = np.asarray(picture.resize((16, 16), box=(5, 0, 35, 30)), int)
    assert (np.abs(splits["test"].pictures - shown).mean(axis=(1, 2, 3)) < 10).sum() == 1

    for number in range(7):  # a leak
        (tmp_path / f"mine/Train/dogs/leaked {number}.png").write_bytes(
            (tmp_path / f"mine/TEST/dogs/{number}.png").read_bytes()
        )
    (tmp_path / "mine/extra").mkdir()
    (tmp_path / "mine/extra/a.png").write_bytes((tmp_path / "mine/TEST/dogs/0.png").read_bytes())
    capsys.readouterr()
    assert contents(read(tmp_path / "mine", 16)[1]) == contents(splits)
    assert told(capsys) == (
        "copies in another split: 7 (Train/dogs/leaked 3.png, …); beside the folder's own splits: 1 (extra/a.png)"
    )


@pytest.mark.parametrize("missing", [("valid",), ("test",), ("valid", "test")])
def test_splits_that_a_folder_lacks_are_cut_from_its_training_pictures(tmp_path, missing, capsys):
    for split, number in (("train", 100), ("valid", 10), ("test", 20)):
        if split not in missing:
            photographs(tmp_path / "mine" / split / "cats", number, seed=number)
    classes, splits = read(tmp_path / "mine", 16)
    found = numbers(splits)
    cut = {"test": "test", "valid": "validation"}
    assert capsys.readouterr().err.endswith(f"; cut from train: {', '.join(cut[name] for name in missing[::-1])}\n")
    assert classes == ["cats"]
    assert found["test"] == 20 if "test" not in missing else 10 <= found["test"] <= 30
    assert found["validation"] == 10 if "valid" not in missing else 5 <= found["validation"] <= 20
    assert sum(found.values()) == 100 + 10 * ("valid" not in missing) + 20 * ("test" not in missing)


def test_a_class_of_trains_is_a_class(tmp_path):
    for number, name in enumerate(("train", "car", "plane")):
        photographs(tmp_path / "mine" / name, 20, seed=number)
    classes, splits = read(tmp_path / "mine", 16)
    assert classes == ["car", "plane", "train"]
    assert numbers(splits)["test"] > 0


def test_linked_folders_are_classes(tmp_path):
    photographs(tmp_path / "elsewhere", 30)
    photographs(tmp_path / "mine/dogs", 30, seed=1)
    (tmp_path / "mine/cats").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "mine/dogs/all").symlink_to(tmp_path / "mine")
    classes, splits = read(tmp_path / "mine", 16)
    assert classes == ["cats", "dogs"]
    assert np.bincount(np.concatenate([split.labels for split in splits.values()])).tolist() == [30, 30]


def test_names_that_are_no_utf_8_are_names_like_any_other(tmp_path, capsys):
    top = photographs(tmp_path / "mine" / os.fsdecode(b"\xe9t\xe9"), 60).parent
    photographs(top / "dogs", 10, seed=1)
    (top / "dogs" / os.fsdecode(b"\xff.png")).write_text("no picture")
    classes, splits = read(top, 16)
    assert classes == [r"\udce9t\udce9", "dogs"]
    assert sum(numbers(splits).values()) == 70
    assert r"dogs/\udcff.png: passed over: " in capsys.readouterr().err


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
    _, splits = read(pictures, 16)
    assert sum(numbers(splits).values()) == 61
    warned = [line for line in capsys.readouterr().err.splitlines() if "passed over" in line]
    for name in ("empty.jpg", "text.png", "half.png", "bomb.png", "float.tiff"):
        assert sum(f"{name}: passed over: " in line for line in warned) == 1
    assert f"{pictures}: files of other kinds passed over: 1 .md" in warned
    assert len(warned) == 6


def load(path, size):
    """A picture as the folder gives it, (size, size, 3)."""
    return folder._show(path, size).pixels


def two_halves(left, right, size=(40, 40)):
    picture = Image.new("RGB", size, left)
    picture.paste(right, (size[0] // 2, 0, *size))
    return picture


def test_pictures_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: the left edge of the file is the top
    two_halves(RED, BLUE).save(tmp_path / "a.jpg", exif=exif, quality=95)
    picture = load(tmp_path / "a.jpg", 16).astype(int)
    assert np.abs(picture[2, :, :] - RED).max() < 15
    assert np.abs(picture[13, :, :] - BLUE).max() < 15


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_the_centre_is_cropped(tmp_path, name):
    picture = Image.new("RGB", (600, 200), BLUE)
    picture.paste(RED, (190, 0, 410, 200))
    picture.save(tmp_path / name)
    assert np.abs(load(tmp_path / name, 16).astype(int) - RED).max() < 15


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
    assert np.abs(load(tmp_path / "a.tiff", 16).astype(int) - RED).max() < 6


def test_grey_and_16_bits_keep_their_brightness(tmp_path):
    Image.new("L", (20, 20), 100).save(tmp_path / "8.png")
    Image.fromarray(np.full((20, 20), 100 * 257, np.uint16)).save(tmp_path / "16.png")
    for name in ("8.png", "16.png"):
        assert (load(tmp_path / name, 16) == 100).all()


def test_transparent_parts_are_white(tmp_path):
    picture = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    picture.paste((*RED, 255), (0, 0, 20, 10))
    picture.save(tmp_path / "a.png")
    picture.quantize(8).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        loaded = load(tmp_path / name, 16)
        assert loaded[2, 8].tolist() == list(RED)
        assert loaded[13, 8].tolist() == [255, 255, 255]


def test_a_colour_profile_is_heeded_and_a_broken_one_refused(tmp_path):
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    srgb = save(tmp_path / "srgb.png", icc_profile=bytes(profile))
    assert np.abs(load(srgb, 16).astype(int) - RED).max() <= 1
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")  # swap what is red with what is green
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    swapped = save(tmp_path / "swapped.png", icc_profile=bytes(profile))
    assert np.abs(load(swapped, 16)[0, 0].astype(int) - (30, 200, 30)).max() <= 2
    broken = save(tmp_path / "broken.png", icc_profile=b"no profile")
    assert folder._show(broken, 16).startswith("a broken colour profile")


def test_no_folder_and_too_few_pictures_are_one_line(tmp_path, pictures):
    few = save(tmp_path / "few" / "0.png").parent
    (tmp_path / "none").mkdir()
    (tmp_path / "none/README.md").write_text("put your pictures here")
    archive = tmp_path / "mine.zip"
    archive.write_bytes(b"PK")
    for path, said in (
        (tmp_path / "gone", "no such folder"),
        (archive, "no folder but a file, if an archive, then unpack it"),
        (archive / "in it", "Not a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
        (Path("~nobody-of-this-name/pictures"), "no such home folder"),
        (Path("data"), "holds what the stages write themselves"),
        (Path("data/.."), "holds what the stages write themselves"),
        (few, "1 readable pictures in 1 picture files"),
        (tmp_path / "none", "0 readable pictures in 0 picture files"),
    ):
        with pytest.raises(PipelineError, match=said) as raised:
            read(path, 16)
        assert str(raised.value).startswith(f"{path}: ")
        assert "datasets.folder.path" in str(raised.value)
        assert "\n" not in str(raised.value)


def test_copies_do_not_count_as_pictures(tmp_path):
    for number in range(60):
        save(tmp_path / "same" / f"{number}.png")
    with pytest.raises(PipelineError, match="1 readable pictures in 60 picture files, copies not counted"):
        read(tmp_path / "same", 16)


def test_a_tilde_is_the_home_folder(pictures, monkeypatch):
    monkeypatch.setenv("HOME", str(pictures.parent))
    assert folder.find(Path("~/pictures")) == pictures


def test_raw_data_beside_their_picture_are_the_same_picture(pictures, capsys):
    (pictures / "dogs/0.NEF").write_bytes(b"of a sensor")
    (pictures / "dogs/elsewhere.NEF").write_bytes(b"of a sensor")
    _, splits = read(pictures, 16)
    errors = capsys.readouterr().err
    assert sum(numbers(splits).values()) == 60
    assert "raw data of what is there developed, too: 1" in errors
    assert "elsewhere.NEF: passed over" in errors


def test_results_of_colouring_are_no_pictures_to_learn_from(pictures, capsys):
    made = pictures / "dogs/0-coloured.png"
    made.touch()
    writing.save(
        [Image.new("RGB", (20, 20), (0, 200, 0))],
        made,
        "PNG",
        made=Made(source="0" * 64, models=("1" * 64,), size=64, version="1"),
    )
    _, splits = read(pictures, 16)
    assert sum(numbers(splits).values()) == 60
    assert "0-coloured.png: passed over: a result of colouring" in capsys.readouterr().err


def test_a_file_over_which_the_system_stumbles_is_a_broken_one(pictures, monkeypatch, capsys):
    read_whole = folder.reading.read

    def stumbles(path, **options):
        if path.name == "0.png":
            raise OSError(errno.EINVAL, "Invalid argument")
        return read_whole(path, **options)

    monkeypatch.setattr(folder.reading, "read", stumbles)
    _, splits = read(pictures, 16)
    assert sum(numbers(splits).values()) == 58
    assert capsys.readouterr().err.count("0.png: passed over: Invalid argument") == 2


@pytest.mark.parametrize(
    ("trouble", "ends"),
    [
        (OSError(errno.EIO, "Input/output error"), PipelineError),
        (MemoryError(), MemoryError),
    ],
)
def test_what_may_be_read_another_time_is_not_left_out_for_good(pictures, monkeypatch, trouble, ends):
    def fails(*_, **__):
        raise trouble

    monkeypatch.setattr(folder.reading, "read", fails)
    with pytest.raises(ends) as raised:
        read(pictures, 16)
    if ends is PipelineError:
        assert str(raised.value).endswith("0.png: Input/output error; see to it, and run the same command again")


def test_classes_that_nothing_is_learnt_of_are_told_and_their_pictures_stay(tmp_path, capsys):
    for number in range(40):
        save(tmp_path / "train/red" / f"{number}.png", (200, number, 30))
        save(tmp_path / "test/red" / f"{number}.png", (180, number, 30))
    save(tmp_path / "test/flat.png", BLUE)
    classes, splits = folder.learnable(tmp_path, *read(tmp_path, 16))
    assert classes == ["red"]  # there is nothing to tell it from
    assert numbers(splits)["test"] == 41
    assert "classifier" not in capsys.readouterr().err
    for number in range(40):
        save(tmp_path / "train/green" / f"{number}.png", (30, 200, number))
    classes, splits = folder.learnable(tmp_path, *read(tmp_path, 16))
    assert classes == sorted(["green", "red", tmp_path.name])
    assert numbers(splits)["test"] == 41
    told = f"classes without a picture to train on, which no classifier will know: {tmp_path.name}"
    assert told in capsys.readouterr().err


def test_subfolders_called_like_splits_that_are_none_are_named(tmp_path, capsys):
    for number in range(60):
        save(tmp_path / ("trainval" if number % 2 else "test") / f"{number}.png", (200, 2 * number, 30))
    read(tmp_path, 16)
    assert "not taken for splits: test" in capsys.readouterr().err
