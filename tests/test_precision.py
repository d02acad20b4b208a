from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pipeline.training.learner import seed_everything
from pipeline.training.precision import autocast, fastest
from tests.test_training import painter, train


@pytest.mark.parametrize(
    ("capabilities", "lower"), [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx2": True}, False)]
)
def test_the_processor_computes_in_lower_precision_if_it_is_made_for_it(monkeypatch, capabilities, lower):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    with autocast("cpu"):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == (torch.bfloat16 if lower else torch.float32)


def torch_on(monkeypatch, capability: int) -> None:
    """An NVIDIA GPU of a generation, of which 8 is Ampere."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(major=capability))
    # Older ones emulate it.
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda _: True, raising=False)


@pytest.mark.parametrize(("capability", "type_"), [(7, torch.float32), (8, torch.bfloat16), (9, torch.bfloat16)])
def test_a_gpu_that_only_emulates_it_computes_in_full_precision(monkeypatch, capability, type_):
    torch_on(monkeypatch, capability)
    assert fastest("cuda") == type_


@pytest.mark.parametrize(("has", "type_"), [(True, torch.bfloat16), (False, torch.float32)])
def test_intels_gpus_are_asked_whether_they_have_it_themselves(monkeypatch, has, type_):
    monkeypatch.setattr(torch.xpu, "is_available", lambda: True)
    monkeypatch.setattr(torch.xpu, "get_device_properties", lambda: SimpleNamespace(has_bfloat16_conversions=has))
    assert fastest("xpu") == type_


def test_a_device_that_has_no_answer_computes_in_full_precision():
    assert not hasattr(torch.mps, "is_bf16_supported")
    assert fastest("mps") == torch.float32


def test_a_torch_that_does_not_tell_of_the_processor_computes_in_full_precision(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert fastest("cpu") == torch.float32


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
