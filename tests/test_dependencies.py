"""What is relied on in other packages and could change with them: each test says in words what it is, and whose."""

import io
import re
import tarfile
import tomllib
import zipfile
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest

PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = sorted(
    {
        *PROJECT["dependencies"],
        *EXTRAS["web"],
        *EXTRAS["train"],
        *EXTRAS["raw"],
        *EXTRAS["inception"],
        *EXTRAS["dev"][1:],
    }
)
PINNED = dict(
    line.split("==") for line in Path("constraints.txt").read_text().splitlines() if line and not line.startswith("#")
)
WAY_OUT = "install the versions in constraints.txt (`make install` does)"


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("requirement", DIRECT)
def test_what_is_installed_is_what_the_constraints_say(requirement):
    name = re.match(r"[\w.-]+", requirement)[0]
    pins = {normal(package): pin for package, pin in PINNED.items()}
    assert normal(name) in pins, f"{name} is in pyproject.toml but not pinned in constraints.txt: pin it"
    installed = version(name).partition("+")[0]
    assert installed == pins[normal(name)], f"{name} {installed} is installed, not {pins[normal(name)]}; {WAY_OUT}"


def dynamic_unet() -> bool:
    from torch import nn

    from pipeline.networks.generator import unet

    network = unet("resnet20")
    painting = network.layers[-1]
    return isinstance(network.layers[0], nn.Sequential) and isinstance(painting, nn.Conv2d)


def events() -> bool:
    from fastai.callback.core import event

    used = "before_fit before_epoch before_train before_validate after_loss after_step after_batch after_validate"
    return all(hasattr(event, name) for name in used.split())


def progress() -> bool:
    import torch
    from fastai.callback.core import Callback
    from torch import nn

    from pipeline.training.learner import learner
    from tests.test_training import adam, painter, pair

    seen = []

    class Watch(Callback):
        order = 90

        def before_train(self):
            seen.append((self.epoch, self.train_iter, self.pct_train))

    torch.manual_seed(0)
    learner(pair(), painter(), nn.L1Loss(), adam, [Watch()]).fit(2, 0.01)
    return seen == [(0, 0, 0.0), (1, 4, 0.5)]


def optimiser_wrapper() -> bool:
    import torch
    from fastai.optimizer import OptimWrapper

    weight = torch.nn.Parameter(torch.zeros(1))
    wrapped = OptimWrapper([weight], partial(torch.optim.Adam, betas=(0.5, 0.9)), lr=0.1)
    return wrapped.state_dict()["param_groups"][0]["betas"] == (0.5, 0.9)


def lerp() -> bool:
    import torch

    average = torch.zeros(2)
    torch._foreach_lerp_([average], [torch.ones(2)], 0.25)
    return average.tolist() == [0.25, 0.25]


def checksums() -> bool:
    import torch

    content = io.BytesIO()
    torch.save(torch.zeros(100), content)
    changed = bytearray(content.getvalue())
    changed[changed.index(bytes(400))] = 1
    with zipfile.ZipFile(content) as whole, zipfile.ZipFile(io.BytesIO(changed)) as damaged:
        return whole.testzip() is None and damaged.testzip() is not None


def resnet_layers() -> bool:
    import torchvision.models

    names = [name for name, _ in torchvision.models.resnet18().named_children()]
    return names == ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc"]


def timm_features() -> bool:
    import timm

    network = timm.create_model("test_resnet")
    return {"module", "num_chs", "reduction"} <= set(
        network.feature_info[-1]
    ) and "classifier" in network.pretrained_cfg


def perceptual_distance() -> bool:
    import inspect

    from torchmetrics.functional.image.lpips import _NoTrainLpips

    return {"net", "pnet_rand", "resize"} <= set(inspect.signature(_NoTrainLpips).parameters)


def tar_headers() -> bool:
    class Loud(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, *_):
            raise ValueError("asked")

    with pytest.raises(ValueError, match="asked"), tarfile.open(fileobj=io.BytesIO(bytes(1024)), tarinfo=Loud):
        pass
    return True


def retries() -> bool:
    from urllib3.util import Retry

    return Retry(retry_after_max=3, backoff_jitter=1).retry_after_max == 3


def length() -> bool:
    from urllib3 import HTTPResponse

    return HTTPResponse(io.BytesIO(b"123"), {"Content-Length": "3"}, preload_content=False).length_remaining == 3


def onnx_export() -> bool:
    import inspect

    import torch

    return {"dynamic_shapes", "input_names", "output_names"} <= set(inspect.signature(torch.onnx.export).parameters)


def cycles() -> bool:
    import inspect

    from uvicorn.protocols.http.h11_impl import H11Protocol

    return all(
        "self.cycle" in inspect.getsource(getattr(H11Protocol, name)) for name in ("handle_events", "connection_lost")
    ) and callable(H11Protocol.on_response_complete)


def gradio_functions() -> bool:
    import gradio

    with gradio.Blocks() as page:
        box = gradio.Textbox()
        box.change(lambda text: text, box, box, preprocess=False)
    return [(len(function.inputs), function.preprocess) for function in page.fns.values()] == [(1, False)]


RELIED_ON = {
    "fastai's DynamicUnet: layers[0] is the encoder, the last but one paints (networks/generator.py)": dynamic_unet,
    "fastai's names of events (training/*.py)": events,
    "fastai's count of steps and share of a run, set before each epoch's training (training/checkpoint.py)": progress,
    "fastai's OptimWrapper hands state_dict on to torch's optimiser (training/checkpoint.py)": optimiser_wrapper,
    "torch moves many tensors towards others at once by _foreach_lerp_ (training/average.py)": lerp,
    "torch saves a zip file with the checksum of each part (training/checkpoint.py)": checksums,
    "torchvision's names of a ResNet's layers (networks/published.py)": resnet_layers,
    "timm says where a network's features are, how small and how many (networks/published.py)": timm_features,
    "torchmetrics' LPIPS can do without torchvision's download, and enlarge (perceptual.py)": perceptual_distance,
    "tarfile makes each header by TarInfo.frombuf (datasets/archive.py)": tar_headers,
    "urllib3's Retry bounds what a server's Retry-After asks for (datasets/archive.py)": retries,
    "urllib3's answer knows how many bytes are still to come (datasets/archive.py)": length,
    "torch's ONNX exporter takes dynamic_shapes (export.py)": onnx_export,
    "uvicorn's HTTP makes a cycle for each request, and says when it is answered (serving/http.py)": cycles,
    "Gradio's functions by number, with what each takes (serve.py)": gradio_functions,
}


@pytest.mark.parametrize("what", RELIED_ON)
def test_what_other_packages_do_inside_is_as_it_was(what):
    try:
        holds = RELIED_ON[what]()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        pytest.fail(f"no longer so: {what}: {error}; {WAY_OUT}, or mend that module")
    assert holds, f"no longer so: {what}; {WAY_OUT}, or mend that module"
