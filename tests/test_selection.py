from functools import partial

import pytest
import torch
from torch import nn

from pipeline.colour import l_ab_to_rgb, rgb_to_bytes
from pipeline.measuring import metrics
from pipeline.system.errors import PipelineError
from pipeline.training import batches, colouriser
from pipeline.training.average import MovingAverage
from pipeline.training.history import History
from pipeline.training.learner import learner, seed_everything
from pipeline.training.selection import Selection
from tests.test_training import painter, pictures


def train(
    wanted: float, epochs: int = 3, rate: float = 0.01, kind: type = Selection
) -> tuple[nn.Module, Selection, float]:
    """A painter that begins in grey; how colourful it paints in the end, as a share of the real pictures."""
    seed_everything(0)
    network, split = painter(), pictures(64)
    nn.init.zeros_(network[-1].weight)
    nn.init.zeros_(network[-1].bias)
    pair = batches.loaders(split, split, batches.to_lightness_and_ab, batches.flip, 4)
    selection = kind(wanted)
    callbacks = [MovingAverage(0.5), History({}, colouriser.MEASURES), selection]
    learner(pair, network, nn.L1Loss(), partial(torch.optim.Adam), callbacks).fit(epochs, rate)
    l, ab = next(iter(batches.Batches(split, batches.to_lightness_and_ab, 64, torch.device("cpu"))))  # noqa: E741
    with torch.inference_mode():
        painted, real = (
            metrics.colourfulness(rgb_to_bytes(l_ab_to_rgb(l, colours))).mean() for colours in (network.eval()(l), ab)
        )
    return network, selection, (painted / real).item()


def test_what_is_kept_is_as_lively_as_wanted_and_no_livelier():
    _, selection, found = train(wanted=0.2)
    assert 0 < selection.share < 1
    assert found == pytest.approx(0.2, abs=0.02)


def test_a_network_that_is_not_lively_enough_is_kept_as_it_is():
    _, selection, found = train(wanted=1, epochs=2, rate=1e-4)
    assert selection.share == 1
    assert 0 < found < 0.5


def test_a_mix_that_paints_what_is_no_number_is_told():
    class Spoil(Selection):
        def _mix(self, share):
            super()._mix(share)
            if 0 < share < 1:
                next(self.model.parameters()).data.fill_(torch.nan)

    with pytest.raises(PipelineError, match=r"a mix of U-Net and GAN paints what is no number; lower the learning"):
        train(wanted=0.2, kind=Spoil)


def test_a_network_that_was_lively_enough_before_is_not_mixed_in():
    _, selection, _ = train(wanted=0)
    assert selection.share == 1
