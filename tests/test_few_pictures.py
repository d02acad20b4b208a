import numpy as np
import pytest

from pipeline import evaluate, params, pretrain, train_gan, train_unet
from pipeline.datasets import store
from pipeline.system.errors import PipelineError
from tests.archives import draw


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """params.yaml with an epoch of everything; the work goes on in an empty folder."""
    content = params.load().model_dump()
    for section in (*content["pretrain"].values(), content["unet"], content["gan"]):
        section["epochs"] = 1
    content["evaluate"] |= {"resamples": 100, "grid": 8}
    monkeypatch.chdir(tmp_path)
    return content


def study(content: dict, counts: dict[str, int], side: int, label: int = 0) -> params.Params:
    """Write so many pictures a split, and run all stages that learn or measure."""
    checked = params.Params.model_validate(content)
    pictures, _ = draw(sum(counts.values()), side, np.random.default_rng(0))
    splits, start = {}, 0
    for name, count in counts.items():
        splits[name] = store.Split(pictures[start : start + count], np.full(count, label))
        start += count
    for role in pretrain.DATA.values():
        store.write(role, {"name": "few", "classes": ["a", "b", "c"]}, splits)
    for name in pretrain.DATA:
        pretrain.run(name, checked)
    train_unet.run(checked)
    train_gan.run(checked)
    return checked


@pytest.mark.parametrize("side", [16, 33])
def test_two_pictures_are_enough_to_train_on_and_classes_may_have_none(settings, side, tmp_path):
    checked = study(settings, {"train": 2, "validation": 1, "test": 3}, side, label=1)
    evaluate.run(checked)
    assert (tmp_path / "metrics/evaluate.json").is_file()


@pytest.mark.parametrize("counts", [{"train": 1, "validation": 1}, {"train": 2, "validation": 0}])
def test_fewer_are_refused_in_one_line(settings, counts):
    given = f"given {counts['train']} pictures to train on and {counts['validation']} to validate on, needed"
    with pytest.raises(PipelineError, match=given):
        study(settings, counts, 16)


def test_one_picture_for_the_colouriser_is_refused(settings):
    settings["images"] = 1
    with pytest.raises(PipelineError, match=r"given 1 pictures to train on .* raise images"):
        study(settings, {"train": 4, "validation": 1}, 16)


def test_patches_larger_than_the_pictures_are_refused(settings):
    settings["gan"]["downsamplings"] = 5
    with pytest.raises(PipelineError, match="downsamplings: given 5, allowed for pictures of 16 pixels: up to 4"):
        study(settings, {"train": 4, "validation": 1}, 16)
    settings["gan"]["downsamplings"] = 4
    study(settings, {"train": 4, "validation": 1}, 16)
