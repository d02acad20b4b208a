import numpy as np
import pytest
import torch
from torch import nn

from pipeline.colour import bytes_to_rgb, rgb_to_l_ab
from pipeline.datasets import store
from pipeline.evaluate import PAIRS
from pipeline.measuring import measurements, painting, perceptual, results
from pipeline.system.errors import PipelineError

SIZE = 16
OF_REAL = ["colourfulness", "colourfulness_absolute", "judge_accuracy"]
METRICS = [
    *("l1", "edge_l1", "rgb_error", "psnr", "ssim", "ciede2000", "accuracy_2", "accuracy_5"),
    *(*OF_REAL, "judge_fd", "judge_fd_hue", "judge_kid", "skill", "delta_colourfulness"),
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
    paint = painting.painters(colourisers, {"unet_gain": ("unet", gain)})
    return measurements.measure(split, paint, Judge(), batch_size)


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


def test_fewer_pictures_than_processes_are_refused_by_all_of_them(monkeypatch):
    monkeypatch.setattr(measurements.processes, "count", lambda: 3)
    with pytest.raises(PipelineError, match="given 3 processes for 2 test pictures"):
        measurements.measure(coloured(2), {}, Judge(), 2)


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
    found = painting.fit_gains(painter(split, share), {}, split.pictures, 7)
    assert list(found) == ["real"]
    assert found["real"].factor == pytest.approx(expected, rel=0.03)
    assert found["real"].skill == pytest.approx(1, abs=0.03)


def test_gain_makes_the_unet_as_lively_as_the_gan_and_says_what_skill_that_leaves():
    split = coloured(30)
    found = painting.fit_gains(painter(split, 0.5), {"gan": painter(split, 0.75)}, split.pictures, 7)
    assert list(found) == ["real", "gan"]
    assert found["gan"].factor == pytest.approx(1.5, rel=0.03)
    assert found["gan"].skill == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(("share", "expected"), [(0, 8), (0.01, 8)])
def test_gain_stays_in_bounds_whatever_the_network_paints(share, expected):
    split = coloured(9)
    assert painting.fit_gains(painter(split, share), {}, split.pictures, 4)["real"].factor == expected


def test_gain_makes_the_unet_paler_where_the_gan_is():
    split = coloured(30)
    found = painting.fit_gains(painter(split, 1), {"gan": painter(split, 0.2)}, split.pictures, 7)
    assert found["gan"].factor == pytest.approx(0.2, rel=0.03)


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
        measurements.measure(
            split, painting.painters({"unet": painter(split, 1), "gan": painter(split, float("nan"))}), Judge(), 2
        )


def test_a_judge_that_sees_no_numbers_is_refused():
    class Blind(Judge):
        def features(self, rgb):
            return super().features(rgb) * torch.nan

    split = coloured(4)
    with pytest.raises(PipelineError, match=r"^judge: its features are not finite"):
        measurements.measure(split, painting.painters({"unet": painter(split, 1)}), Blind(), 2)


def test_pictures_without_colours_are_refused():
    generator = np.random.default_rng(0)
    greys = np.repeat(generator.integers(0, 255, (4, SIZE, SIZE, 1), dtype=np.uint8), 3, axis=3)
    greys[..., 0] += generator.integers(0, 2, greys.shape[:3], dtype=np.uint8)  # as JPEG leaves them
    split = store.Split(greys, np.zeros(4, dtype=np.int64))
    with pytest.raises(PipelineError, match=r"^every test picture is grey or of one tone, "):
        measurements.measure(split, painting.painters({"unet": painter(split, 1)}), Judge(), 2)


def test_an_inception_that_sees_no_numbers_is_refused():
    split = coloured(4)
    blind = perceptual.Published(inception=lambda pictures: torch.full((len(pictures), 2), torch.nan))
    with pytest.raises(PipelineError, match=r"^inception: its features are not finite"):
        measurements.measure(split, painting.painters({"unet": painter(split, 1)}), Judge(), 2, blind)
