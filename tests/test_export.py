import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from pipeline import export
from pipeline.colourise import Colouriser
from pipeline.datasets import photos
from pipeline.measuring import report
from pipeline.model_files import inference, metadata, model_card, saved
from pipeline.networks.classifier import Classifier
from pipeline.system.errors import PipelineError
from pipeline.system.files import sha256
from tests.painters import CLASSIFIER, COLOURISER, random_unet

ABOUT = {"data": "cifar10", "encoder": "stl10", "seed": 3, "unet": {"epochs": 2, "learning_rate": 0.01}}


@pytest.fixture
def quick(exported, monkeypatch):
    """What was exported is taken for what would be exported now."""
    monkeypatch.setattr(export, "to_onnx", lambda network, about, half: (exported / "unet.onnx").read_bytes())


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with a model of random weights, its ONNX file and its card."""
    folder = tmp_path_factory.mktemp("exported")
    torch.manual_seed(0)
    network = random_unet()
    saved.save(folder / "unet.safetensors", network, **COLOURISER | ABOUT)
    export.run(str(folder / "unet.safetensors"), None)
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_file_and_a_card_are_beside_the_model(exported):
    assert sorted(files(exported)) == ["unet.onnx", "unet.onnx.md", "unet.safetensors"]
    onnx.checker.check_model(exported / "unet.onnx", full_check=True)


@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (3, 1, 40, 97), (1, 1, 128, 64), (2, 1, 5, 200), (1, 1, 1, 1)])
def test_any_number_of_pictures_of_any_size_get_the_colours_that_torch_gives_them(exported, shape):
    l = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)  # noqa: E741
    found = inference.load(exported / "unet.onnx")(l)
    assert found.shape == (shape[0], 2, *shape[2:])
    np.testing.assert_allclose(found, inference.load(exported / "unet.safetensors")(l), atol=export.TOLERANCE)
    assert found.std() > 10 * export.TOLERANCE or found.size == 2


def test_with_weights_of_16_bits_the_file_is_half_as_large_and_colours_are_the_same_to_the_eye(exported, tmp_path):
    export.run(str(exported / "unet.safetensors"), tmp_path / "half.onnx", half=True)
    onnx.checker.check_model(tmp_path / "half.onnx", full_check=True)
    whole, half = (path.stat().st_size for path in (exported / "unet.onnx", tmp_path / "half.onnx"))
    assert half < 0.6 * whole
    l = np.random.default_rng(1).uniform(-1, 1, (2, 1, 40, 97)).astype(np.float32)  # noqa: E741
    found, expected = (inference.load(path)(l) for path in (tmp_path / "half.onnx", exported / "unet.onnx"))
    assert 0 < np.abs(found - expected).max() < 0.5 / 110


def test_a_gain_multiplies_colours_and_the_card_says_so(exported, tmp_path):
    export.run(str(exported / "unet.safetensors"), tmp_path / "strong.onnx", gain=1.5)
    l = np.random.default_rng(1).uniform(-1, 1, (1, 1, 40, 64)).astype(np.float32)  # noqa: E741
    strong, plain = (inference.load(path)(l) for path in (tmp_path / "strong.onnx", exported / "unet.onnx"))
    np.testing.assert_allclose(strong, 1.5 * plain, atol=1e-5)
    card = (tmp_path / "strong.onnx.md").read_text()
    assert "its colours then multiplied by 1.5" in card
    assert "None: it was not measured with its colours multiplied." in card


def test_the_file_says_what_it_is_and_nothing_of_the_machine(exported):
    session = onnxruntime.InferenceSession(exported / "unet.onnx")
    assert [axis.shape for axis in session.get_inputs()] == [["pictures", 1, "height", "width"]]
    assert [axis.shape for axis in session.get_outputs()] == [["pictures", 2, "height", "width"]]
    assert session.get_modelmeta().custom_metadata_map.keys() == {"colourgan", "sha256"}
    assert '"data":"cifar10"' in session.get_modelmeta().custom_metadata_map["colourgan"]
    content = (exported / "unet.onnx").read_bytes()
    assert str(Path(export.__file__).parents[1]).encode() not in content
    assert b"site-packages" not in content


def test_a_photograph_is_coloured_alike_and_without_torch(exported, tmp_path):
    photos.load("coffee").resize((300, 200)).save(tmp_path / "photo.png")
    command = (
        "import sys; from pipeline.cli import app; "
        f"app(['colourise', 'photo.png', '--out', 'out', '--model', {str(exported / 'unet.onnx')!r}], "
        "standalone_mode=False); assert not {'torch', 'fastai'} & sys.modules.keys()"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", command], cwd=tmp_path, env=environment, check=True, capture_output=True)
    with Image.open(tmp_path / "photo.png") as photograph:
        expected = Colouriser.load(exported / "unet.safetensors")(photograph)
    with Image.open(tmp_path / "out/photo.png") as found:
        assert np.abs(np.array(found).astype(int) - np.array(expected)).max() <= 1


def test_the_card_tells_the_training_and_the_licences(exported):
    card = (exported / "unet.onnx.md").read_text()
    for said in ("cifar10", "stl10", "seed 3", "epochs 2, learning rate 0.01", "trained with an L1 loss; ", "Coates"):
        assert said in card
    assert "None: metrics/evaluate.json is not about this model." in card


@pytest.mark.parametrize(("weight", "how"), [(0, "for livelier colours"), (1, "against a PatchGAN")])
def test_the_card_names_an_adversary_only_if_there_was_one(tmp_path, weight, how):
    about = COLOURISER | ABOUT | {"torch": "2", "gan": {"adversarial_weight": weight}}
    card = model_card.write(tmp_path / "gan.safetensors", "gan.onnx", about, 1, 0.0)
    assert f"trained with an L1 loss, then {how}; 1 weights" in card


def test_the_card_has_figures_of_the_very_file_alone(exported, quick, tmp_path, monkeypatch):
    digest = sha256(exported / "unet.safetensors")
    results = (
        '{"unet": {"skill": 0.125, "skill_low": 0.1, "skill_high": 0.15}, "measured_on": {"sha256": {"unet": "%s"}, '
    )
    results += '"pictures": 9, "target": "cifar10"}}'
    monkeypatch.setattr(report, "FIGURES", tmp_path / "evaluate.json")
    for measured, there in ((digest, True), ("another", False)):
        report.FIGURES.write_text(results % measured)
        export.run(str(exported / "unet.safetensors"), tmp_path / "x.onnx")
        assert ("| skill | 0.125 | 0.1 to 0.15 |" in (tmp_path / "x.onnx.md").read_text()) == there


def test_a_file_that_computes_something_else_is_not_written(quick, tmp_path):
    other = tmp_path / "other.safetensors"
    saved.save(other, random_unet(), **COLOURISER | ABOUT)
    with pytest.raises(PipelineError, match="onnxruntime's ab differs by"):
        export.run(str(other), None)
    assert list(files(tmp_path)) == ["other.safetensors"]


def refusal(work, *arguments):
    with pytest.raises(PipelineError) as caught:
        work(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_exported_is_refused_in_one_line(exported, quick, tmp_path):
    judge = tmp_path / "judge.safetensors"
    saved.save(judge, Classifier("resnet20", 3, 2), **CLASSIFIER)
    model = str(exported / "unet.safetensors")
    assert "there is no pix2pix" in refusal(export.run, "pix2pix", None)
    assert "--model photograph: given an ONNX file, allowed: unet, gan" in refusal(export.run, "photograph", None)
    assert "given a model that is a classifier" in refusal(export.run, str(judge), None)
    for out in (tmp_path / "unet.pth", Path(), Path("/")):
        assert "allowed: .onnx" in refusal(export.run, model, out)
    (tmp_path / "file").write_text("")
    assert "give a file that can be written" in refusal(export.run, model, tmp_path / "file" / "x.onnx")
    assert sorted(files(tmp_path)) == ["file", "judge.safetensors"]


def test_an_export_takes_the_place_of_an_export_alone(exported, quick, tmp_path):
    model, out, card = str(exported / "unet.safetensors"), tmp_path / "README.onnx", tmp_path / "README.onnx.md"
    (tmp_path / "README.md").write_text("mine")
    export.run(model, out)
    ours = {path: path.read_bytes() for path in (out, card)}
    export.run(model, out)
    for path in (out, card):
        for content in (b"mine", b"", ours[path][:-1], b"more" + ours[path], ours[path] + b"\n"):
            path.write_bytes(content)
            before = files(tmp_path)
            said = refusal(export.run, model, out)
            assert f"{path} is there, and not as export wrote it" in said
            assert "--force" in said
            assert files(tmp_path) == before
        export.run(model, out, force=True)
        assert {path: path.read_bytes() for path in (out, card)} == ours
    assert (tmp_path / "README.md").read_text() == "mine"


def test_the_model_itself_is_never_replaced(exported, quick, tmp_path):
    model, same = tmp_path / "unet.safetensors", tmp_path / "x.onnx"
    model.write_bytes((exported / "unet.safetensors").read_bytes())
    same.hardlink_to(model)
    assert "given the model itself" in refusal(export.run, str(model), same, True)
    assert sorted(files(tmp_path)) == ["unet.safetensors", "x.onnx"]
    assert saved.load(model, "colouriser")


@pytest.mark.parametrize("name", ["a" * 250 + ".onnx", "a.onnx/x.onnx"])
def test_where_file_or_card_cannot_be_written_neither_is(exported, quick, tmp_path, name):
    (tmp_path / "a.onnx").write_text("mine")
    said = refusal(export.run, str(exported / "unet.safetensors"), tmp_path / name)
    assert "give a file that can be written" in said
    assert sorted(files(tmp_path)) == ["a.onnx"]


@pytest.mark.parametrize("name", [b"\xff.onnx", b"\n.onnx", b"-x.onnx"])
def test_the_file_may_have_any_name(exported, quick, tmp_path, capsys, name):
    out = tmp_path / os.fsdecode(name)
    export.run(str(exported / "unet.safetensors"), out)
    assert sorted(files(tmp_path)) == [out.name, f"{out.name}.md"]
    assert capsys.readouterr().out.removesuffix("\n").isprintable()


def test_what_is_no_onnx_model_of_a_colouriser_is_refused_in_one_line(exported, tmp_path):
    path = tmp_path / "x.onnx"
    assert "no such model" in refusal(inference.load, path)
    path.write_text("not a model")
    assert "not a model of this project" in refusal(inference.load, path)
    content = (exported / "unet.onnx").read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "not a model of this project" in refusal(inference.load, path)
    path.write_bytes(b"")
    assert str(path) in refusal(inference.load, path)
    foreign = onnx.load(exported / "unet.onnx")
    del foreign.metadata_props[:]
    onnx.save(foreign, path)
    assert "it is not as `export` wrote it" in refusal(inference.load, path)
    path.write_bytes(metadata.seal(path.read_bytes()))
    assert "it says nothing about itself" in refusal(inference.load, path)
    path.unlink()
    path.mkdir()
    assert "not a model of this project" in refusal(inference.load, path)


def test_an_onnx_file_with_a_byte_changed_or_cut_off_anywhere_is_refused(exported, tmp_path):
    path, content = tmp_path / "x.onnx", (exported / "unet.onnx").read_bytes()
    for place in [*range(0, 1000, 101), *range(1000, len(content), 200_003), len(content) - 1]:
        for changed in (content[:place], content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]):
            path.write_bytes(changed)
            said = refusal(inference.load, path)
            assert "it is not as `export` wrote it" in said or "not a model of this project (" in said
