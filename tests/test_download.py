import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageOps

from pipeline import download, params
from pipeline.datasets import sources, store
from pipeline.system.errors import PipelineError
from tests import archives
from tests.archives import checksum, draw, make_cifar10, make_imagenette, make_stl10

PICTURES = {"about.json", *(f"{split}{kind}.npy" for split in store.SPLITS for kind in ("", "_labels"))}
PARAMS = Path("params.yaml").resolve()


@pytest.fixture
def settings(server, tmp_path, monkeypatch):
    """The project's own parameters, their URLs on the local server; the working directory is empty."""
    monkeypatch.chdir(tmp_path)
    make_cifar10(server.folder / "cifar10.tar.gz")
    make_stl10(server.folder / "stl10.tar.gz")
    make_imagenette(server.folder / "imagenette.tar.gz")
    (server.folder / "weights").write_bytes(b"weights")
    content = params.load(PARAMS).model_dump(mode="json")
    archived = {name: f"{name}.tar.gz" for name in ("cifar10", "stl10", "imagenette")}
    for name, file in (archived | {"imagenet": "weights"}).items():
        source = content["datasets"][name]
        source.update(urls=[server.url(file)], checksum=checksum(server.folder / file))
    return content


def run(role, content, case):
    download.run(role, params.Params.model_validate(content | {"case": case}))
    return {path.name for path in Path("data", role).iterdir()}


def test_each_role_gets_the_data_set_of_the_case(settings, capsys):
    assert run("target", settings, "2") == PICTURES
    assert run("encoder", settings, "2") == PICTURES
    assert store.read(Path("data/target"), "train").pictures.shape == (54, 96, 96, 3)
    assert store.read(Path("data/encoder"), "train").pictures.shape == (180, 32, 32, 3)
    about = store.read_about(Path("data/target"))
    assert set(about) == {"name", "size", "classes", "licence", "unlabelled"}
    assert (about["name"], about["size"], about["classes"][7]) == ("stl10", 96, "monkey")
    assert capsys.readouterr().out.splitlines() == [
        "data/target: stl10, 96×96, 54 train, 6 validation, 20 test pictures, 10 classes",
        "data/encoder: cifar10, 32×32, 180 train, 20 validation, 40 test pictures, 10 classes",
    ]
    assert {path.name for path in Path("data").iterdir()} == {"target", "encoder"}


def test_imagenette_has_the_side_that_params_yaml_says(settings, capsys):
    settings["datasets"]["imagenette"]["size"] = 24
    assert run("target", settings, "imagenette-none") == PICTURES
    assert capsys.readouterr().out == (
        "data/target: imagenette, 24×24, 54 train, 6 validation, 20 test pictures, 10 classes\n"
    )


def test_the_target_has_the_side_that_the_case_says(settings):
    settings["cases"]["small"] = {"target": "imagenette", "encoder": "imagenette", "size": 24}
    for role in ("target", "encoder"):
        run(role, settings, "small")
    sides = [store.side(Path("data") / role) for role in ("target", "encoder")]
    assert sides == [24, settings["datasets"]["imagenette"]["size"]]


def test_both_roles_share_one_download_and_get_the_same(settings, server):
    run("target", settings, "1")
    run("encoder", settings, "1")
    assert server.requested == ["cifar10.tar.gz"]
    for name in PICTURES:
        assert Path("data/target", name).read_bytes() == Path("data/encoder", name).read_bytes()


def test_the_seed_changes_nothing(settings):
    run("target", settings, "1")
    run("encoder", settings | {"seed": 7}, "1")
    np.testing.assert_array_equal(*(store.read(Path("data", role), "train").pictures for role in ("target", "encoder")))


def test_encoders_without_pictures(settings, capsys):
    assert run("encoder", settings, "none") == {"about.json"}
    assert json.loads(Path("data/encoder/about.json").read_text()) == {"name": "none"}
    assert run("encoder", settings, "2-high") == {"about.json", "weights.pth"}
    about = store.read_about(Path("data/encoder"))
    assert (about["name"], about["architecture"]) == ("imagenet", "timm/efficientnet_lite0")
    assert "labels" in about["seen"]
    assert Path("data/encoder/weights.pth").read_bytes() == b"weights"
    assert capsys.readouterr().out.splitlines() == [
        "data/encoder: none, the encoder starts from random weights",
        "data/encoder: imagenet, weights of timm/efficientnet_lite0",
    ]


