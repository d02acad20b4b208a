from pathlib import Path

import pytest

from pipeline.datasets import layout

TOP = Path("/pictures")


def places(*names):
    """Class and split by name."""
    found = layout.places([TOP / name for name in names], TOP)
    return {str(path.relative_to(TOP)): tuple(place) for path, place in found.items()}


def test_first_subfolders_are_classes_and_what_lies_beside_them_is_one_too():
    assert places("cats/1.jpg", "cats/old/2.jpg", "dogs/1.jpg", "3.jpg") == {
        "cats/1.jpg": ("cats", None),
        "cats/old/2.jpg": ("cats", None),
        "dogs/1.jpg": ("dogs", None),
        "3.jpg": ("pictures", None),
    }
    assert places() == {}


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "val", "test"), ("train", "validation", "test")),
        (("Training", "Validation", "TESTING"), ("train", "validation", "test")),
        (("train", "valid", "test"), ("train", "validation", "test")),
        (("training_set", "test_set"), ("train", "test")),
        (("train2017", "val2017"), ("train", "validation")),
        (("train", "dev", "eval"), ("train", "validation", "test")),
        (("cars_train", "cars_test"), ("train", "test")),
        (("DIV2K_train_HR", "DIV2K_valid_HR"), ("train", "validation")),
        (("train",), ("train",)),
    ],
)
@pytest.mark.parametrize("around", ["", "imagenette2/", "a/b/"])
def test_splits_hold_classes(names, splits, around):
    files = {f"{around}{name}/{kind}/1.jpg": (kind, split) for name, split in zip(names, splits, strict=True)
             for kind in ("cats", "dogs")}  # fmt: skip
    assert places(*files) == files


def test_a_class_is_the_same_on_systems_that_write_an_umlaut_as_two_characters():
    assert set(places("train/B\u00e4r/1.jpg", "test/Ba\u0308r/2.jpg").values()) == {("Bär", "train"), ("Bär", "test")}


def test_splits_without_classes_are_one_class():
    assert places("train/1.jpg", "test/2.jpg") == {
        "train/1.jpg": ("pictures", "train"),
        "test/2.jpg": ("pictures", "test"),
    }
    assert places("mine/train/1.jpg", "mine/test/2.jpg")["mine/test/2.jpg"] == ("mine", "test")


def test_what_lies_beside_the_splits_has_no_place():
    assert list(places("train/a/1.jpg", "test/a/2.jpg", "sample.jpg", "extra/a/3.jpg")) == [
        "train/a/1.jpg",
        "test/a/2.jpg",
    ]


def test_classes_may_hold_the_splits():
    assert places("cats/train/1.jpg", "cats/test/2.jpg", "dogs/train/x/1.jpg", "dogs/test/2.jpg") == {
        "cats/train/1.jpg": ("cats", "train"),
        "cats/test/2.jpg": ("cats", "test"),
        "dogs/train/x/1.jpg": ("dogs", "train"),
        "dogs/test/2.jpg": ("dogs", "test"),
    }


@pytest.mark.parametrize(
    "names",
    [
        ("train/1.jpg", "car/1.jpg", "plane/1.jpg"),  # locomotives
        ("train/1.jpg", "2.jpg"),  # a journey
        ("test/1.jpg", "val/1.jpg"),  # nothing to train on
        ("trains/1.jpg", "tests/1.jpg"),
        ("Valais/1.jpg", "training camp/1.jpg"),
        ("bullet train/1.jpg", "test tube/1.jpg"),
        ("train station/1.jpg",),
        ("2019/train/1.jpg", "2019/test/2.jpg", "2020/3.jpg"),  # an album among others
    ],
)
def test_other_folders_are_classes_whatever_they_are_called(names):
    assert places(*names) == {name: (name.split("/")[0] if "/" in name else "pictures", None) for name in names}
