"""Other people's models: those that are known by their signature, and files that are hostile."""

import os
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from pipeline.colour import AB_SCALE, bytes_to_rgb, l_to_grey, rgb_to_l_ab
from pipeline.colouring import colourise_files
from pipeline.colourise import Colouriser
from pipeline.model_files import inference
from pipeline.photographs import writing
from pipeline.serving import worker
from pipeline.system.errors import PipelineError
from tests.painters import tinting

SIGNATURE = ("input", [1, 3, 48, 64]), ("output", [1, 2, 48, 64])


def model(nodes, given=SIGNATURE[0], made=SIGNATURE[1], kind=TensorProto.FLOAT, **constants):
    """An ONNX file; constants by name."""
    values = [
        value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), name)
        for name, value in constants.items()
    ]
    shapes = [helper.make_tensor_value_info(name, kind, shape) for name, shape in (given, made)]
    graph = helper.make_graph(nodes, "model", shapes[:1], shapes[1:], values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def ddcolor(a=20.0, b=30.0, **more):
    """Of DDColor's signature: where grey is light a and b are as given, and where it is dark they are 0."""
    nodes = [
        helper.make_node("Slice", ["input", "first", "third", "channels"], ["two"]),
        helper.make_node("Mul", ["two", "tint"], ["output"]),
    ]
    constants = {"first": np.array([0]), "third": np.array([2]), "channels": np.array([1])}
    return model(nodes, **constants | {"tint": np.array([a, b], np.float32).reshape(1, 2, 1, 1)} | more)


def save(folder, content):
    (folder / "model.onnx").write_bytes(content)
    return folder / "model.onnx"


def refusal(act, *arguments):
    with pytest.raises(PipelineError) as refused:
        act(*arguments)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def lab(picture):
    """L* (H, W), and a* and b* (2, H, W)."""
    l, ab = rgb_to_l_ab(bytes_to_rgb(np.asarray(picture)[None]))  # noqa: E741
    return (l[0, 0] + 1) * 50, ab[0] * AB_SCALE


def test_ddcolor_sees_grey_of_its_own_shape_and_paints_in_labs_units(tmp_path):
    network = inference.load(save(tmp_path, ddcolor()))
    assert network.shape == (48, 64)
    l = np.linspace(-1, 1, 48 * 64, dtype=np.float32).reshape(1, 1, 48, 64).repeat(2, axis=0)  # noqa: E741
    ab = network(l)
    assert ab.dtype == np.float32
    expected = l_to_grey(l) * np.array([20, 30]).reshape(1, 2, 1, 1) / AB_SCALE
    np.testing.assert_allclose(ab, expected, atol=1e-5)


@pytest.mark.parametrize("batch", [1, "batch", None])
@pytest.mark.parametrize("size", [(640, 480), (20, 30), (3, 900)])
def test_any_photograph_is_coloured_at_its_full_size(tmp_path, batch, size):
    content = ddcolor(given=("input", [batch, 3, 48, 64]), made=("output", [batch, 2, 48, 64]))
    picture = Image.new("L", size, 128)
    coloured = Colouriser.load(save(tmp_path, content))(picture)
    assert coloured.size == size
    lightness, ab = lab(coloured)
    assert np.abs(lightness - lab(picture.convert("RGB"))[0]).max() < 0.35
    np.testing.assert_allclose(ab.mean((1, 2)), [20 * 128 / 255, 30 * 128 / 255], atol=0.5)


def test_colours_follow_the_edges_of_the_photograph(tmp_path):
    picture = np.zeros((480, 640), np.uint8)
    picture[:, 331:] = 200
    coloured = Colouriser.load(save(tmp_path, ddcolor()))(Image.fromarray(picture))
    _, ab = lab(coloured)
    assert np.abs(ab[:, :, :331]).max() < 1
    assert ab[1, :, 331:].min() > 15


def test_our_own_are_known_by_what_they_say_of_themselves(tmp_path):
    network = inference.load(save(tmp_path, tinting(20, 30)))
    assert network.shape is None
    np.testing.assert_allclose(network(np.zeros((1, 1, 9, 7), np.float32))[0, :, 0, 0] * AB_SCALE, [20, 30], rtol=1e-5)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"given": ("data", [1, 3, 48, 64])}, "data tensor(float) [1, 3, 48, 64] → output"),
        ({"made": ("ab", [1, 2, 48, 64])}, "→ ab tensor(float) [1, 2, 48, 64]"),
        ({"given": ("input", [1, 1, 48, 64])}, "input tensor(float) [1, 1, 48, 64]"),
        ({"made": ("output", [1, 3, 48, 64])}, "output tensor(float) [1, 3, 48, 64]"),
        ({"given": ("input", [4, 3, 48, 64])}, "[4, 3, 48, 64]"),
        ({"given": ("input", [1, 3, "height", "width"])}, "'height'"),
        ({"given": ("input", [1, 3, 1, 1])}, "[1, 3, 1, 1]"),
        ({"given": ("input", [1, 3, 60000, 60000])}, "[1, 3, 60000, 60000]"),
        ({"given": ("input", [3, 48, 64])}, "[3, 48, 64]"),
        ({"given": ("input", None)}, "input tensor(float)"),
        ({"kind": TensorProto.FLOAT16}, "tensor(float16)"),
    ],
)
def test_an_unknown_signature_is_refused_with_what_was_found_and_what_is_known(tmp_path, more, said):
    (given, _), (made, shape) = more.get("given", SIGNATURE[0]), more.get("made", SIGNATURE[1])
    nodes = [helper.make_node("Slice", [given, "first", "last", "channels"], [made])]
    numbers = {"first": np.array([0]), "last": np.array(shape[1:2]), "channels": np.array([1])}
    found = refusal(inference.load, save(tmp_path, model(nodes, **more, **numbers)))
    assert "a model of an unknown kind (" in found
    assert said in found
    assert "DDColor" in found
    assert "`export`" in found


