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


@pytest.mark.parametrize(
    "files",
    [
        {
            "cats/train/1.jpg": ("cats", "train"),
            "cats/test/2.jpg": ("cats", "test"),
            "dogs/train/x/1.jpg": ("dogs", "train"),
            "dogs/test/2.jpg": ("dogs", "test"),
        },
        {
            "cats_train/1.jpg": ("cats", "train"),
            "cats_test/2.jpg": ("cats", "test"),
            "dogs_train/a/3.jpg": ("dogs", "train"),
            "dogs_test/4.jpg": ("dogs", "test"),
        },
    ],
)
def test_classes_may_hold_the_splits_and_splits_may_name_the_class(files):
    assert places(*files) == files


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


@pytest.mark.parametrize(
    ("train", "test"),
    [("training_set/training_set", "test_set/test_set"), ("seg_train/seg_train", "seg_test/seg_test")],
)
def test_splits_that_lie_once_more_in_themselves_are_no_classes(train, test):
    files = {f"{top}/{kind}/1.jpg": (kind, split) for top, split in ((train, "train"), (test, "test"))
             for kind in ("cats", "dogs")}  # fmt: skip
    assert places(*files) == files
    assert set(places(f"{train}/1.jpg", f"{test}/2.jpg").values()) == {("pictures", "train"), ("pictures", "test")}


def test_a_class_called_train_is_one_in_a_split_as_well():
    assert set(places("train/train/1.jpg", "test/train/2.jpg").values()) == {("train", "train"), ("train", "test")}


def test_classes_in_a_split_may_have_its_name_in_theirs():
    files = {f"{split}/{split}_{kind}/1.jpg": (kind, split) for split in ("train", "test")
             for kind in ("cats", "dogs")}  # fmt: skip
    assert places(*files) == files
    assert set(places("train/images_train/a/1.jpg", "test/images_test/a/2.jpg").values()) == {
        ("a", "train"),
        ("a", "test"),
    }
    assert places("cars_train/Cars_Train/audi/1.jpg", "cars_test/cars_test/audi/2.jpg") == {
        "cars_train/Cars_Train/audi/1.jpg": ("audi", "train"),
        "cars_test/cars_test/audi/2.jpg": ("audi", "test"),
    }
    assert places("Cars_Train/audi/1.jpg", "cars_test/audi/2.jpg") == {
        "Cars_Train/audi/1.jpg": ("audi", "train"),
        "cars_test/audi/2.jpg": ("audi", "test"),
    }


def test_what_lies_beside_the_splits_of_a_class_has_no_place():
    names = ("cats/train/1.jpg", "cats/test/2.jpg", "dogs/train/3.jpg", "dogs/test/4.jpg")
    assert list(places(*names, "dogs/5.jpg", "dogs/extra/6.jpg", "7.jpg")) == list(names)
    assert set(places(*names[:2], "dogs/1.jpg").values()) == {("cats", None), ("dogs", None)}  # without any to train on


def test_letters_that_are_nearly_those_of_a_split_are_others():
    assert places("traın/1.jpg", "test/2.jpg") == {"traın/1.jpg": ("traın", None), "test/2.jpg": ("test", None)}
