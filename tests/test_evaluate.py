import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchmetrics.image.fid import FrechetInceptionDistance

from pipeline import evaluate, params
from pipeline.colour import bytes_to_rgb, rgb_to_l_ab
from pipeline.datasets import store
from pipeline.evaluate import PAIRS
from pipeline.measuring import painting, plots, report, results
from pipeline.model_files import saved
from pipeline.networks.classifier import Classifier
from pipeline.system.errors import PipelineError
from pipeline.system.files import sha256
from tests.archives import checksum
from tests.painters import CLASSIFIER, COLOURISER, random_unet
from tests.test_measurements import SIZE, WHO, coloured, measured
from tests.test_perceptual import SmallInception, save_alexnet, save_small_inception, stand_in

WRITTEN = ["metrics/evaluate.json"] + [
    f"plots/{name}" for name in ("before_after.gif", "curves.png", "grid.png", "pictures.npz", "test_l1.png")
]


def test_networks_are_shown_the_tones_that_they_know(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = random_unet()
    saved.save(Path("models/unet.safetensors"), network, **COLOURISER)
    paint, _ = evaluate.load_colouriser("unet", "photos32")
    pictures = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)
    pictures[1] = pictures[1] // 8 + 180  # faded
    l, _ = rgb_to_l_ab(bytes_to_rgb(torch.from_numpy(pictures)))  # noqa: E741
    with torch.inference_mode():
        changed = (paint(l) - network.eval()(l)).abs().flatten(1).amax(dim=1) > 1e-3  # not by rounding
    assert changed.tolist() == [False, True, False, False]


def said(unet_share, gan_share):
    found = results.with_intervals(measured(30, unet_share, gan_share), 100, 0, PAIRS)
    measured_on = {"pictures": 30, "target": "photos32", "encoder": "none", "gain": 1.5}
    return report.in_words(found, measured_on | {"gains": {"real": {"factor": 2.2, "skill": -0.034}}})


