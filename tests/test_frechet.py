from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from pipeline.measuring import metrics
from pipeline.networks import encoder
from pipeline.system.errors import PipelineError
from pipeline.training import colouriser
from pipeline.training.history import History
from pipeline.training.learner import learner, seed_everything
from pipeline.training.losses import frechet
from pipeline.training.losses.frechet import FrechetLoss, transport
from tests.test_training import adam, painter, pair


def covariance(seed: int, size: int = 6) -> torch.Tensor:
    x = torch.randn(40, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x.T @ x / 40


def test_the_transport_map_makes_one_covariance_of_the_other_and_moves_by_the_frechet_distance():
    first, second = covariance(0), covariance(1)
    matrix, distance = transport(first, second)
    torch.testing.assert_close(matrix @ first @ matrix, second)
    torch.testing.assert_close(matrix, matrix.T)
    one, other = (matrix.numpy() for matrix in (first, second))
    expected = np.trace(one + other - 2 * sqrtm(one @ other).real)
    assert distance.item() == pytest.approx(expected)
    moved = torch.eye(6, dtype=torch.float64) - matrix
    torch.testing.assert_close((moved @ first @ moved).trace(), distance)


def test_drawing_each_sample_to_its_place_is_the_gradient_of_the_frechet_distance():
    random = torch.Generator().manual_seed(0)
    painted, real = (torch.randn(50, 4, dtype=torch.float64, generator=random) for _ in range(2))

    def distance(x: torch.Tensor) -> float:
        return metrics.frechet_distances(x.numpy(), real.numpy()).mean()

    matrix, _ = transport(torch.cov(painted.T), torch.cov(real.T))
    off = painted - painted.mean(0)
    # A covariance is a mean over one picture less than there are, so what is not shared weighs a little more.
    gradient = 2 / 50 * (painted.mean(0) - real.mean(0)) + 2 / 49 * (off - off @ matrix)
    for row, column in ((0, 0), (7, 2), (49, 3)):
        step = torch.zeros_like(painted)
        step[row, column] = 1e-4
        numeric = (distance(painted + step) - distance(painted - step)) / 2e-4
        assert gradient[row, column].item() == pytest.approx(numeric, rel=1e-3, abs=1e-6)


def alone(far: float) -> FrechetLoss:
    """The loss, of weight 2, about to see 200 real pictures of three features, and painted ones so far from them."""
    loss = FrechetLoss(nn.Identity(), weight=2)
    real = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    train = MagicMock(batch_size=len(real), share=1.0)
    data = SimpleNamespace(device=torch.device("cpu"), train=train)
    loss.learn = SimpleNamespace(training=True, pred=real + far, y=real, loss_grad=torch.ones(()), dls=data, n_epoch=1)
    loss._features = lambda ab: ab
    loss.before_fit()
    return loss


@pytest.mark.parametrize("far", [0.1, 1, 10])
def test_a_large_distance_counts_as_a_smaller_one_lest_nothing_else_would(monkeypatch, far):
    monkeypatch.setattr(frechet, "RAMP", 1)
    loss = alone(far)
    loss.after_loss()
    assert loss.learn.loss_grad.item() == pytest.approx(1 + 2 * min(3 * far**2, frechet.MOST), rel=0.01)


def test_there_is_no_distance_until_there_are_pictures_enough_and_then_it_counts_little_by_little(monkeypatch):
    monkeypatch.setattr(frechet, "ENOUGH", 200)  # for each of the three features
    monkeypatch.setattr(frechet, "RAMP", 400)
    loss, added, distances = alone(far=0.3), [], []
    for _ in range(6):
        loss.learn.loss_grad = torch.zeros(())
        loss.after_loss()
        added.append(loss.learn.loss_grad.item())
        distances.append(loss.distance)
    assert distances[:2] == [None, None]
    assert [distance.item() for distance in distances[2:]] == pytest.approx([3 * 0.3**2] * 4, rel=0.01)
    shares = [0, 0, 0, 0.5, 1, 1]  # after 200, 400, … pictures
    assert added == pytest.approx([share * 2 * 3 * 0.3**2 for share in shares], rel=0.01)


def test_batches_of_more_pictures_than_averages_are_over_are_the_average(monkeypatch):
    monkeypatch.setattr(frechet, "PICTURES", 100)
    loss = alone(far=0.3)
    for _ in range(3):
        loss.after_loss()
    torch.testing.assert_close(loss.averages["real"][0], loss.learn.y.mean(0).double())


@pytest.mark.parametrize(("weight", "epochs", "told"), [(1, 1, True), (0, 1, False), (1, 3, False)])
def test_if_it_will_never_count_that_is_said_at_once_and_its_cells_are_empty(
    monkeypatch, capsys, tmp_path, weight, epochs, told
):
    monkeypatch.setattr(frechet, "ENOUGH", 16)  # for each of the eight features; an epoch has 64 pictures
    seed_everything(0)
    loss = FrechetLoss(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), weight)
    history = History({"train_l1": colouriser.l1, "frechet_distance": lambda _: loss.distance}, {})
    learner(pair(), painter(), nn.L1Loss(), adam, [loss, history]).fit(epochs, 1e-3)
    line = "the Fréchet distance will not count: 64 pictures will be seen, it begins at 128; raise gan.epochs"
    assert (line in capsys.readouterr().out) == told
    pd.DataFrame(history.rows).to_csv(tmp_path / "gan.csv", index=False)
    cells = pd.read_csv(tmp_path / "gan.csv")["frechet_distance"]
    assert list(cells.isna()) == [epoch < 2 for epoch in range(1, epochs + 1)]
    assert not (cells == 0).any()


@pytest.mark.parametrize("spoilt", ["painted", "real", "features"])
def test_what_is_no_number_is_found_where_a_matrix_is_decomposed(monkeypatch, spoilt):
    monkeypatch.setattr(frechet, "ENOUGH", 1)
    seed_everything(0)
    eye = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    loss = FrechetLoss(eye, weight=1)
    features = loss._features
    if spoilt == "features":
        nn.init.constant_(eye[0].weight, torch.inf)
    else:
        loss._features = lambda ab: features(ab) * (torch.nan if ab.requires_grad == (spoilt == "painted") else 1)
    with pytest.raises(PipelineError, match=r"the loss is nan at epoch 1, batch 1 of training; .* lower the"):
        learner(pair(), painter(), nn.L1Loss(), adam, [loss]).fit(1, 1e-3)


def test_a_matrix_that_cannot_be_decomposed_has_roots_that_are_no_numbers(monkeypatch):
    matrix, distance = transport(torch.full((3, 3), torch.nan, dtype=torch.float64), covariance(1, 3))
    assert matrix.isnan().all()
    assert distance.isnan()


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
