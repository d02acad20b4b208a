import pytest
import torch
from torch import nn

from pipeline.training.learner import seed_everything
from pipeline.training.precision import autocast
from tests.test_training import painter, train


@pytest.mark.parametrize(
    ("capabilities", "lower"), [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx2": True}, False)]
)
def test_the_processor_computes_in_lower_precision_if_it_is_made_for_it(monkeypatch, capabilities, lower):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    with autocast("cpu"):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == (torch.bfloat16 if lower else torch.float32)


class Watched(nn.Module):
    """Notes in what precision it computes."""

    def __init__(self):
        super().__init__()
        self.network, self.seen = painter(), set()

    def forward(self, l):  # noqa: E741
        ab = self.network(l)
        self.seen.add((self.training, ab.dtype))
        return ab


def test_the_network_computes_in_lower_precision_but_its_weights_are_not(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    seed_everything(0)
    network = train([], epochs=1, network=Watched())
    assert network.seen == {(True, torch.bfloat16), (False, torch.bfloat16)}
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
