from functools import partial

import pytest
import torch
from torch import nn

from pipeline.training.learner import learner, warm_up_and_decay
from pipeline.training.muon import Muon, orthogonalise
from tests.test_training import painter, pair


@pytest.mark.parametrize("shape", [(8, 8), (8, 40), (40, 8)])
@pytest.mark.parametrize("scale", [1e-4, 1, 1e4])
@pytest.mark.parametrize(("capabilities", "tolerance"), [({}, 0.02), ({"avx512_bf16": True}, 0.05)])
def test_orthogonalise_keeps_the_directions_and_levels_their_strengths(
    monkeypatch, shape, scale, capabilities, tolerance
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    torch.manual_seed(0)
    u, _, vt = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    matrix = u @ torch.linspace(0.1, 1, 8).diag() @ vt
    levelled = u.T @ orthogonalise(scale * matrix) @ vt.T  # diagonal if the directions are kept
    assert ((levelled.diagonal() > 0.6) & (levelled.diagonal() < 1.3)).all()
    torch.testing.assert_close(levelled, levelled.diagonal().diag(), atol=tolerance, rtol=0)


def stepped(network: nn.Module, **settings) -> dict[str, torch.Tensor]:
    """How one step on a loss that is the sum of the outputs changes each parameter."""
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    network(torch.rand(4, 1, 8, 8) + 0.5).sum().backward()
    Muon(network.parameters(), **settings).step()
    return {name: parameter.detach() - before[name] for name, parameter in network.named_parameters()}


def test_a_step_is_about_as_large_for_convolutions_as_for_all_else():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 12, 5), nn.ReLU(), nn.Conv2d(12, 2, 1))
    change = stepped(network, lr=0.01)
    assert change["0.weight"].square().mean().sqrt().item() == pytest.approx(0.2 * 0.01, rel=0.3)
    for name in ("0.bias", "2.weight", "2.bias"):  # the painting layer, too, is Adam's: its first step is the rate
        assert change[name].abs().max().item() == pytest.approx(0.01, rel=1e-3)


def test_weights_decay_but_not_biases():
    network = nn.Sequential(nn.Conv2d(1, 12, 3), nn.BatchNorm2d(12))
    network.gain = nn.Parameter(torch.ones(12, 1, 1, 1))  # a number a channel, as some convolutions of timm have
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    nn.init.ones_(network[0].bias)
    before = network[0].weight.detach().clone()
    Muon(network.parameters(), lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(network[0].weight.detach(), before * 0.95)
    assert (network[0].bias == 1).all()
    assert (network[1].weight == 1).all()
    assert (network.gain == 1).all()


def test_the_learning_rate_rises_for_a_tenth_and_falls_to_nothing():
    rates = []

    class Spy(Muon):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            super().step()

    batches = pair(count=80, batch_size=1)  # 20 steps an epoch
    learner(batches, painter(), nn.L1Loss(), Spy, []).fit(2, cbs=warm_up_and_decay(0.01))
    assert len(rates) == 40
    assert max(rates) == rates[4] == pytest.approx(0.01)
    assert rates[:5] == sorted(rates[:5])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] < 0.0005


def test_a_painter_learns():
    torch.manual_seed(0)
    network = painter()
    batches = pair()
    learner(batches, network, nn.L1Loss(), partial(Muon, weight_decay=0.01), []).fit(30, cbs=warm_up_and_decay(0.02))
    l, ab = next(iter(batches.valid))  # noqa: E741
    with torch.inference_mode():
        assert (network.eval()(l) - ab).abs().mean() < 0.2 * ab.abs().mean()
