from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from pipeline import metrics
from pipeline.networks import encoder
from pipeline.training import frechet
from pipeline.training.frechet import FrechetLoss, transport
from pipeline.training.history import History
from pipeline.training.learner import learner, seed_everything
from tests.test_training import adam, painter, pair


def covariance(seed: int, size: int = 6) -> torch.Tensor:
    x = torch.randn(40, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x.T @ x / 40


def test_the_transport_map_makes_one_covariance_of_the_other_and_moves_by_the_frechet_distance():
    first, second = covariance(0), covariance(1)
    matrix, distance = transport(first, second)
    torch.testing.assert_close(matrix @ first @ matrix, second)
    torch.testing.assert_close(matrix, matrix.T)
    nothing = np.zeros(6)
    expected = metrics.frechet_distance(
        metrics.Gaussian(nothing, first.numpy()), metrics.Gaussian(nothing, second.numpy())
    )
    assert distance.item() == pytest.approx(expected)
    moved = torch.eye(6, dtype=torch.float64) - matrix
    torch.testing.assert_close((moved @ first @ moved).trace(), distance)


def test_drawing_each_sample_to_its_place_is_the_gradient_of_the_frechet_distance():
    random = torch.Generator().manual_seed(0)
    painted, real = (torch.randn(50, 4, dtype=torch.float64, generator=random) for _ in range(2))

    def gaussian(x: torch.Tensor) -> metrics.Gaussian:
        centred = x - x.mean(0)
        return metrics.Gaussian(x.mean(0).numpy(), (centred.T @ centred / len(x)).numpy())

    def distance(x: torch.Tensor) -> float:
        return metrics.frechet_distance(gaussian(x), gaussian(real))

    of_painted, of_real = gaussian(painted), gaussian(real)
    matrix, _ = transport(torch.from_numpy(of_painted.covariance), torch.from_numpy(of_real.covariance))
    place = torch.from_numpy(of_real.mean) + (painted - torch.from_numpy(of_painted.mean)) @ matrix
    gradient = 2 / len(painted) * (painted - place)
    for row, column in ((0, 0), (7, 2), (49, 3)):
        step = torch.zeros_like(painted)
        step[row, column] = 1e-4
        numeric = (distance(painted + step) - distance(painted - step)) / 2e-4
        assert gradient[row, column].item() == pytest.approx(numeric, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("far", [0.1, 1, 10])
def test_a_large_distance_counts_as_a_smaller_one_lest_nothing_else_would(monkeypatch, far):
    monkeypatch.setattr(frechet, "ENOUGH", 1)
    loss = FrechetLoss(nn.Identity(), weight=2)
    real = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    device = torch.device("cpu")
    loss.learn = SimpleNamespace(
        training=True, pred=real + far, y=real, loss_grad=torch.ones(()), dls=SimpleNamespace(device=device)
    )
    loss._features = lambda ab: ab
    loss.before_fit()
    loss.after_loss()
    assert loss.learn.loss_grad.item() == pytest.approx(1 + 2 * min(3 * far**2, frechet.MOST), rel=0.01)


class NoLoss(nn.Module):
    def forward(self, ab, real):
        return 0 * ab.mean()


def test_it_alone_brings_the_features_of_painted_pictures_close_to_those_of_real_ones(monkeypatch):
    monkeypatch.setattr(frechet, "PICTURES", 64)
    monkeypatch.setattr(frechet, "ENOUGH", 4)
    seed_everything(0)
    features, network = encoder.resnet20(3), painter()
    before = [tensor.clone() for tensor in features.state_dict().values()]
    nn.init.zeros_(network[-1].weight)
    nn.init.zeros_(network[-1].bias)
    loss = FrechetLoss(features, weight=1)
    distances = History({"distance": lambda _: loss.distance}, {})
    learner(pair(), network, NoLoss(), adam, [loss, distances]).fit(16, 3e-3)
    found = [row["distance"] for row in distances.rows if row["distance"]]
    assert len(found) in range(12, 16)  # it waits until it has seen four times as many pictures as there are features
    assert 0 < found[-1] < 0.5 * found[0]
    assert all(torch.equal(was, now) for was, now in zip(before, features.state_dict().values(), strict=True))
