import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from pipeline import evaluate, models, params, plots, report, results
from pipeline.colour import bytes_to_rgb, rgb_to_l_ab
from pipeline.datasets import store
from pipeline.errors import PipelineError
from pipeline.evaluate import PAIRS
from pipeline.files import sha256
from pipeline.networks.classifier import Classifier
from tests.archives import checksum
from tests.painters import CLASSIFIER, COLOURISER, random_unet
from tests.test_perceptual import SmallInception, save_alexnet, save_small_inception, stand_in

SIZE = 16
OF_REAL = ["colourfulness", "colourfulness_absolute", "judge_accuracy"]
METRICS = [
    *("l1", "edge_l1", "rgb_error", "psnr", "ssim", "ciede2000", "accuracy_2", "accuracy_5"),
    *(*OF_REAL, "judge_fd", "judge_fd_hue", "judge_kid", "skill", "delta_colourfulness"),
]
WRITTEN = ["metrics/evaluate.json"] + [
    f"plots/{name}" for name in ("before_after.gif", "curves.png", "grid.png", "pictures.npz", "test_l1.png")
]
WHO = ["real", "grey", "unet", "unet_gain", "gan"]


class Judge(nn.Module):
    """Sees the mean colour, and calls pictures that are redder than they are blue class 1."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 2, bias=False)
        self.head.weight.data = torch.tensor([[0.0, 0, 0], [1, 0, -1]])

    def features(self, rgb):
        return rgb.mean((2, 3))


def coloured(count, seed=0):
    """Noise on a colour of its own for each picture; label 1 if that is redder than it is blue."""
    rng = np.random.default_rng(seed)
    base = rng.integers(60, 196, (count, 1, 1, 3))
    pictures = (base + rng.integers(-20, 20, (count, SIZE, SIZE, 3))).astype(np.uint8)
    means = pictures.mean(axis=(1, 2))
    return store.Split(pictures, (means[:, 0] > means[:, 2]).astype(np.int64))


def painter(split, share):
    """A colouriser that knows the pictures, in their order, and paints a share of their colours."""
    batches = iter(split.pictures)

    def paint(light):
        real = torch.from_numpy(np.stack([next(batches) for _ in light]))
        return rgb_to_l_ab(bytes_to_rgb(real))[1] * share

    return paint


def measured(count, unet_share=0.5, gan_share=0.6, batch_size=7, seed=0, gain=1.5):
    split = coloured(count, seed)
    colourisers = {"unet": painter(split, unet_share), "gan": painter(split, gan_share)}
    return evaluate.measure(split, evaluate.painters(colourisers, gain), Judge(), batch_size)


def test_perfect_colours_have_skill_1_and_no_colours_skill_0():
    found = results.summarise(measured(20, unet_share=0, gan_share=1), PAIRS)
    assert found["unet"] == pytest.approx(found["grey"])
    assert found["unet"]["skill"] == 0
    assert found["gan"]["skill"] == pytest.approx(1)
    assert found["gan"]["l1"] == pytest.approx(0)
    assert found["gan"]["ssim"] == pytest.approx(1)
    assert found["gan"]["ciede2000"] == pytest.approx(0, abs=1e-6)
    assert found["gan"]["judge_fd"] == pytest.approx(0, abs=1e-6)
    assert found["gan"]["judge_accuracy"] == found["real"]["judge_accuracy"] == pytest.approx(1)
    assert found["grey"]["judge_fd"] > 0.01
    assert found["grey"]["judge_accuracy"] < 1
    assert found["grey"]["delta_colourfulness"] == pytest.approx(-found["real"]["colourfulness"], abs=1)


def test_half_the_colours_have_skill_a_half_and_are_paler():
    found = results.summarise(measured(20, unet_share=0.5, gan_share=1.2), PAIRS)
    assert found["unet"]["skill"] == pytest.approx(0.5)
    assert found["gan"]["skill"] == pytest.approx(0.8)
    assert found["unet"]["delta_colourfulness"] < 0 < found["gan"]["delta_colourfulness"]
    assert found["gan_minus_unet"]["skill"] == pytest.approx(0.3)


@pytest.mark.parametrize("batch_size", [1, 20, 1000])
def test_the_size_of_batches_changes_nothing(batch_size):
    one, other = measured(20, batch_size=7), measured(20, batch_size=batch_size)
    for who, numbers in one.items():
        for metric, values in numbers.items():
            np.testing.assert_allclose(other[who][metric], values, atol=1e-4)


def test_intervals_contain_their_estimates_and_shrink_with_more_pictures():
    few, many = (results.with_intervals(measured(count), 200, 0, PAIRS) for count in (20, 320))
    for found in (few, many):
        for who, values in found.items():
            assert list(values) == [name + end for name in _metrics_of(who) for end in ("", "_low", "_high")]
            for metric in _metrics_of(who):
                assert values[f"{metric}_low"] <= values[metric] <= values[f"{metric}_high"], (who, metric)
    for who, metric in (("unet", "l1"), ("unet", "judge_fd"), ("gan", "colourfulness"), ("grey", "judge_accuracy")):
        assert _width(many[who], metric) < 0.5 * _width(few[who], metric)


def _metrics_of(who):
    return OF_REAL if who == "real" else METRICS


def _width(values, metric):
    return values[f"{metric}_high"] - values[f"{metric}_low"]


def test_an_interval_covers_the_truth_about_19_times_in_20():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        values = {"l1": rng.normal(1, 0.3, 40), "colourfulness": rng.normal(20, 5, 40)}
        synthetic = {who: values for who in WHO}
        found = results.with_intervals(synthetic, 100, 0, PAIRS)["unet"]
        hits += found["l1_low"] <= 1 <= found["l1_high"]
    assert 50 <= hits < 60


def test_differences_are_paired():
    found = results.with_intervals(measured(40, unet_share=0.5, gan_share=0.55), 200, 0, PAIRS)
    for metric in ("l1", "colourfulness", "delta_colourfulness", "judge_fd", "judge_kid"):
        assert _width(found["gan_minus_unet"], metric) < 0.5 * _width(found["gan"], metric)
    # Colourfulness varies much from picture to picture, but that of half the colours hangs on that of the real ones.
    assert _width(found["unet"], "skill") < 0.1 * _width(found["unet"], "l1") / found["grey"]["l1"]


def test_the_seed_decides_the_intervals():
    numbers = measured(20)
    first, again, other = (results.with_intervals(numbers, 100, seed, PAIRS) for seed in (0, 0, 1))
    assert first == again
    assert first["unet"]["l1"] == other["unet"]["l1"]
    assert first["unet"]["l1_low"] != other["unet"]["l1_low"]


@pytest.mark.parametrize(("share", "expected"), [(0.25, 4), (0.5, 2), (1, 1)])
def test_gain_gives_pale_colours_the_liveliness_of_the_real_ones(share, expected):
    split = coloured(30)
    found = evaluate.fit_gains({"unet": painter(split, share)}, split.pictures, 7)
    assert list(found) == ["real"]
    assert found["real"].factor == pytest.approx(expected, rel=0.03)
    assert found["real"].skill == pytest.approx(1, abs=0.03)


def test_gain_makes_the_unet_as_lively_as_the_gan_and_says_what_skill_that_leaves():
    split = coloured(30)
    found = evaluate.fit_gains({"unet": painter(split, 0.5), "gan": painter(split, 0.75)}, split.pictures, 7)
    assert list(found) == ["real", "gan"]
    assert found["gan"].factor == pytest.approx(1.5, rel=0.03)
    assert found["gan"].skill == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(("share", "expected"), [(0, 8), (0.01, 8), (4, 0.5)])
def test_gain_stays_in_bounds_whatever_the_network_paints(share, expected):
    split = coloured(9)
    assert evaluate.fit_gains({"unet": painter(split, share)}, split.pictures, 4)["real"].factor == expected


def test_gain_multiplies_the_colours_of_the_unet():
    found = results.summarise(measured(20, unet_share=0.4, gan_share=1, gain=2), PAIRS)
    assert found["unet_gain"]["skill"] == pytest.approx(0.8)
    assert found["gan_minus_unet_gain"]["skill"] == pytest.approx(0.2)


def test_hues_are_compared_at_the_colourfulness_of_each_real_picture():
    found = results.summarise(measured(40, unet_share=0.5, gan_share=1), PAIRS)
    assert found["unet"]["judge_fd"] > 1e-3
    for who in ("unet", "unet_gain"):  # of which nothing is wrong but how pale they are
        assert found[who]["judge_fd_hue"] < 0.02 * found["unet"]["judge_fd"]
    assert found["grey"]["judge_fd_hue"] == pytest.approx(found["grey"]["judge_fd"])


def test_colours_that_are_no_numbers_are_refused():
    split = coloured(4)
    with pytest.raises(PipelineError, match=r"^gan: its colours are not finite"):
        evaluate.measure(
            split, evaluate.painters({"unet": painter(split, 1), "gan": painter(split, float("nan"))}), Judge(), 2
        )


def test_a_judge_that_sees_no_numbers_is_refused():
    class Blind(Judge):
        def features(self, rgb):
            return super().features(rgb) * torch.nan

    split = coloured(4)
    with pytest.raises(PipelineError, match=r"^judge: its features are not finite"):
        evaluate.measure(split, evaluate.painters({"unet": painter(split, 1)}), Blind(), 2)


def test_networks_are_shown_the_tones_that_they_know(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = random_unet()
    models.save(Path("models/unet.safetensors"), network, **COLOURISER)
    paint, _ = evaluate.load_colouriser("unet", "photos32")
    pictures = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)
    pictures[1] = pictures[1] // 8 + 180  # faded
    l, _ = rgb_to_l_ab(bytes_to_rgb(torch.from_numpy(pictures)))  # noqa: E741
    with torch.inference_mode():
        changed = (paint(l) - network.eval()(l)).abs().flatten(1).amax(dim=1) > 1e-3  # not by rounding
    assert changed.tolist() == [False, True, False, False]


def test_pictures_without_colours_are_refused():
    generator = np.random.default_rng(0)
    greys = np.repeat(generator.integers(0, 255, (4, SIZE, SIZE, 1), dtype=np.uint8), 3, axis=3)
    greys[..., 0] += generator.integers(0, 2, greys.shape[:3], dtype=np.uint8)  # as JPEG leaves them
    split = store.Split(greys, np.zeros(4, dtype=np.int64))
    with pytest.raises(PipelineError, match=r"^every test picture is grey or of one tone, "):
        evaluate.measure(split, evaluate.painters({"unet": painter(split, 1)}), Judge(), 2)


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
    assert "the U-Net's × 1.50: skill 0.450 (0.450 to 0.450)" in livelier
    assert "the U-Net's × 2.20: skill −0.034 on the validation pictures" in livelier
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
        models.save(Path(f"models/{name}.safetensors"), random_unet(), **about)
        rows = {
            "epoch": [1, 2],
            "train_l1": [0.2, 0.1],
            "validation_l1": [0.2, 0.1],
            "validation_colourfulness": [1, 2],
        }
        parts = {part: [0.7, 0.6] for part in ("adversarial", "discriminator_real", "discriminator_fake")}
        Path("plots").mkdir(exist_ok=True)
        pd.DataFrame({**rows, **(parts if name == "gan" else {})}).to_csv(f"plots/{name}.csv", index=False)
    models.save(Path("models/judge.safetensors"), Classifier("resnet20", 3, 2), **CLASSIFIER)
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
    gains = evaluate.fit_gains(colourisers, coloured(5, seed=1).pictures, 2)
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
    grey = evaluate.draw(real.numpy(), evaluate.painters({}))["grey"]
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


def test_an_inception_that_sees_no_numbers_is_refused():
    split = coloured(4)
    blind = evaluate.Published(inception=lambda pictures: torch.full((len(pictures), 2), torch.nan))
    with pytest.raises(PipelineError, match=r"^inception: its features are not finite"):
        evaluate.measure(split, evaluate.painters({"unet": painter(split, 1)}), Judge(), 2, blind)


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


def test_one_picture_is_refused(study):
    store.write(Path("data/target"), {"name": "photos32", "classes": ["one"]}, {"test": coloured(1)})
    with pytest.raises(PipelineError, match=r"^data/target: given 1 test picture, needed at least 2; add pictures$"):
        evaluate.run(study)


def test_a_run_without_a_gan_has_figures_of_the_unet_alone(study, capsys):
    untrained = COLOURISER | {"encoder": "cifar10", "gan": {"epochs": 0}}
    models.save(Path("models/gan.safetensors"), random_unet(), **untrained)
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
