import json

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision.models

from pipeline import params, pretrain, train_unet
from pipeline.colour import rgb_to_l
from pipeline.datasets import colours, store
from pipeline.model_files import saved
from pipeline.system.errors import PipelineError
from pipeline.training.batches import loaders
from tests.archives import draw


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """params.yaml with training that takes seconds; the work goes on in an empty folder."""
    checked = params.load()
    quick = {"epochs": 8, "batch_size": 4}  # of 32×32, so 16 of the 16×16 pictures here
    classifiers = checked.pretrain.model_copy(
        update={name: getattr(checked.pretrain, name).model_copy(update=quick) for name in pretrain.DATA}
    )
    unet = checked.unet.model_copy(update={"epochs": 1, "batch_size": 16})
    monkeypatch.chdir(tmp_path)
    return checked.model_copy(update={"pretrain": classifiers, "unet": unet})


def write_pictures(role: str, classes: int) -> None:
    """Striped pictures in data/ROLE, of which the first classes are kept."""
    pictures, labels = draw(600, 16, np.random.default_rng(0))
    kept = labels < classes
    everything = store.Split(pictures[kept], labels[kept])
    splits = {
        "train": store.Split(*(array[40:] for array in everything)),
        "validation": store.Split(*(array[:40] for array in everything)),
    }
    store.write(pretrain.DATA["encoder"].parent / role, {"name": "stripes", "classes": ["a"] * classes}, splits)


@pytest.mark.parametrize(
    ("name", "role", "channels"), [("encoder", "encoder", 1), ("features", "target", 3), ("judge", "target", 3)]
)
def test_a_classifier_learns_its_own_data_set_and_reports_its_accuracy(settings, name, role, channels, tmp_path):
    write_pictures(role, classes=4)
    pretrain.run(name, settings)
    report = json.loads((tmp_path / f"metrics/{name}.json").read_text())
    assert report["data"] == "stripes"
    assert report["accuracy"] > 0.5  # chance is 0.25
    network, about = saved.load(tmp_path / f"models/{name}.safetensors", "classifier")
    assert (about["channels"], about["classes"], about["accuracy"]) == (channels, 4, report["accuracy"])
    assert network(torch.rand(1, channels, 16, 16)).shape == (1, 4)
    history = pd.read_csv(tmp_path / f"plots/{name}.csv")
    assert history["epoch"].tolist() == list(range(1, 9))
    assert history["validation_accuracy"].iloc[-1] == pytest.approx(report["accuracy"])
    clock = pd.read_csv(tmp_path / f"plots/{name}_seconds.csv")
    assert clock["epoch"].tolist() == history["epoch"].tolist()
    assert (clock["seconds"] > 0).all()


def test_pictures_of_one_class_teach_which_way_is_up(settings, tmp_path, monkeypatch):
    write_pictures("encoder", classes=1)
    given = []
    monkeypatch.setattr(pretrain, "loaders", lambda *what: given.extend(what) or loaders(*what))
    pretrain.run("encoder", settings)
    _, about = saved.load(tmp_path / "models/encoder.safetensors", "classifier")
    assert about["classes"] == 4
    rgb = torch.rand(4, 3, 16, 16)
    seen, turns = given[2](rgb, torch.zeros(4, dtype=torch.int64))
    assert turns.tolist() == [0, 1, 2, 3]
    for turn, lightness in enumerate(seen):
        torch.testing.assert_close(lightness[None], rgb_to_l(rgb[[turn]].rot90(turn, (2, 3))))


def test_an_encoder_of_nothing_has_random_weights_and_no_accuracy(settings, tmp_path):
    store.write(tmp_path / "data/encoder", {"name": "none"}, {})
    pretrain.run("encoder", settings)
    assert json.loads((tmp_path / "metrics/encoder.json").read_text()) == {"data": "none"}
    _, about = saved.load(tmp_path / "models/encoder.safetensors", "classifier")
    assert (about["data"], about["architecture"]) == ("none", "vgg8")
    assert pd.read_csv(tmp_path / "plots/encoder.csv").empty


