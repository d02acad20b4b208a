import os
import shutil
import sys
from functools import partial

import numpy as np
import pytest

from pipeline.datasets import store
from pipeline.system.errors import PipelineError
from tests.archives import draw


@pytest.fixture
def folder(tmp_path):
    pictures = store.Split(*draw(3, 16, np.random.default_rng(0)))
    store.write(tmp_path / "data/target", {"name": "stripes"}, {"train": pictures})
    return tmp_path / "data/target"


def test_what_was_written_is_read_again(folder):
    pictures, labels = draw(3, 16, np.random.default_rng(0))
    again = store.read(folder, "train")
    np.testing.assert_array_equal(again.pictures, pictures)
    np.testing.assert_array_equal(again.labels, labels)
    assert store.read_about(folder) == {"name": "stripes"}


def test_joined_pictures_are_like_one_array():
    first, second = (store.Split(*draw(number, 16, np.random.default_rng(number))) for number in (5, 3))
    joined = first.then(second)
    whole = np.concatenate([first.pictures, second.pictures])
    assert joined.pictures.shape == whole.shape
    assert len(joined.pictures) == len(joined.labels) == 8
    for chosen in (slice(None), slice(2), slice(6, None), slice(None, None, 3), np.array([7, 0, 5]), np.array([], int)):
        np.testing.assert_array_equal(joined.pictures[chosen], whole[chosen])
    np.testing.assert_array_equal(joined.labels, np.concatenate([first.labels, second.labels]))


@pytest.mark.parametrize("share", [0, 0.1, 0.9])
@pytest.mark.parametrize("name", ["train.npy", "train_labels.npy", "about.json"])
def test_what_is_cut_off_is_refused_in_one_line(folder, name, share):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    read = store.read_about if name == "about.json" else partial(store.read, split="train")
    with pytest.raises(PipelineError, match=r"damaged; run `python -m pipeline download target`$") as raised:
        read(folder)
    assert "\n" not in str(raised.value)


def test_all_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(os, "fsync", lambda file: kept.append(os.fstat(file).st_ino))
    (tmp_path / "weights").write_bytes(b"weights")
    pictures = store.Split(*draw(3, 16, np.random.default_rng(0)))
    store.write(
        tmp_path / "target",
        {"name": "stripes"},
        {"train": pictures},
        {"more": partial(shutil.copyfile, tmp_path / "weights")},
    )
    assert sorted(kept) == sorted(path.stat().st_ino for path in (tmp_path / "target").iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="protection from writing has to go there, in the cache as well")
def test_what_dvc_has_linked_into_its_cache_stays_as_it_is(tmp_path):
    old = store.Split(np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2, np.int64))
    store.write(tmp_path / "target", {"name": "a"}, {"train": old})
    cached = tmp_path / "cached"
    cached.hardlink_to(tmp_path / "target/train.npy")
    cached.chmod(0o444)
    content = cached.read_bytes()
    store.write(tmp_path / "target", {"name": "a"}, {"train": store.Split(old.pictures + 1, old.labels)})
    assert (cached.read_bytes(), cached.stat().st_mode & 0o777) == (content, 0o444)
    assert store.read(tmp_path / "target", "train").pictures[:].max() == 1
