import gzip

import numpy as np
import pytest

from pipeline.datasets import stl10
from pipeline.system.errors import PipelineError
from tests.archives import make_stl10, write_tar

PICTURE = b"\0" * stl10.PICTURE


def write(path, files):
    write_tar(path, {f"{stl10.FOLDER}/{name}": content for name, content in files.items()})


def test_every_pixel_and_label_lands_where_it_belongs(tmp_path, monkeypatch):
    monkeypatch.setattr(stl10, "CHUNK", 7)  # so that there are several, and a rest
    archived = make_stl10(tmp_path / "stl10.tar.gz", train=60, test=20)
    read = stl10.read(tmp_path / "stl10.tar.gz")
    assert {name: len(split.labels) for name, split in read.items()} == {"train": 54, "validation": 6, "test": 20}
    np.testing.assert_array_equal(read["test"].pictures, archived["test"][0])
    np.testing.assert_array_equal(read["test"].labels, archived["test"][1])
    label_of = {picture.tobytes(): label for picture, label in zip(*archived["train"], strict=True)}
    seen = [*zip(*read["train"], strict=True), *zip(*read["validation"], strict=True)]
    assert [label_of[picture.tobytes()] for picture, _ in seen] == [label for _, label in seen]
    assert len({picture.tobytes() for picture, _ in seen}) == len(label_of) == 60


def test_one_pixel_by_the_letter_of_the_format(tmp_path):
    picture = bytearray(PICTURE)
    picture[2 * 96 * 96 + 5 * 96 + 3] = 99  # blue plane, column 5, row 3
    files = {"train_X.bin": bytes(picture), "train_y.bin": b"\1", "test_X.bin": bytes(picture), "test_y.bin": b"\x0a"}
    write(tmp_path / "a.tar.gz", files)
    read = stl10.read(tmp_path / "a.tar.gz")
    assert read["test"].pictures[0, 3, 5].tolist() == [0, 0, 99]
    assert read["train"].labels.tolist() == [0]  # the file counts from 1
    assert read["test"].labels.tolist() == [9]


def test_the_unlabelled_pictures_are_not_needed(tmp_path):
    files = {"train_X.bin": PICTURE, "train_y.bin": b"\1", "test_X.bin": PICTURE, "test_y.bin": b"\1"}
    write(tmp_path / "without.tar.gz", files)
    assert len(stl10.read(tmp_path / "without.tar.gz")["test"].labels) == 1
    # Behind all that is needed, they are not even reached: half of them may be missing.
    write(tmp_path / "behind.tar.gz", files | {"unlabeled_X.bin": PICTURE * 100})
    content = gzip.decompress((tmp_path / "behind.tar.gz").read_bytes())
    (tmp_path / "behind.tar").write_bytes(content[: len(content) // 2])
    assert len(stl10.read(tmp_path / "behind.tar")["test"].labels) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"train_X.bin": PICTURE + b"\0"}, "train_X.bin has 27649 bytes, which is no number of 27648-byte records"),
        ({"test_y.bin": b"\0"}, "test_y.bin has no labels, or others than 1 to 10"),
        ({"test_y.bin": b""}, "test_y.bin has no labels"),
        ({"test_y.bin": b"\1\2"}, "1 test pictures, but 2 labels"),
    ],
)
def test_another_archive_is_one_line(tmp_path, wrong, said):
    files = {"train_X.bin": PICTURE, "train_y.bin": b"\1", "test_X.bin": PICTURE, "test_y.bin": b"\1"}
    write(tmp_path / "a.tar.gz", files | wrong)
    with pytest.raises(PipelineError, match=said) as raised:
        stl10.read(tmp_path / "a.tar.gz")
    assert "\n" not in str(raised.value)