def test_what_is_no_model_is_refused(tmp_path):
    content = ddcolor()
    for damaged in (
        b"",
        b"no model",
        bytes(1000),
        content[:-9],
        content[: len(content) // 2],
        content[9:],
        b"\xff" * 99,
    ):
        assert str(tmp_path / "model.onnx") in refusal(inference.load, save(tmp_path, damaged))
    with (tmp_path / "model.onnx").open("wb") as file:
        file.truncate(3 << 30)
    assert "3.2 GB, of which an ONNX file has 2" in refusal(inference.load, tmp_path / "model.onnx")


@pytest.mark.parametrize("place", ["weights.bin", "{folder}/weights.bin", "../{name}/weights.bin", "gone.bin"])
def test_weights_in_other_files_are_not_looked_for(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(np.array([20, 30], np.float32).tobytes())
    tint = TensorProto(name="tint", dims=[1, 2, 1, 1], data_type=TensorProto.FLOAT)
    tint.data_location = TensorProto.EXTERNAL
    place = place.format(folder=tmp_path, name=tmp_path.name)
    for key, value in (("location", place), ("offset", "0"), ("length", "8")):
        tint.external_data.add(key=key, value=value)
    assert "its weights are in another file; save all in one" in refusal(
        inference.load, save(tmp_path, ddcolor(tint=tint))
    )


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e30])
def test_numbers_that_are_no_colours_are_refused(tmp_path, number):
    colouriser = Colouriser.load(save(tmp_path, ddcolor(number, number)))
    assert "colours are none" in refusal(colouriser, Image.new("L", (50, 40), 99))


def test_a_model_that_does_not_do_what_it_says_is_refused(tmp_path):
    given, made = ("input", ["n", 3, 48, 64]), ("output", ["n", 2, 48, 64])
    smaller = model(
        [helper.make_node("Slice", ["input", "from", "to", "axes"], ["output"])],
        given,
        ("output", ["n", 2, "h", "w"]),
        **{"from": np.array([0, 0]), "to": np.array([2, 9]), "axes": np.array([1, 2])},
    )
    colouriser = Colouriser.load(save(tmp_path, smaller))
    assert "the model makes (1, 2, 9, 64) of 1 × [48, 64]" in refusal(colouriser, Image.new("L", (50, 40), 99))
    failing = model(
        [
            helper.make_node("Shape", ["input"], ["shape"]),
            helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
            helper.make_node("Cast", ["mean"], ["whole"], to=TensorProto.INT64),
            helper.make_node("Add", ["shape", "whole"], ["other"]),
            helper.make_node("Add", ["other", "one"], ["another"]),
            helper.make_node("Reshape", ["input", "another"], ["output"]),
        ],
        given,
        made,
        one=np.array(7),
    )
    colouriser = Colouriser.load(save(tmp_path, failing))
    assert "the model fails (" in refusal(colouriser, Image.new("L", (50, 40), 99))


def test_more_memory_than_there_is_ends_in_one_line(tmp_path):
    nodes = [
        helper.make_node("ConstantOfShape", ["huge"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["none"], keepdims=0),
        helper.make_node("Slice", ["input", "first", "third", "channels"], ["two"]),
        helper.make_node("Add", ["two", "none"], ["output"]),
    ]
    numbers = {"first": [0], "third": [2], "channels": [1], "huge": [1 << 20, 1 << 20, 1 << 10]}
    content = model(nodes, **{name: np.array(value) for name, value in numbers.items()})

    def colour():
        Colouriser.load(save(tmp_path, content))(Image.new("L", (50, 40), 99))

    assert str(tmp_path / "model.onnx") in refusal(colour)


def test_names_that_are_no_utf_8_are_refused_in_one_line_and_a_folder_may_have_one(tmp_path):
    content = ddcolor()
    save(tmp_path, content.replace(b"output", b"outp\xfft"))
    assert "names in it are no UTF-8" in refusal(inference.load, tmp_path / "model.onnx")
    folder = tmp_path / os.fsdecode(b"F\xfcr")
    folder.mkdir()
    assert inference.load(save(folder, content)).shape == (48, 64)


def test_onnx_runtime_keeps_quiet(tmp_path, capfd):
    with pytest.raises(PipelineError):
        inference.load(save(tmp_path, ddcolor()[:-9]))
    assert capfd.readouterr() == ("", "")


def test_a_size_that_says_nothing_is_refused_and_the_result_says_what_was_seen(tmp_path):
    path = save(tmp_path, ddcolor())
    assert f"--size 256: {path} sees all pictures at 64×48; leave it out" in refusal(
        colourise_files.load_painter, colourise_files.How(str(path), size=256)
    )
    assert colourise_files.load_painter(colourise_files.How(str(path))).made.size == 48


def test_the_page_tells_at_what_size_such_a_model_saw_the_photograph(tmp_path):
    models = {"other": worker.Model.load(save(tmp_path, ddcolor()))}
    Image.new("L", (80, 60), 128).save(tmp_path / "photo.png")
    said = worker.paint(models, str(tmp_path / "photo.png"), str(tmp_path), "other", 64, shown=False)
    assert said["told"] == "seen at 64×48, as this model sees all pictures"
    assert writing.made(Path(said["result"])).size == 48