ABOUT = {"name": "imagenet", "architecture": "resnet18", "mean": [0.5, 0.5, 0.5], "deviation": [0.2, 0.2, 0.2]}


def imagenet(folder, weights) -> None:
    folder.mkdir(parents=True)
    (folder / "about.json").write_text(json.dumps(ABOUT))
    torch.save(weights, folder / "weights.pth")


def test_an_encoder_of_imagenet_has_torchvisions_weights_and_a_unet_stands_on_it(settings, tmp_path):
    weights = torchvision.models.resnet18().state_dict()
    imagenet(tmp_path / "data/encoder", weights)
    pretrain.run("encoder", settings)
    network, about = saved.load(tmp_path / "models/encoder.safetensors", "classifier")
    assert (about["architecture"], about["data"], about["classes"]) == ("resnet18", "imagenet", 1000)
    torch.testing.assert_close(network.state_dict()["body.8.1.conv2.weight"], weights["layer4.1.conv2.weight"])

    pictures, labels = draw(32, 32, np.random.default_rng(0))
    few = store.Split(pictures, labels)
    store.write(tmp_path / "data/target", {"name": "stripes"}, {"train": few, "validation": few})
    train_unet.run(settings)
    painter, about = saved.load(tmp_path / "models/unet.safetensors", "colouriser")
    assert (about["encoder"], about["data"]) == ("imagenet", "stripes")
    assert painter(torch.rand(1, 1, 32, 32)).shape == (1, 2, 32, 32)


@pytest.mark.parametrize(
    "make_weights",
    [lambda: {"conv1.weight": torch.zeros(3)}, lambda: torchvision.models.resnet34().state_dict(), lambda: [1, 2]],
    ids=["too few", "another architecture", "no weights"],
)
def test_other_weights_than_imagenets_are_refused_in_one_line(settings, tmp_path, make_weights):
    imagenet(tmp_path / "data/encoder", make_weights())
    with pytest.raises(PipelineError, match="not ImageNet weights of a resnet18") as caught:
        pretrain.run("encoder", settings)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "models").exists()


def test_weights_that_would_run_something_are_refused_and_do_not(settings, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path / "went off").touch, ()

    imagenet(tmp_path / "data/encoder", Bomb())
    with pytest.raises(PipelineError, match="not ImageNet weights of a resnet18"):
        pretrain.run("encoder", settings)
    assert not (tmp_path / "went off").exists()


def test_the_first_pictures_are_left_out_of_the_encoders_training_alone(settings):
    write_pictures("encoder", classes=10)
    chosen = settings.pretrain.encoder.model_copy(update={"leave_out": 100})
    everything = store.read(pretrain.DATA["encoder"], "train")
    coloured = colours.coloured(everything)
    left = pretrain.pictures("encoder", chosen)
    assert pretrain.pictures("encoder", chosen.model_copy(update={"leave_out": 0})).pictures.shape == (560, 16, 16, 3)
    np.testing.assert_array_equal(left.pictures, everything.pictures[coloured[100] :])
    np.testing.assert_array_equal(left.labels, everything.labels[coloured[100] :])
    shared = set(map(bytes, left.pictures)) & set(map(bytes, everything.take(coloured[:100]).pictures))
    assert not shared
    with pytest.raises(PipelineError, match=r"^pretrain\.encoder\.leave_out: given 560, allowed here: up to 558, "):
        pretrain.pictures("encoder", chosen.model_copy(update={"leave_out": 560}))
    assert len(pretrain.pictures("encoder", chosen.model_copy(update={"leave_out": 558})).labels) == 2


def test_grey_pictures_which_no_colouriser_is_given_do_not_count_among_those_left_out(settings):
    pictures, labels = draw(60, 16, np.random.default_rng(0))
    pictures[:20] = 90
    split = store.Split(pictures, labels)
    store.write(pretrain.DATA["encoder"], {"name": "stripes"}, {"train": split, "validation": split})
    chosen = settings.pretrain.encoder.model_copy(update={"leave_out": 30})
    np.testing.assert_array_equal(pretrain.pictures("encoder", chosen).pictures, pictures[50:])