def test_photos_need_no_network(settings, server, capsys):
    assert run("target", settings, "photos-2") == PICTURES | {"photographs"}
    assert run("encoder", settings, "photos-2") == PICTURES | {"photographs"}
    assert server.requested == []
    assert "data/encoder: photos32, 32×32, 2,002 train, 252 validation, 504 test pictures, 7 classes" in (
        capsys.readouterr().out
    )


def make_folder(settings, place, tone=None):
    """A folder of sixty dogs, toned in one hue if there is one; it becomes that of the settings."""
    for number, picture in enumerate(draw(60, 20, np.random.default_rng(0))[0]):
        image = Image.fromarray(picture)
        path = place / "dogs" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        (ImageOps.colorize(image.convert("L"), "black", "white", mid=tone) if tone else image).save(path)
    settings["datasets"]["folder"] = {"path": str(place), "size": 16}


def test_a_folder_of_pictures(settings, tmp_path):
    make_folder(settings, tmp_path / "mine")
    assert run("target", settings, "folder") == PICTURES
    about = store.read_about(Path("data/target"))
    assert (about["name"], about["size"], about["classes"]) == ("folder", 16, ["dogs"])


@pytest.mark.parametrize("tone", ["grey", "#a08060"])
def test_a_target_without_colours_is_refused_and_an_encoder_learns_from_it(settings, tmp_path, tone):
    make_folder(settings, tmp_path / "mine", tone)
    with pytest.raises(PipelineError, match=r"^folder: every train picture is grey or of one tone, .*needed 2; "):
        run("target", settings, "folder")
    assert not Path("data/target").exists()
    assert run("encoder", settings, "folder") == PICTURES


def test_a_target_without_pictures_is_one_line():
    nothing = store.Split(np.empty((0, 32, 32, 3), np.uint8), np.empty(0, np.int64))
    with pytest.raises(PipelineError, match="cifar10: given 0 validation pictures, greys not counted, needed at leas"):
        sources._with_colours(nothing, "cifar10", "validation")


def test_grey_test_pictures_are_refused_before_anything_is_trained(settings, tmp_path):
    make_folder(settings, tmp_path / "mine/train")
    make_folder(settings, tmp_path / "mine/test", "grey")
    settings["datasets"]["folder"]["path"] = str(tmp_path / "mine")
    with pytest.raises(PipelineError, match=r"^folder: every test picture is grey or of one tone"):
        run("target", settings, "folder")


def test_too_few_pictures_with_colours_are_refused_before_anything_is_trained(settings, tmp_path):
    make_folder(settings, tmp_path / "mine/train")
    settings["datasets"]["folder"]["path"] = str(tmp_path / "mine")
    (tmp_path / "mine/test").mkdir()
    Image.effect_noise((20, 20), 60).convert("RGB").save(tmp_path / "mine/test/grey.png")
    Image.open(tmp_path / "mine/train/dogs/0.png").rotate(90).save(tmp_path / "mine/test/coloured.png")
    said = r"^folder: given 1 test pictures, greys not counted, needed at least 2; give a data set with more pictures$"
    with pytest.raises(PipelineError, match=said):
        run("target", settings, "folder")


def test_a_class_that_is_all_grey_is_none_to_learn(settings, tmp_path, capsys):
    make_folder(settings, tmp_path / "mine")
    for number, picture in enumerate(draw(60, 20, np.random.default_rng(1))[0]):
        path = tmp_path / f"mine/old/{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).convert("L").save(path)
    run("target", settings, "folder")
    assert store.read_about(Path("data/target"))["classes"] == ["dogs"]
    assert set(store.read(Path("data/target"), "train").labels) == {0}
    run("encoder", settings, "folder")
    assert store.read_about(Path("data/encoder"))["classes"] == ["dogs", "old"]
    assert "no classifier" not in capsys.readouterr().err


