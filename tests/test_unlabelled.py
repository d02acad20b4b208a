"""STL-10's pictures without labels, on which a colouriser alone trains."""

import errno
import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import download, params, train_unet, unlabelled
from pipeline.datasets import stl10, store, workers
from pipeline.datasets.scratch import Pictures
from pipeline.system.errors import PipelineError
from pipeline.training import colouriser
from tests import archives
from tests.archives import checksum, make_stl10, write_tar

PARAMS = Path("params.yaml").resolve()
LABELLED = 54  # of the sixty that the archive has to train on; the others are for validation


def photographs(number, side, generator):
    """Pictures as different as photographs are: smooth, in several colours; and classes."""
    small = generator.integers(0, 256, (number, 4, 5, 3), dtype=np.uint8)
    pictures = [np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in small]
    return np.stack(pictures), generator.integers(0, 10, number)


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An empty folder to work in, and where the archive in it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(archives, "draw", photographs)
    return tmp_path / "stl10.tar.gz"


def settings(archive, images, case="stl10-none"):
    content = params.load(PARAMS).model_dump(mode="json") | {"case": case, "images": images}
    content["datasets"]["stl10"] = {"urls": [archive.as_uri()], "checksum": checksum(archive)}
    return params.Params.model_validate(content)


def prepare(archive, images, case="stl10-none"):
    """Run both stages; what the second has written."""
    checked = settings(archive, images, case)
    download.run("target", checked)
    unlabelled.run(checked)
    return store.read(colouriser.UNLABELLED, "train")


def test_a_colouriser_trains_on_labelled_pictures_first_and_on_as_many_without_labels_as_are_lacking(archive, capsys):
    archived = make_stl10(archive, unlabelled=40)
    more = prepare(archive, LABELLED + 25)
    np.testing.assert_array_equal(more.pictures, archived["unlabelled"][0][:25])
    labelled = store.read(colouriser.TARGET, "train")
    assert len(labelled.labels) == LABELLED  # what classifiers get
    given = colouriser.pictures(LABELLED + 25)
    np.testing.assert_array_equal(given.pictures[:], np.concatenate([labelled.pictures, more.pictures]))
    np.testing.assert_array_equal(given.labels, [*labelled.labels, *[-1] * 25])
    for fewer in (10, LABELLED, LABELLED + 3):
        np.testing.assert_array_equal(colouriser.pictures(fewer).pictures[:], given.pictures[:][:fewer])
    assert capsys.readouterr().out.splitlines()[-1] == (
        "data/unlabelled: stl10, 96×96, 25 train pictures without labels, with the 54 in data/target a colouriser "
        "trains on 79"
    )


def test_what_a_colouriser_is_given_reaches_its_training(archive):
    make_stl10(archive, unlabelled=8)
    prepare(archive, LABELLED + 8)
    batches = colouriser.batches(settings(archive, LABELLED + 8), 128, lambda rgb, labels: (rgb, labels))
    train, validation, _ = batches.loaders
    assert len(train.split.pictures) == LABELLED + 8
    assert len(validation.split.pictures) == 6
    assert next(iter(train))[0].shape[1:] == (1, 96, 96)


def test_all_there_are_if_they_are_fewer_and_that_is_told(archive, capsys):
    make_stl10(archive, unlabelled=7)
    assert len(prepare(archive, 100).labels) == 7
    assert len(colouriser.pictures(100).labels) == LABELLED + 7
    assert "trains on 61, there are no more: 39 fewer than images says" in capsys.readouterr().out


def test_greys_and_copies_are_left_out_made_up_for_and_told(archive, monkeypatch, capsys):
    pictures, classes = photographs(120, 96, np.random.default_rng(1))
    train, test, more = pictures[:60], pictures[60:80], pictures[80:].copy()
    more[0] = more[0].mean(axis=2, keepdims=True)
    more[2] = np.clip(test[3].astype(int) + 2, 0, 255)  # nearly the same
    more[4] = train[0]
    more[5] = more[1]
    drawn = iter([(train, classes[:60]), (test, classes[60:80]), (more, classes[80:])])
    monkeypatch.setattr(archives, "draw", lambda *_: next(drawn))
    make_stl10(archive)
    chosen = prepare(archive, LABELLED + 6)
    np.testing.assert_array_equal(chosen.pictures, more[[1, 3, 6, 7, 8, 9]])
    where = "train" if (store.read(colouriser.TARGET, "train").pictures[:] == train[0]).all((1, 2, 3)).any() else None
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"stl10, without labels: left out: 1 grey, 1 copies of test pictures, 1 copies of {where or 'validation'} "
        "pictures, 1 copies of others"
    )


