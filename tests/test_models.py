import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline import models
from pipeline.errors import PipelineError
from pipeline.networks.classifier import Classifier
from pipeline.networks.generator import unet


def test_a_colouriser_is_rebuilt_from_its_file_alone(tmp_path):
    network = unet("resnet20").to(memory_format=torch.channels_last).eval()
    path = tmp_path / "models" / "unet.safetensors"
    models.save(path, network, kind="colouriser", architecture="resnet20", data="photos32", unet={"epochs": 2})
    again, about = models.load(path, "colouriser")
    l = torch.rand(1, 1, 32, 32)  # noqa: E741
    with torch.inference_mode():
        torch.testing.assert_close(again(l), network(l))
    assert not again.training
    assert (about["data"], about["unet"]) == ("photos32", {"epochs": 2})
    assert [file.name for file in path.parent.iterdir()] == ["unet.safetensors"]


def test_a_classifier_is_rebuilt_from_its_file_alone(tmp_path):
    network = Classifier("resnet20", 3, 7).eval()
    path = tmp_path / "judge.safetensors"
    models.save(path, network, kind="classifier", architecture="resnet20", channels=3, classes=7)
    again, _ = models.load(path, "classifier")
    rgb = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(again(rgb), network(rgb))


def refusal(path, kind):
    with pytest.raises(PipelineError) as caught:
        models.load(path, kind)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_model_of_that_kind_is_refused_in_one_line(tmp_path):
    assert "no such model" in refusal(tmp_path / "missing.safetensors", "colouriser")

    (tmp_path / "text.safetensors").write_text("this is not a model\n" * 100)
    assert "not a model of this project" in refusal(tmp_path / "text.safetensors", "colouriser")

    save_file({"weight": torch.zeros(3)}, tmp_path / "foreign.safetensors", {"made_by": "somebody else"})
    assert "not a model of this project" in refusal(tmp_path / "foreign.safetensors", "colouriser")

    network = Classifier("resnet20", 3, 7)
    models.save(tmp_path / "j.safetensors", network, kind="classifier", architecture="resnet20", channels=3, classes=7)
    assert "given a model that is a classifier, allowed: a colouriser" in refusal(
        tmp_path / "j.safetensors", "colouriser"
    )

    network = nn.Conv2d(1, 2, 3)  # such as a former version's
    models.save(tmp_path / "former.safetensors", network, kind="colouriser", architecture="resnet20")
    assert "its weights are not those of this version's colouriser on a resnet20" in refusal(
        tmp_path / "former.safetensors", "colouriser"
    )
