import json
import pickle
import struct
import subprocess
import sys
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pipeline.model_files import inference, metadata, saved
from pipeline.networks.classifier import Classifier
from pipeline.networks.generator import unet
from pipeline.system.errors import PipelineError
from tests.painters import CLASSIFIER, COLOURISER, tinting


def test_a_colouriser_is_rebuilt_from_its_file_alone(tmp_path):
    network = unet("resnet20").to(memory_format=torch.channels_last).eval()
    path = tmp_path / "models" / "unet.safetensors"
    saved.save(path, network, **COLOURISER | {"dropout": 0.2})
    again, about = saved.load(path, "colouriser")
    l = torch.rand(1, 1, 32, 32)  # noqa: E741
    with torch.inference_mode():
        torch.testing.assert_close(again(l), network(l))
    assert not again.training
    assert {layer.p for layer in again.layers if isinstance(layer, nn.Dropout2d)} == {0.2}
    assert (about["data"], about["unet"]) == ("photos32", {"epochs": 2})
    assert [file.name for file in path.parent.iterdir()] == ["unet.safetensors"]


def test_a_classifier_is_rebuilt_from_its_file_alone(tmp_path):
    network = Classifier("resnet20", 3, 7).eval()
    path = tmp_path / "judge.safetensors"
    saved.save(path, network, **CLASSIFIER | {"classes": 7})
    again, _ = saved.load(path, "classifier")
    rgb = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(again(rgb), network(rgb))


def refusal(path, kind):
    with pytest.raises(PipelineError) as caught:
        saved.load(path, kind)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_model_of_that_kind_is_refused_in_one_line(tmp_path):
    assert "no such model" in refusal(tmp_path / "missing.safetensors", "colouriser")

    (tmp_path / "text.safetensors").write_text("this is not a model\n" * 100)
    assert "not a model of this project" in refusal(tmp_path / "text.safetensors", "colouriser")

    save_file({"weight": torch.zeros(3)}, tmp_path / "foreign.safetensors", {"made_by": "somebody else"})
    assert "not a model of this project" in refusal(tmp_path / "foreign.safetensors", "colouriser")

    network = Classifier("resnet20", 3, 7)
    saved.save(tmp_path / "j.safetensors", network, **CLASSIFIER | {"classes": 7})
    assert "given a model that is a classifier, allowed: a colouriser" in refusal(
        tmp_path / "j.safetensors", "colouriser"
    )

    network = nn.Conv2d(1, 2, 3)  # such as a former version's
    saved.save(tmp_path / "former.safetensors", network, **COLOURISER)
    assert "its weights are not those of this version's colouriser on a resnet20" in refusal(
        tmp_path / "former.safetensors", "colouriser"
    )