def test_many_are_looked_at_on_all_cores_with_the_same_result(archive, monkeypatch):
    make_stl10(archive, unlabelled=30)
    alone = prepare(archive, LABELLED + 30).pictures[:]
    monkeypatch.setattr(workers, "FEW", 20)
    monkeypatch.setattr(workers, "cores", lambda: 2)
    np.testing.assert_array_equal(prepare(archive, LABELLED + 30).pictures, alone)
    assert [path.name for path in Path("data").iterdir() if path.name.startswith(".")] == []


def test_far_behind_the_last_that_is_wanted_nothing_is_read(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "FEW", 20)
    monkeypatch.setattr(workers, "cores", lambda: 1)
    monkeypatch.setattr(stl10, "CHUNK", 16)
    archived = make_stl10(archive, unlabelled=100)
    content = gzip.decompress(archive.read_bytes())
    download.run("target", settings(archive, 10))
    cut = tmp_path / "cut.tar"
    cut.write_bytes(
        content[: 6 * len(content) // 10]
    )  # the unlabelled ones come behind sixty others, the test ones last
    unlabelled.run(settings(cut, LABELLED + 5))
    np.testing.assert_array_equal(store.read(colouriser.UNLABELLED, "train").pictures, archived["unlabelled"][0][:5])


@pytest.mark.parametrize(("case", "images"), [("stl10-none", LABELLED), ("photos", 100_000)])
def test_none_are_fetched_for_who_wants_none_or_has_none(archive, case, images, capsys):
    make_stl10(archive)
    checked = settings(archive, images, case)
    download.run("target", checked)
    archive.unlink()
    unlabelled.run(checked)
    assert [path.name for path in Path("data/unlabelled").iterdir()] == ["about.json"]
    assert capsys.readouterr().out.splitlines()[-1].startswith("data/unlabelled: none, a colouriser trains on ")
    labelled = store.read(colouriser.TARGET, "train").labels
    np.testing.assert_array_equal(colouriser.pictures(images).labels, labelled)


def test_who_trains_by_hand_is_told_to_fetch_them_first(archive):
    make_stl10(archive)
    download.run("target", settings(archive, LABELLED))
    with pytest.raises(
        PipelineError, match=r"^data/unlabelled: no data set there; run `python -m pipeline unlabelled`$"
    ):
        colouriser.pictures(LABELLED + 1)
    unlabelled.run(settings(archive, LABELLED + 2))
    assert len(colouriser.pictures(LABELLED + 1).labels) == LABELLED + 1
    said = r"^data/unlabelled: made for images: 56, but images is 57; run `python -m pipeline unlabelled`$"
    with pytest.raises(PipelineError, match=said):
        colouriser.pictures(LABELLED + 3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"x", "unlabeled_X.bin has 1 bytes, which is no number of 27648-byte records"),
        (None, "unlabeled_X.bin missing"),
    ],
)
def test_an_archive_with_others_or_none_is_one_line_and_leaves_what_was_there(archive, content, said, monkeypatch):
    make_stl10(archive)
    prepare(archive, LABELLED + 2)
    before = {path.name: path.read_bytes() for path in Path("data/unlabelled").iterdir()}

    def write(path, files):
        changed = {name: content if "unlabeled" in name else files[name] for name in files}
        write_tar(path, {name: content for name, content in changed.items() if content is not None})

    monkeypatch.setattr(archives, "write_tar", write)
    make_stl10(archive)
    with pytest.raises(PipelineError, match=said) as raised:
        prepare(archive, LABELLED + 4)
    assert "\n" not in str(raised.value)
    assert {path.name: path.read_bytes() for path in Path("data/unlabelled").iterdir()} == before
    assert {path.name for path in Path("data").iterdir()} == {"target", "unlabelled"}


def test_a_full_disk_is_told_as_such(archive, monkeypatch):
    make_stl10(archive)
    download.run("target", settings(archive, LABELLED))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Pictures, "append", full)
    with pytest.raises(OSError, match="No space left on device"):
        unlabelled.run(settings(archive, LABELLED + 2))
    assert {path.name for path in Path("data").iterdir()} == {"target"}


def test_a_checkpoint_is_of_the_pictures_without_labels_too(archive):
    make_stl10(archive)
    prepare(archive, LABELLED + 2)
    assert {Path("data/unlabelled/train.npy"), Path("data/target/train.npy")} <= set(colouriser.files())
    assert train_unet.ENCODER not in colouriser.files()