def test_grey_pictures_among_others_are_left_out_of_a_target_and_told(settings, tmp_path, capsys):
    make_folder(settings, tmp_path / "mine/train")
    make_folder(settings, tmp_path / "mine/test")
    for number in range(7):
        path = tmp_path / f"mine/train/dogs/{number}.png"
        Image.open(path).convert("L").save(path)
    for number in range(60):  # or it would be a copy
        path = tmp_path / f"mine/test/dogs/{number}.png"
        ImageOps.flip(Image.open(path)).save(path)
    settings["datasets"]["folder"]["path"] = str(tmp_path / "mine")
    counts = {}
    for role in ("encoder", "target"):
        run(role, settings, "folder")
        counts[role] = {split: len(store.read(Path("data", role), split).labels) for split in store.SPLITS}
        told = [line for line in capsys.readouterr().err.splitlines() if ", grey: " in line]
        grey = {split: counts["encoder"][split] - counts[role][split] for split in store.SPLITS}
        assert told == [
            f"folder, {split}: left out: {grey[split]} of {counts['encoder'][split]} pictures, grey: "
            "their (a*, b*) are less than 2 from grey, root mean square"
            for split in store.SPLITS
            if grey[split]
        ]
    assert sum(counts["encoder"].values()) - sum(counts["target"].values()) == 7
    assert counts["encoder"]["test"] == counts["target"]["test"]


@pytest.mark.parametrize("case", ["1", "2"])
def test_an_archive_without_colours_is_refused(settings, server, case, monkeypatch):
    monkeypatch.setattr(
        archives, "draw", lambda count, side, _: (np.full((count, side, side, 3), 90, np.uint8), np.zeros(count, int))
    )
    for name, make in (("cifar10", make_cifar10), ("stl10", make_stl10)):
        make(server.folder / f"{name}.tar.gz")
        settings["datasets"][name]["checksum"] = checksum(server.folder / f"{name}.tar.gz")
    with pytest.raises(PipelineError, match=r"^(cifar10|stl10): every train picture is grey or of one tone"):
        run("target", settings, case)


def test_a_failed_download_leaves_what_was_there(settings, closed_url):
    run("target", settings, "photos")
    before = {name: Path("data/target", name).read_bytes() for name in PICTURES}
    settings["datasets"]["cifar10"]["urls"] = [closed_url]
    with pytest.raises(PipelineError, match=r"no connection.*-S case=photos") as raised:
        run("target", settings, "1")
    assert "\n" not in str(raised.value)
    assert {name: Path("data/target", name).read_bytes() for name in PICTURES} == before
    assert [path.name for path in Path("data").iterdir()] == ["target"]


def test_a_full_disk_leaves_what_was_there(settings, monkeypatch):
    run("target", settings, "photos")
    before = {name: Path("data/target", name).read_bytes() for name in PICTURES}

    def full(path, array):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left on device"):
        run("target", settings, "1")
    assert {name: Path("data/target", name).read_bytes() for name in PICTURES} == before
    assert [path.name for path in Path("data").iterdir()] == ["target"]


KILLED = """
import os, signal, sys
from pipeline import cli
from pipeline.datasets import scratch, store

def killed(*arguments):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*arguments)

owner, name, left = eval(sys.argv[1])
function = getattr(owner, name)
setattr(owner, name, killed)
cli.app(["download", "target"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(
    "moment",
    ['(scratch.Pictures, "append", 30)', '(store, "_save", 2)', '(store, "sync", 5)'],
    ids=["reading", "writing", "before it has its name"],
)
def test_a_run_that_was_killed_begins_again_without_a_trace_of_it(settings, tmp_path, moment):
    make_folder(settings, tmp_path / "mine")
    run("target", settings, "folder")
    undisturbed = {name: Path("data/target", name).read_bytes() for name in PICTURES}
    shutil.rmtree("data")
    Path("params.yaml").write_text(yaml.safe_dump(settings | {"case": "folder"}))
    environment = os.environ | {"PYTHONPATH": str(PARAMS.parent)}
    done = subprocess.run([sys.executable, "-c", KILLED, moment], env=environment, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert not Path("data/target").exists()
    run("target", settings, "folder")
    assert {name: Path("data/target", name).read_bytes() for name in PICTURES} == undisturbed
    assert [path.name for path in Path("data").iterdir()] == ["target"]


def test_nothing_heavy_is_imported():
    heavy = {"torch", "torchvision", "fastai", "skimage", "sklearn", "scipy", "pandas", "matplotlib"}
    code = f"import sys, pipeline.download; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PARAMS.parent)
    assert done.stdout.strip() == "[]"