def header(path):
    """The JSON that a safetensors file begins with, and the weights behind it."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def write(path, head, weights):
    text = json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + weights)


@pytest.fixture
def judge(tmp_path):
    path = tmp_path / "judge.safetensors"
    saved.save(path, Classifier("resnet20", 3, 2), **CLASSIFIER)
    return path


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("architecture", "vgg", "architecture: vgg8, resnet20, "),
        ("architecture", None, "architecture: Field required"),
        ("channels", 2, "channels: Input should be 1 or 3"),
        ("channels", "x", "channels: Input should be 1 or 3"),
        ("classes", -1, "classes: Input should be greater than or equal to 1"),
        ("classes", 10**9, "classes: Input should be less than or equal to 100000"),
        ("classes", [2], "classes: Input should be a valid integer"),
        ("classes", 3, "its weights are not those of this version's classifier on a resnet20"),
        ("data", None, "data: Field required"),
        ("seed", None, "seed: Field required"),
        ("kind", None, "kind: Field required"),
        ("kind", "network", "kind: Input should be 'classifier'"),
        ("weights_sha256", None, "its weights are not those that were saved"),
    ],
)
def test_a_file_that_says_nonsense_about_itself_is_refused_by_name(judge, key, value, said):
    head, weights = header(judge)
    about = json.loads(head["__metadata__"][metadata.KEY])
    about[key] = value
    if value is None:
        del about[key]
    write(judge, head | {"__metadata__": {metadata.KEY: json.dumps(about)}}, weights)
    assert said in refusal(judge, "classifier")


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "null", "{}", '{"kind": NaN}', "\ud800"])
def test_a_file_that_says_no_json_about_itself_is_refused(judge, text):
    head, weights = header(judge)
    write(judge, head | {"__metadata__": {metadata.KEY: text}}, weights)
    assert "not a model of this project" in refusal(judge, "classifier")


def test_a_file_cut_off_anywhere_is_refused(judge):
    content = judge.read_bytes()
    for length in [*range(0, 200, 7), 1000, len(content) // 2, len(content) - 4, len(content) - 1]:
        judge.write_bytes(content[:length])
        assert "not a model of this project" in refusal(judge, "classifier")


def test_a_byte_changed_anywhere_is_noticed(judge):
    network, about = saved.load(judge, "classifier")
    content = judge.read_bytes()
    for place in [*range(0, 2000, 37), *range(2000, len(content), 9973)]:
        judge.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            again, said = saved.load(judge, "classifier")
        except PipelineError:
            continue
        # What is left is the wording: a letter in the name of the data, say.
        assert said | {"data": 0, "torch": 0, "seed": 0} == about | {"data": 0, "torch": 0, "seed": 0}
        assert all(torch.equal(a, b) for a, b in zip(again.parameters(), network.parameters(), strict=True))


def test_other_types_missing_and_further_weights_are_refused(judge):
    weights = load_file(judge)
    strings = header(judge)[0]["__metadata__"]
    for changed in (
        {name: tensor.half() for name, tensor in weights.items()},
        {name: tensor.bfloat16() for name, tensor in weights.items()},
        {name: tensor for name, tensor in weights.items() if name != "head.bias"},
        weights | {"further": torch.zeros(1)},
        {},
    ):
        save_file(changed, judge, strings)
        assert "its weights are not those that were saved" in refusal(judge, "classifier")


@pytest.mark.parametrize(("kind", "bits"), [("F8_E8M0", 8), ("F6_E2M3", 6), ("F4", 4), ("X", 8)])
def test_types_that_numpy_or_torch_have_not_are_refused(judge, kind, bits):
    head, weights = header(judge)
    stem = next(entry for entry in head.values() if entry.get("shape") == [16, 3, 3, 3])
    first, last = stem["data_offsets"]
    stem |= {"dtype": kind, "shape": [(last - first) * 8 // bits]}
    write(judge, head, weights)
    assert "not a model of this project" in refusal(judge, "classifier")


def test_a_pickle_is_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path / "went off").touch, ()

    path = tmp_path / "bomb.safetensors"
    for dump in (lambda: path.write_bytes(pickle.dumps(Bomb())), lambda: torch.save(Bomb(), path)):
        dump()
        assert "not a model of this project" in refusal(path, "colouriser")
    assert not (tmp_path / "went off").exists()


def test_a_folder_is_no_model(tmp_path):
    assert "not a model of this project" in refusal(tmp_path, "colouriser")


def test_a_stage_says_so_if_another_torch_trained_what_it_builds_on(judge, monkeypatch, capsys):
    saved.build_on(judge, "classifier")
    assert capsys.readouterr().err == ""
    before = torch.__version__
    monkeypatch.setattr(torch, "__version__", "99.0.0")
    saved.build_on(judge, "classifier")
    assert capsys.readouterr().err == (
        f"warning: {judge}: trained with torch {before}, and this is torch 99.0.0; for results of one version alone, "
        "run `dvc repro --force`\n"
    )
    saved.load(judge, "classifier")  # to colour with it, that does not matter
    assert capsys.readouterr().err == ""


def test_the_same_model_is_the_same_file_in_another_process(tmp_path):
    code = """
import sys, torch
from pathlib import Path
from pipeline.model_files import saved
from pipeline.networks.classifier import Classifier
from tests.painters import CLASSIFIER
torch.manual_seed(0)
saved.save(Path(sys.argv[1]), Classifier("resnet20", 3, 2), **CLASSIFIER)
"""
    there, here = tmp_path / "there", tmp_path / "here"
    subprocess.run([sys.executable, "-c", code, there], check=True)
    torch.manual_seed(0)
    saved.save(here, Classifier("resnet20", 3, 2), **CLASSIFIER)
    assert there.read_bytes() == here.read_bytes()


def test_a_device_that_onnxruntime_cannot_use_is_the_cpu_or_refused_where_it_was_asked_for(tmp_path, monkeypatch):
    path = tmp_path / "tint.onnx"
    path.write_bytes(tinting(20, 30))
    there = [inference.PROVIDERS["cuda"], inference.PROVIDERS["cpu"]]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: there)  # as built for GPUs, without a driver
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert inference.load(path).device == "cpu"
        with pytest.raises(PipelineError, match=r"^--device cuda: onnxruntime knows it, but cannot use it here"):
            inference.load(path, "cuda")
        path.write_bytes(b"no model")
        with pytest.raises(PipelineError, match="not a model"):
            inference.load(path, "cuda")