def test_words_claim_only_what_the_intervals_show():
    livelier, paler, same = said(0.3, 0.9), said(0.9, 0.3), said(0.5, 0.5)
    assert livelier.startswith(
        "On 30 test pictures of photos32 (encoder: none): the U-Net's skill is 0.300 (0.300 to 0.300)"
    )
    assert "pictures are livelier than the U-Net's" in livelier
    assert "colours are closer to the real ones" in livelier
    assert "pictures are more like the real ones" in livelier
    assert "pictures are paler than the U-Net's" in paler
    assert "colours are further from the real ones" in paler
    assert "pictures are less like the real ones" in paler
    assert "not clearly livelier or paler" in same
    assert "neither clearly closer to nor further from" in same
    assert "neither clearly more nor less like" in same
    assert "(ΔCF −" in livelier
    assert "the U-Net's colours × 1.50: skill 0.450 (0.450 to 0.450)" in livelier
    assert "the U-Net's colours × 2.20: skill −0.034 on the validation pictures" in livelier
    assert "closer to the real ones than that" in livelier
    assert "closer to the real ones than that" not in paler


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A folder with all that evaluate reads, and the parameters."""
    settings = params.load(Path(__file__).parent.parent / "params.yaml")
    monkeypatch.chdir(tmp_path)
    about = {"name": "photos32", "classes": ["blue", "red"]}
    store.write(Path("data/target"), about, {"test": coloured(9), "validation": coloured(5, seed=1)})
    torch.manual_seed(0)
    for name in ("unet", "gan"):
        about = COLOURISER | {"encoder": "cifar10"}
        saved.save(Path(f"models/{name}.safetensors"), random_unet(), **about)
        rows = {
            "epoch": [1, 2],
            "train_l1": [0.2, 0.1],
            "validation_l1": [0.2, 0.1],
            "validation_colourfulness": [1, 2],
        }
        parts = {part: [0.7, 0.6] for part in ("adversarial", "discriminator_real", "discriminator_fake")}
        Path("plots").mkdir(exist_ok=True)
        pd.DataFrame({**rows, **(parts if name == "gan" else {})}).to_csv(f"plots/{name}.csv", index=False)
    saved.save(Path("models/judge.safetensors"), Classifier("resnet20", 3, 2), **CLASSIFIER)
    few = settings.evaluate.model_copy(update={"batch_size": 4, "resamples": 100, "grid": 3})
    return settings.model_copy(update={"case": "photos", "seed": 5, "evaluate": few})


def files():
    return {str(path): path.read_bytes() for path in sorted(Path().rglob("*")) if path.is_file()}


def test_stage_writes_its_files_and_says_what_came_out(study, capsys):
    before = files()
    evaluate.run(study)
    after = files()
    assert sorted(after.keys() - before.keys()) == WRITTEN
    assert {name: after[name] for name in before} == before

    found = json.loads(after["metrics/evaluate.json"])
    digests = found["measured_on"].pop("sha256")
    assert digests == {name: sha256(Path(f"models/{name}.safetensors")) for name in ("unet", "gan", "judge")}
    colourisers = {name: evaluate.load_colouriser(name, "photos32")[0] for name in ("unet", "gan")}
    gains = painting.fit_gains(colourisers["unet"], {"gan": colourisers["gan"]}, coloured(5, seed=1).pictures, 2)
    assert found["measured_on"] == {
        "case": "photos",
        "target": "photos32",
        "encoder": "cifar10",
        "pictures": 9,
        "seed": 5,
        "gain": gains["gan"].factor,
        "gains": {who: {"factor": gain.factor, "skill": gain.skill} for who, gain in gains.items()},
        "published": {},
    }
    assert list(found) == [*WHO, "gan_minus_unet", "gan_minus_unet_gain", "measured_on"]
    assert all(isinstance(value, float) for who in list(found)[:-1] for value in found[who].values())
    _, ab = rgb_to_l_ab(bytes_to_rgb(torch.from_numpy(coloured(9).pictures)))
    assert found["grey"]["l1"] == pytest.approx(ab.abs().mean().item(), rel=1e-5)
    assert found["grey"]["skill"] == 0

    noted = np.load("plots/pictures.npz")
    assert noted["gan.l1"].shape == (9,)
    for name, values in noted.items():
        who, metric = name.split(".")
        assert values.mean() == pytest.approx(found[who][metric], rel=1e-4)

    with Image.open("plots/grid.png") as grid:
        assert grid.size == (plots.LABEL_WIDTH + 3 * 132 - 4, 5 * 132 - 4)
    with Image.open("plots/before_after.gif") as animation:
        assert animation.n_frames == 4
    printed = capsys.readouterr().out
    assert f"the U-Net's skill is {found['unet']['skill']:.3f} (" in printed.replace("−", "-")
    assert "plots/before_after.gif" in printed


def asking(study, server, *names):
    """Parameters that ask for those of the published networks, whose weights are random, and on the server."""
    for name, save in (("inception", save_small_inception), ("lpips", save_alexnet)):
        path = save(server.folder / name)
        place = params.Archive(urls=[server.url(name)], checksum=checksum(path))
        study = study.model_copy(update={"evaluate": study.evaluate.model_copy(update={name: place})})
    return study.model_copy(update={"evaluate": study.evaluate.model_copy(update={"published": list(names)})})


def test_nothing_is_fetched_but_for_figures_that_are_asked_for(study, server, monkeypatch):
    stand_in(monkeypatch)
    evaluate.run(asking(study, server))
    assert server.requested == []
    found = json.loads(Path("metrics/evaluate.json").read_text())
    assert not [metric for who in found.values() for metric in who if metric.startswith(("lpips", "inception"))]


def test_figures_by_published_networks_stand_among_the_others(study, server, monkeypatch):
    stand_in(monkeypatch)
    settings = asking(study, server, "lpips", "inception")
    evaluate.run(settings)
    evaluate.load_published(settings.evaluate, SIZE)
    assert server.requested == ["lpips", "inception"]  # once, and then kept

    found = json.loads(Path("metrics/evaluate.json").read_text())
    places = settings.evaluate
    assert found["measured_on"]["published"] == {
        "lpips": places.lpips.checksum,
        "inception": places.inception.checksum,
    }
    new = {"lpips", "inception_fid", "inception_kid"}
    assert not new & found["real"].keys()
    for who in (*WHO[1:], "gan_minus_unet", "gan_minus_unet_gain"):
        for metric in new:
            assert found[who][f"{metric}_low"] < found[who][metric] < found[who][f"{metric}_high"]
    noted = np.load("plots/pictures.npz")
    for who in WHO[1:]:
        for metric in new:
            assert noted[f"{who}.{metric}"].mean() == pytest.approx(found[who][metric], rel=1e-4)
    assert found["grey"]["lpips"] > 0

    real = torch.from_numpy(coloured(9).pictures)
    grey = painting.draw(real.numpy(), painting.painters({}), 9)["grey"]
    distance = FrechetInceptionDistance(SmallInception("", [], server.folder / "inception"))
    for pictures, is_real in ((real, True), (torch.from_numpy(grey), False)):
        distance.update(pictures.movedim(3, 1), real=is_real)
    assert found["grey"]["inception_fid"] == pytest.approx(distance.compute().item(), rel=1e-3)


@pytest.mark.parametrize("name", ["lpips", "inception"])
def test_weights_that_are_not_what_was_promised_are_not_used(study, server, monkeypatch, name):
    stand_in(monkeypatch)
    settings, before = asking(study, server, name), files()
    (server.folder / name).write_bytes(b"others")
    with pytest.raises(
        PipelineError, match=rf"wrong checksum, given .* Mend evaluate\.{name} in params\.yaml"
    ) as caught:
        evaluate.run(settings)
    assert "\n" not in str(caught.value)
    assert "datasets" not in str(caught.value)
    assert {path: content for path, content in files().items() if not path.startswith(("www/", "cache/"))} == {
        path: content for path, content in before.items() if not path.startswith(("www/", "cache/"))
    }


def test_a_failure_leaves_former_files_as_they_were(study, monkeypatch):
    for name in WRITTEN:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("former")
    before = files()

    def disk_full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(plots, "curves", disk_full)
    with pytest.raises(OSError, match="No space left"):
        evaluate.run(study)
    assert files() == before


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("data/target/test.npy", r"^data/target: no test pictures there; run "),
        ("models/gan.safetensors", r"^models/gan\.safetensors: no such model; run "),
        ("models/judge.safetensors", r"^models/judge\.safetensors: no such model; run "),
        ("plots/gan.csv", r"^plots/gan\.csv: no such file, training writes it; run `dvc repro train_gan`$"),
    ],
)
def test_what_is_missing_is_named(study, missing, message):
    Path(missing).unlink()
    with pytest.raises(PipelineError, match=message):
        evaluate.run(study)
    assert not Path("metrics").exists()


@pytest.mark.parametrize("content", ["", '"', "epoch;train_l1\n1;2\n", f"{','.join(plots.CURVES)}\n1,two,3,4\n"])
def test_damaged_curves_are_refused_before_anything_is_measured(study, content):
    Path("plots/unet.csv").write_text(content)
    with pytest.raises(
        PipelineError, match=r"^plots/unet\.csv: damaged; training writes it; run `dvc repro train_unet`$"
    ):
        evaluate.run(study)


def test_models_of_another_data_set_are_refused(study):
    store.write(
        Path("data/target"),
        {"name": "folder", "classes": ["one"]},
        {"test": coloured(9), "validation": coloured(5, seed=1)},
    )
    with pytest.raises(
        PipelineError, match=r"^models/unet\.safetensors: given one trained on photos32, needed folder; "
    ):
        evaluate.run(study)


def test_a_gan_that_was_trained_on_from_another_unet_is_refused(study):
    _, about = saved.load(Path("models/unet.safetensors"), "colouriser")
    gan = random_unet()
    saved.save(Path("models/gan.safetensors"), gan, **COLOURISER, unet_sha256="0" * 64)
    with pytest.raises(PipelineError, match=r"^models/gan\.safetensors: not trained on from models/unet\."):
        evaluate.run(study)
    assert not Path("metrics").exists()
    saved.save(Path("models/gan.safetensors"), gan, **COLOURISER, unet_sha256=about["weights_sha256"])
    evaluate.run(study)


def test_pictures_are_drawn_alike_however_many_at_once():
    pictures, paint = coloured(5).pictures, painting.painters({"unet": random_unet().eval()})
    whole, parts = (painting.draw(pictures, paint, size) for size in (5, 2))
    assert list(whole) == list(parts) == ["real", "grey", "unet"]
    for who, drawn in whole.items():
        assert np.abs(np.float32(drawn) - parts[who]).max() <= 1


def test_convolutions_of_float32_are_computed_as_such(study):
    with torch.backends.cudnn.flags(allow_tf32=True):
        evaluate.run(study)
        assert not torch.backends.cudnn.allow_tf32


def test_one_picture_is_refused(study):
    store.write(Path("data/target"), {"name": "photos32", "classes": ["one"]}, {"test": coloured(1)})
    with pytest.raises(PipelineError, match=r"^data/target: given 1 test picture, needed at least 2; add pictures$"):
        evaluate.run(study)


def test_a_run_without_a_gan_has_figures_of_the_unet_alone(study, capsys):
    untrained = COLOURISER | {"encoder": "cifar10", "gan": {"epochs": 0}}
    saved.save(Path("models/gan.safetensors"), random_unet(), **untrained)
    rows = pd.read_csv("plots/gan.csv")
    rows[:0].to_csv("plots/gan.csv", index=False)
    evaluate.run(study)
    found = json.loads(Path("metrics/evaluate.json").read_text())
    assert list(found) == ["real", "grey", "unet", "unet_gain", "measured_on"]
    assert list(found["measured_on"]["sha256"]) == ["unet", "judge"]
    assert {name.partition(".")[0] for name in np.load("plots/pictures.npz")} == {"real", "grey", "unet", "unet_gain"}
    with Image.open("plots/grid.png") as grid:
        assert grid.height == 4 * 132 - 4
    with Image.open("plots/before_after.gif") as animation:
        assert animation.n_frames == 3
    printed = capsys.readouterr().out
    assert "No GAN was trained." in printed
    assert "the U-Net's skill is " in printed
