from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.colour import bytes_to_rgb
from pipeline.datasets.store import Split
from pipeline.networks import encoder
from pipeline.networks.discriminator import PatchDiscriminator
from pipeline.training import batches, colouriser
from pipeline.training.average import MovingAverage
from pipeline.training.history import History
from pipeline.training.learner import learner, seed_everything
from pipeline.training.losses.adversarial import AdversarialStep
from pipeline.training.losses.likeness import LikenessLoss
from pipeline.training.precision import autocast


def pictures(count: int, size: int = 16) -> Split:
    """Pictures whose colour follows from their lightness: dark is blue, light is yellow."""
    random = np.random.default_rng(0)
    grey = random.integers(0, 256, (count, size // 4, size // 4, 1), dtype=np.uint8).repeat(4, 1).repeat(4, 2)
    rgb = np.concatenate((grey, grey, 255 - grey // 2), axis=3)
    return Split(rgb, random.integers(0, 3, count))


def painter() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(16), nn.Conv2d(16, 2, 1))


def critic() -> PatchDiscriminator:
    return PatchDiscriminator(encoder.build("resnet20", channels=1).body, filters=8, downsamplings=1)


def pair(count: int = 64, batch_size: int = 4) -> batches.DataLoaders:
    split = pictures(count)  # 16×16, so that a batch has four times as many
    return batches.loaders(split, split, batches.to_lightness_and_ab, batches.flip, batch_size)


adam = partial(torch.optim.Adam, betas=(0.5, 0.999))


def train(callbacks, epochs: int = 3, rate: float = 0.01, network: nn.Module | None = None) -> nn.Module:
    network = network or painter()
    learner(pair(), network, nn.L1Loss(), adam, callbacks).fit(epochs, rate)
    return network


def test_training_batches_show_each_picture_once_in_a_new_order_and_validation_in_the_order_of_the_file():
    split = Split(np.arange(40, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(3, 3), np.arange(40))
    shuffled = batches.Batches(split, batches.to_rgb_and_labels, 8, torch.device("cpu"), shuffle=True)
    epochs = [torch.cat([labels for _, labels in shuffled]) for _ in range(2)]
    assert [sorted(epoch.tolist()) for epoch in epochs] == [list(range(40))] * 2
    assert not torch.equal(*epochs)
    plain = batches.Batches(split, batches.to_rgb_and_labels, 16, torch.device("cpu"))
    assert [len(labels) for _, labels in plain] == [16, 16, 8]
    assert torch.equal(torch.cat([labels for _, labels in plain]), torch.arange(40))
    for rgb, labels in shuffled:  # pictures and labels stay together
        assert torch.equal((rgb[:, 0, 0, 0] * 255).round().long(), labels)


def test_training_leaves_out_a_last_batch_that_is_not_full_but_never_the_only_one():
    split = Split(np.zeros((10, 4, 4, 3), np.uint8), np.zeros(10, np.int64))
    cpu = torch.device("cpu")
    assert [len(x) for x, _ in batches.Batches(split, batches.to_rgb_and_labels, 4, cpu, shuffle=True)] == [4, 4]
    assert [len(x) for x, _ in batches.Batches(split, batches.to_rgb_and_labels, 64, cpu, shuffle=True)] == [10]


@pytest.mark.parametrize(("side", "count"), [(16, 512), (32, 128), (64, 32), (96, 14), (1024, 4)])
def test_a_batch_has_about_the_same_number_of_pixels_whatever_the_size_of_its_pictures(side, count):
    assert batches.fit_batch(128, np.empty((1, side, side, 3), np.uint8)) == count


def test_half_of_the_pictures_are_mirrored_and_nothing_else():
    torch.manual_seed(0)
    rgb = torch.rand(64, 3, 16, 16)
    flipped, _ = batches.flip(rgb, torch.zeros(64))
    same = (flipped == rgb).all((1, 2, 3))
    mirrored = (flipped == rgb.flip(3)).all((1, 2, 3))
    assert (same ^ mirrored).all()
    assert 16 < mirrored.sum() < 48


def test_shifting_and_cutting_move_pixels_and_change_none_but_those_of_a_grey_square():
    torch.manual_seed(0)
    rgb = torch.rand(64, 3, 16, 16)
    shifted, _ = batches.flip_shift_and_cut(rgb, torch.zeros(64))
    assert shifted.shape == rgb.shape
    for before, after in zip(rgb, shifted, strict=True):
        assert set(after.flatten().tolist()) <= set(before.flatten().tolist()) | {0.5}
    assert len({tuple(picture.flatten().tolist()) for picture in shifted}) == 64
    cut = (shifted == 0.5).all(1).sum((1, 2))
    assert ((cut > 0) & (cut <= 4 * 4)).all()


def test_half_of_the_pictures_are_zoomed_each_to_another_part_and_half_are_mirrored_and_shifted():
    torch.manual_seed(0)
    ramp = torch.linspace(0.2, 0.8, 16).expand(64, 3, 16, 16)  # brighter to the right
    zoomed, _ = batches.flip_and_zoom(ramp, torch.zeros(64), zoom=0.25)
    assert zoomed.shape == ramp.shape
    assert 0.19 < zoomed.min() < zoomed.max() < 0.81
    slopes = (zoomed[..., 8:] - zoomed[..., :8]).mean((1, 2, 3))
    assert 16 < (slopes < 0).sum() < 48
    assert (slopes.abs() > 0.1).all()
    sharp = [set(picture.flatten().tolist()) <= set(ramp[0].flatten().tolist()) for picture in zoomed]
    assert 16 < sum(sharp) < 48
    different = {tuple(picture.flatten().tolist()) for picture in zoomed}
    assert 64 - sum(sharp) + 2 < len(different) <= 64 - sum(sharp) + 2 * 5  # two ways, by 2 pixels at most
    assert tuple(ramp[0].flatten().tolist()) in different


def test_pictures_without_classes_are_told_apart_by_how_they_are_turned():
    rgb = torch.rand(6, 3, 8, 8)
    turned, quarters = batches.turn(rgb, torch.zeros(6))
    assert sorted(quarters.tolist()) == [0, 0, 1, 1, 2, 3]
    back = torch.cat([picture.rot90(-int(q), (1, 2))[None] for picture, q in zip(turned, quarters, strict=True)])
    assert {tuple(p.flatten().tolist()) for p in back} == {tuple(p.flatten().tolist()) for p in rgb}


def test_training_is_repeatable_with_a_seed_and_different_with_another():
    weights = []
    for seed in (1, 1, 2):
        seed_everything(seed)
        weights.append(train([])[0].weight)
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)
    assert not torch.equal(weights[0], weights[2])


def test_history_has_a_row_an_epoch_with_the_means_of_its_measures(capsys):
    history = History({"train_l1": colouriser.l1}, colouriser.MEASURES)
    train([history])
    assert [row["epoch"] for row in history.rows] == [1, 2, 3]
    assert list(history.rows[0]) == ["epoch", "train_l1", "validation_l1", "validation_colourfulness"]
    assert history.rows[-1]["validation_l1"] < 0.8 * history.rows[0]["validation_l1"]
    assert capsys.readouterr().out.count("validation_l1") == 3


def test_the_last_validation_is_of_the_network_that_is_kept():
    history = History({}, {"validation_l1": colouriser.l1})
    network = train([MovingAverage(0.9), history]).eval()
    l, ab = next(iter(pair(batch_size=16).valid))  # noqa: E741
    with torch.inference_mode(), autocast("cpu"):
        assert (network(l) - ab).abs().mean().item() == pytest.approx(history.rows[-1]["validation_l1"], rel=1e-4)


def test_the_moving_average_lags_behind_the_weights_and_does_not_change_their_path():
    seed_everything(0)
    plain = train([])
    seed_everything(0)
    averaged = train([MovingAverage(0.99)])
    seed_everything(0)
    start = painter()
    distance = [(network[0].weight - start[0].weight).norm() for network in (averaged, plain)]
    assert 0 < distance[0] < distance[1]
    seed_everything(0)
    torch.testing.assert_close(train([MovingAverage(0)])[0].weight, plain[0].weight)


def test_batch_statistics_are_those_of_training_pictures_as_they_are():
    split = pictures(64)
    darkened = batches.loaders(split, split, batches.to_lightness_and_ab, lambda rgb, labels: (rgb / 4, labels), 4)
    network = painter()
    learner(darkened, network, nn.L1Loss(), adam, []).fit(2, 0.01)
    l, _ = batches.to_lightness_and_ab(bytes_to_rgb(torch.from_numpy(split.pictures)), None)  # noqa: E741
    convolution, _, norm, _ = network
    seen = convolution(l).relu()
    torch.testing.assert_close(norm.running_mean, seen.mean((0, 2, 3)), rtol=0.02, atol=0.02)
    torch.testing.assert_close(norm.running_var, seen.var((0, 2, 3)), rtol=0.05, atol=0.02)


def test_to_take_batch_statistics_does_not_change_the_path_of_training(monkeypatch):
    paths = []
    for plain in (16, 64):
        monkeypatch.setattr(batches, "PLAIN", plain)
        seed_everything(0)
        network = nn.Sequential(*painter()[:3], nn.Dropout2d(0.5), nn.Conv2d(16, 2, 1))
        learner(pair(), network, nn.L1Loss(), adam, []).fit(2, 0.01)
        paths.append(network)
    assert (paths[0][0].weight == paths[1][0].weight).all()
    assert (paths[0][2].running_mean != paths[1][2].running_mean).any()


def test_statistics_are_of_whole_batches_for_in_one_of_a_single_picture_nothing_varies():
    for count, plain in ((17, 16), (3, 3), (5000, 992)):
        loaders = pair(count, batch_size=4)  # 16 pictures of 16×16
        assert sum(len(l) for l, _ in loaders.plain) == plain  # noqa: E741


@pytest.mark.parametrize(("side", "most"), [(16, 1000), (32, 1000), (40, 640), (96, 500)])
def test_statistics_are_of_fewer_pictures_where_these_are_larger(side, most):
    split = Split(np.zeros((1200, side, side, 3), np.uint8), np.zeros(1200, np.int64))
    made = batches.loaders(split, split.first(4), batches.to_lightness_and_ab, batches.flip, 4)
    assert most - made.train.batch_size < len(made.plain.split.labels) <= most


class Watch(History):
    """Notes both networks' weights at each batch."""

    order = 80

    def __init__(self, discriminator):
        super().__init__({}, {})
        self.discriminator, self.seen = discriminator, []

    def after_batch(self):
        super().after_batch()
        if self.training:
            self.seen.append(
                [next(net.parameters()).detach().clone() for net in (self.model, self.discriminator.verdict)]
            )


def test_both_networks_of_the_gan_are_updated_on_each_batch():
    discriminator = critic()
    step = AdversarialStep(discriminator, adam(discriminator.parameters(), lr=1e-3))
    watch = Watch(discriminator)
    train([step, watch], epochs=1)
    assert len(watch.seen) == 4
    for before, after in zip(watch.seen, watch.seen[1:], strict=False):
        assert all(not torch.equal(was, now) for was, now in zip(before, after, strict=True))


def test_the_generators_step_neither_trains_nor_freezes_the_discriminator():
    discriminator = critic()
    before = [parameter.detach().clone() for parameter in discriminator.parameters()]
    still = torch.optim.SGD(discriminator.parameters(), lr=0.0)
    train([AdversarialStep(discriminator, still)], epochs=1)
    for was, now in zip(before, discriminator.parameters(), strict=True):
        assert torch.equal(was, now)
    judging = [*discriminator.downs.parameters(), *discriminator.verdict.parameters()]
    assert all(parameter.requires_grad for parameter in judging)
    assert not any(parameter.requires_grad for parameter in discriminator.encoder.parameters())


def test_the_discriminator_learns_to_tell_real_colours_from_painted_ones():
    seed_everything(0)
    discriminator = critic()
    step = AdversarialStep(discriminator, adam(discriminator.parameters(), lr=5e-3))
    verdicts = History({"real": lambda _: step.real, "fake": lambda _: step.fake}, {})
    train([step, verdicts], epochs=12, rate=1e-9)
    assert verdicts.rows[-1]["real"] + verdicts.rows[-1]["fake"] < 0.6 * 2 * np.log(2)  # of not knowing


def test_the_generator_learns_to_fool_a_discriminator_and_still_minds_l1():
    results = {}
    for weight, l1_weight in ((1, 0), (1, 100), (10000, 100)):
        seed_everything(0)
        discriminator = critic()
        step = AdversarialStep(discriminator, torch.optim.SGD(discriminator.parameters(), lr=0.0), weight)
        likeness = LikenessLoss(l1_weight)
        parts = {"adversarial": lambda _, step=step: step.adversarial, "train_l1": lambda _, it=likeness: it.l1}
        history = History(parts, {})
        train([likeness, step, history], epochs=6)
        results[weight, l1_weight] = history.rows
    assert results[1, 0][-1]["adversarial"] < 0.95 * results[1, 0][0]["adversarial"]
    assert results[1, 0][-1]["adversarial"] < results[1, 100][-1]["adversarial"]
    assert results[10000, 100][-1]["adversarial"] < 0.95 * results[1, 100][-1]["adversarial"]
    assert results[1, 100][-1]["train_l1"] < 0.5 * results[1, 0][-1]["train_l1"]


def test_the_generator_paints_livelier_if_it_is_paid_for_colour():
    found = {}
    for weight in (0, 10):
        seed_everything(0)
        step = LikenessLoss(100, weight)
        history = History({"paleness": lambda _, step=step: step.paleness}, colouriser.MEASURES)
        network = painter()
        nn.init.zeros_(network[-1].weight)
        nn.init.zeros_(network[-1].bias)
        train([step, history], epochs=2, rate=1e-3, network=network)
        found[weight] = history.rows
    assert found[10][-1]["validation_colourfulness"] > 1.2 * found[0][-1]["validation_colourfulness"]
    assert 0 <= found[10][-1]["paleness"] < found[0][-1]["paleness"]


def test_the_generator_paints_smoother_if_spots_cost_more_than_their_l1():
    found = {}
    for weight in (0, 100):
        seed_everything(0)
        step = LikenessLoss(1, 0, weight)
        history = History({"edges": lambda _, step=step: step.edges}, {})
        train([step, history], epochs=4)
        found[weight] = history.rows[-1]["edges"]
    assert found[100] < 0.5 * found[0]


def test_black_pictures_in_a_batch_leave_the_gradient_finite():
    step = LikenessLoss(0, 1)
    l, ab = torch.full((2, 1, 8, 8), -1.0), torch.zeros(2, 2, 8, 8, requires_grad=True)  # noqa: E741
    data = SimpleNamespace(train=SimpleNamespace(share=1.0))
    step.learn = SimpleNamespace(x=l, y=torch.full_like(ab, 0.2).detach(), pred=ab, dls=data)
    step._paleness().backward()
    assert ab.grad.isfinite().all()
