import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.models
from torch import nn
from torch.nn.functional import interpolate
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from pipeline.measuring import perceptual
from pipeline.system.errors import PipelineError

CPU = torch.device("cpu")


class SmallInception(nn.Module):
    """Stands in for Inception, whose layers are in a package that only who measures by it installs."""

    def __init__(self, name, features, path):
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.load_state_dict(torch.load(path, weights_only=False))  # as torch-fidelity does

    def forward(self, x):
        """uint8 (N, 3, H, W) → features (N, 4)."""
        assert x.dtype == torch.uint8
        return self.layer(x.float().mean((2, 3)))


def stand_in(monkeypatch) -> None:
    """Have a `SmallInception` where Inception would be."""
    monkeypatch.setattr(perceptual, "find_spec", lambda name: name)
    monkeypatch.setattr("torchmetrics.image.fid.NoTrainInceptionV3", SmallInception)


def save_small_inception(path: Path) -> Path:
    torch.manual_seed(0)
    torch.save({f"layer.{name}": tensor for name, tensor in nn.Linear(3, 4).state_dict().items()}, path)
    return path


def save_alexnet(path: Path) -> Path:
    """A file of random weights, as torchvision's of AlexNet, but for the last layers, which have most of the bytes."""
    torch.manual_seed(0)
    layers = [(64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3)]
    weights = {}
    for place, (out, channels, side) in zip((0, 3, 6, 8, 10), layers, strict=True):
        layer = nn.Conv2d(channels, out, side)
        weights |= {f"features.{place}.{name}": tensor for name, tensor in layer.state_dict().items()}
    torch.save(weights, path)
    return path


@pytest.fixture
def pair():
    """Pictures of a side, and the same with noise, uint8 (3, side, side, 3) each."""

    def make(side):
        rng = np.random.default_rng(0)
        pictures = rng.integers(0, 256, (3, side, side, 3))
        noisy = (pictures + rng.integers(-60, 60, pictures.shape)).clip(0, 255)
        return tuple(torch.from_numpy(array.astype(np.uint8)) for array in (pictures, noisy))

    return make


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    return save_alexnet(tmp_path_factory.mktemp("alexnet") / "archive")


@pytest.fixture
def reference(alexnet, monkeypatch):
    """LPIPS as torchmetrics gives it, on the weights of that file in place of those that it would download."""
    network = nn.Module()
    with torch.device("meta"):
        network.features = torchvision.models.alexnet().features
    network.load_state_dict(torch.load(alexnet), assign=True)
    with monkeypatch.context() as patch:
        patch.setattr(torchvision.models, "alexnet", lambda weights: network)
        return LearnedPerceptualImagePatchSimilarity(net_type="alex", reduction="none", normalize=True)


@pytest.mark.parametrize("side", [64, 96])
def test_lpips_is_that_of_torchmetrics_for_each_picture(reference, alexnet, pair, side):
    first, second = pair(side)
    expected = reference(*((pictures / 255).movedim(3, 1) for pictures in (first, second)))
    found = perceptual.lpips(alexnet, side, CPU)(first, second)
    assert found.shape == (3,)
    assert found.min() > 0
    torch.testing.assert_close(found, expected)


def test_weights_can_be_moved_to_a_gpu_and_looked_at_there(alexnet, pair, monkeypatch):
    """Moving them there makes tensors anew, as this does, of which views are taken in inference mode."""
    monkeypatch.setattr(torch.nn.Module, "to", lambda network, device: network._apply(torch.clone))
    compare = perceptual.lpips(alexnet, 64, CPU)
    with torch.inference_mode():
        assert compare(*pair(64)).shape == (3,)


def test_small_pictures_are_enlarged_for_lpips(reference, alexnet, pair):
    first, second = pair(32)
    large = [interpolate((pictures / 255).movedim(3, 1), (64, 64), mode="bilinear") for pictures in (first, second)]
    compare = perceptual.lpips(alexnet, 32, CPU)
    torch.testing.assert_close(compare(first, second), reference(*large))
    assert compare(first[:1], first[:1]).tolist() == [0]


def test_pictures_are_handed_to_inception_in_their_order(tmp_path, monkeypatch, pair):
    stand_in(monkeypatch)
    path = save_small_inception(tmp_path / "archive")
    monkeypatch.setattr(perceptual, "AT_ONCE", 2)
    first, _ = pair(32)
    expected = SmallInception("", [], path)(first.movedim(3, 1))
    torch.testing.assert_close(perceptual.inception(path, CPU)(first), expected)


def test_features_are_those_of_inception_in_torchmetrics(tmp_path, monkeypatch, pair):
    pytest.importorskip("torch_fidelity", reason="only who measures by Inception installs its layers")
    path = tmp_path / "archive"
    with monkeypatch.context() as patch:  # it would load weights: take the random ones that it has made before
        patch.setattr(torch, "load", lambda *_, **__: {})
        patch.setattr(nn.Module, "load_state_dict", lambda *_: None)
        network = NoTrainInceptionV3("inception-v3-compat", ["2048"], "")
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)  # lest hardly anything come through so many of them
    torch.save(network.state_dict(), path)
    first, _ = pair(32)
    found = perceptual.inception(path, CPU)(first)
    assert found.shape == (3, 2048)
    expected = FrechetInceptionDistance(feature_extractor_weights_path=str(path)).inception(first.movedim(3, 1))
    torch.testing.assert_close(found, expected)
    assert found.std(dim=0).max() > 1e-3


def test_without_the_package_of_inception_one_line_says_how_to_have_it(tmp_path, monkeypatch):
    monkeypatch.setattr(perceptual, "find_spec", lambda name: None)
    with pytest.raises(PipelineError, match=r"^evaluate\.published: given inception.*-e '\.\[inception\]'") as caught:
        perceptual.inception(save_small_inception(tmp_path / "archive"), CPU)
    assert "\n" not in str(caught.value)


class Program:
    """What a file of weights may hold: a program that leaves a trace."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def load(name: str, path: Path):
    return perceptual.lpips(path, 32, CPU) if name == "lpips" else perceptual.inception(path, CPU)


@pytest.mark.parametrize("name", ["lpips", "inception"])
def test_other_and_broken_weights_are_refused_in_one_line(tmp_path, monkeypatch, name):
    stand_in(monkeypatch)
    right = torch.load((save_alexnet if name == "lpips" else save_small_inception)(tmp_path / "right"))
    first = next(iter(right))
    for number, content in enumerate(
        [
            b"",
            b"no weights",
            (tmp_path / "right").read_bytes()[:-3000],
            pickle.dumps(3, protocol=2),
            [],
            {},
            right | {first: torch.zeros(2)},
            right | {first: right[first] * torch.nan},
            Program(tmp_path / "trace"),
        ]
    ):
        path = tmp_path / f"{number}"
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        expected = rf"not weights of (AlexNet|Inception); see evaluate\.{name} in params\.yaml$"
        with pytest.raises(PipelineError, match=expected) as caught:
            load(name, path)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "trace").exists()
