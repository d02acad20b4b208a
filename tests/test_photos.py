import numpy as np
import pytest
from PIL import Image

from pipeline.datasets import photos
from pipeline.system.errors import PipelineError


@pytest.mark.parametrize("size", [32, 96])
def test_numbers_are_enough_and_even(size):
    read = photos.read(size)
    assert len(read["train"].labels) == 2002
    assert len(read["test"].labels) == 504
    assert len(read["validation"].labels) >= 200
    for split in read.values():
        assert split.pictures.shape[1:] == (size, size, 3)
        assert split.pictures.dtype == np.uint8
        assert np.bincount(split.labels, minlength=7).min() >= 24
    assert len(np.unique(read["test"].labels[:8])) >= 3  # what the grid shows
    again = photos.read(size)
    assert all(np.array_equal(read[name].pictures, again[name].pictures) for name in read)


def test_no_pixel_of_a_split_reaches_a_tile_of_another(monkeypatch):
    paint = {"train": (255, 0, 0), "validation": (0, 255, 0), "test": (0, 0, 255)}

    def painted(name):
        picture = Image.new("RGB", (451, 300))
        for split, box in photos.regions(*picture.size).items():
            picture.paste(paint[split], box)
        return picture

    monkeypatch.setattr(photos, "load", painted)
    for size in (32, 96):
        for name, split in photos.read(size).items():
            assert (split.pictures == paint[name]).all()


def test_regions_share_nothing_and_leave_nothing_out():
    covered = np.zeros((427, 640), int)
    for left, top, right, bottom in photos.regions(640, 427).values():
        covered[top:bottom, left:right] += 1
    assert (covered == 1).all()


def test_tiles_come_from_all_scales_and_none_twice():
    ramp = np.tile(np.linspace(0, 255, 256, dtype=np.uint8), (256, 1))
    tiles = photos.cut(Image.fromarray(np.stack([ramp, ramp.T, ramp], axis=-1)), 32, 100)
    steepness = np.ptp(tiles[..., 0].astype(int), axis=(1, 2))
    assert len(tiles) == len({tile.tobytes() for tile in tiles}) == 100
    assert steepness.max() > 200  # the whole region in one tile
    assert steepness.min() < 40  # and an eighth of its side


def test_a_missing_photograph_or_package_is_one_line(monkeypatch):
    for source in (("skimage", "data/lenna.png"), ("no_such_package", "lenna.png")):
        monkeypatch.setitem(photos.FILES, "lenna", source)
        with pytest.raises(
            PipelineError, match=f"photograph lenna: no {source[1]} in the package {source[0]}"
        ) as raised:
            photos.load("lenna")
        assert "\n" not in str(raised.value)


def test_the_photographs_to_colour_are_what_test_tiles_are_cut_from(monkeypatch):
    def painted(name):
        picture = Image.new("RGB", (451, 300), "red")
        picture.paste((0, 0, 255), photos.regions(*picture.size)["test"])
        return picture

    monkeypatch.setattr(photos, "load", painted)
    unseen = photos.unseen()
    assert tuple(unseen) == photos.PHOTOGRAPHS
    for picture in unseen.values():
        assert picture.size == (180, 180)
        assert picture.getcolors() == [(180 * 180, (0, 0, 255))]
