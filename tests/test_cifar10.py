import numpy as np
import pytest

from pipeline.datasets import cifar10, splits
from pipeline.system.errors import PipelineError
from tests.archives import make_cifar10, write_tar

NAMES = [f"{cifar10.FOLDER}/{name}" for name in (*cifar10.TRAIN, cifar10.TEST)]


def test_every_pixel_and_label_lands_where_it_belongs(tmp_path):
    archived = make_cifar10(tmp_path / "cifar10.tar.gz", train_per_batch=40, test=30)
    read = cifar10.read(tmp_path / "cifar10.tar.gz")
    np.testing.assert_array_equal(read["test"].pictures, archived["test"][0])
    np.testing.assert_array_equal(read["test"].labels, archived["test"][1])
    label_of = {picture.tobytes(): label for picture, label in zip(*archived["train"], strict=True)}
    seen = [*zip(*read["train"], strict=True), *zip(*read["validation"], strict=True)]
    assert [label_of[picture.tobytes()] for picture, _ in seen] == [label for _, label in seen]
    assert len({picture.tobytes() for picture, _ in seen}) == len(label_of) == 200  # each once, none lost


def test_one_pixel_by_the_letter_of_the_format(tmp_path):
    record = bytearray(cifar10.RECORD)
    record[0] = 7
    record[1 + 1024 + 3 * 32 + 5] = 99  # green plane, row 3, column 5
    write_tar(tmp_path / "a.tar.gz", {name: bytes(record) for name in NAMES})
    pictures, labels = cifar10.read(tmp_path / "a.tar.gz")["test"]
    assert pictures[0, 3, 5].tolist() == [0, 99, 0]
    assert pictures.sum() == 99
    assert labels.tolist() == [7]


def test_validation_is_a_tenth_of_training_cut_the_same_way_every_time(tmp_path):
    make_cifar10(tmp_path / "cifar10.tar.gz", train_per_batch=40)
    first, second = cifar10.read(tmp_path / "cifar10.tar.gz"), cifar10.read(tmp_path / "cifar10.tar.gz")
    assert {name: split.pictures.shape for name, split in first.items()} == {
        "train": (180, 32, 32, 3),
        "validation": (20, 32, 32, 3),
        "test": (40, 32, 32, 3),
    }
    for name in first:
        np.testing.assert_array_equal(first[name].pictures, second[name].pictures)


def test_validation_takes_2000_at_most_and_the_order_mixes_classes():
    labels = np.repeat(np.arange(10), 2500)
    train, validation = splits.cut_validation(splits.Split(np.zeros((25_000, 1, 1, 3), np.uint8), labels))
    assert (len(train.labels), len(validation.labels)) == (23_000, 2_000)
    assert np.bincount(train.labels[:1000]).min() > 60  # of 100 in each class


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\0" * (cifar10.RECORD + 1), "3074 bytes, which is no number of 3073-byte records"),
        (b"", "has 0 bytes"),
        (b"\x0a" * cifar10.RECORD, "has a class 10, allowed: 0 to 9"),
    ],
)
def test_another_archive_is_one_line(tmp_path, content, said):
    write_tar(tmp_path / "a.tar.gz", dict.fromkeys(NAMES, content))
    with pytest.raises(PipelineError, match=said) as raised:
        cifar10.read(tmp_path / "a.tar.gz")
    assert "\n" not in str(raised.value)
