"""What several processes do together, for the tests: `run` is called in each of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback
from torch import nn

from pipeline import params, pretrain, train_gan, train_unet
from pipeline.colour import bytes_to_rgb
from pipeline.datasets import store
from pipeline.measuring import measurements, painting, perceptual
from pipeline.measuring.results import Measurements
from pipeline.networks.classifier import Classifier
from pipeline.networks.generator import unet
from pipeline.training import batches, checkpoint, muon, precision, processes
from pipeline.training.learner import seed_everything
from tests.archives import draw
from tests.test_checkpoint import Kill
from tests.test_checkpoint import run as train_briefly


class Plain(Callback):
    """Takes batch normalisation out of all that learns, in float64, and keeps the weights that its steps end in."""

    order = -10

    def before_fit(self):
        self.networks = {"network": self.model}
        if step := getattr(self.learn, "adversarial_step", None):
            self.networks["discriminator"] = step.discriminator
        if frechet := getattr(self.learn, "frechet_loss", None):
            frechet.features.double()
        for network in self.networks.values():
            network.double()
            for module in list(network.modules()):
                for name, part in module.named_children():
                    if isinstance(part, nn.BatchNorm2d):
                        setattr(module, name, nn.Identity())

    def after_step(self):
        self.kept = {
            f"{which}.{name}": tensor.detach().clone()
            for which, network in self.networks.items()
            for name, tensor in network.state_dict().items()
        }


def three_steps(set_: Callable[[Any, str, Any], None] = setattr) -> dict[str, Any]:
    """Of each stage: its weights after three steps, and the row of its history.

    There are no augmentations. All is computed in float64: an optimiser that divides a gradient by its size makes a
    large difference of what chance there is in a small sum.
    """
    set_(torch.Tensor, "float", torch.Tensor.double)
    set_(batches, "bytes_to_rgb", lambda pictures: bytes_to_rgb(pictures).double())
    set_(precision, "capabilities", dict)
    set_(muon, "fastest", lambda _: torch.float64)
    for module, name in ((pretrain, "flip_shift_and_cut"), (train_unet, "flip"), (train_gan, "flip")):
        set_(module, name, lambda rgb, labels: (rgb, labels))
    pictures, labels = draw(99, 16, np.random.default_rng(0))
    split = store.Split(pictures, labels)
    about = {"name": "drawn", "classes": list("abcdefghij")}
    if processes.first():
        store.write(Path("data/target"), about, {"train": split, "validation": split})
        store.write(Path("data/encoder"), about, {"train": split, "validation": split})
    processes.gather(None)  # until they are written
    settings = params.load().at(16)
    changes = {"architecture": "resnet20", "epochs": 1, "batch_size": 8}  # 32 pictures of 16×16
    classifier = settings.pretrain.encoder.model_copy(update=changes)
    changed = {
        "unet": settings.unet.model_copy(update={"epochs": 1, "batch_size": 8.25, "zoom": 0}),
        "gan": settings.gan.model_copy(update={"epochs": 1, "batch_size": 8, "filters": 8, "colourfulness": 0.5}),
    }
    settings = settings.model_copy(update=changed)
    ends = {}

    seed_everything(0)
    _, history = pretrain.train("encoder", classifier, about, plain := Plain())
    ends["encoder"] = plain.kept, history.rows

    seed_everything(0)
    history = train_unet.train(settings, unet("resnet20"), plain := Plain())
    ends["unet"] = plain.kept, history.rows

    eye = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU())
    with torch.no_grad():  # the same in all processes, as if it came from a file
        eye[0].weight.copy_(torch.linspace(-1, 1, eye[0].weight.numel()).view_as(eye[0].weight).sin())
        eye[0].bias.zero_()
    for stage, weight in (("gan", 1), ("gan without adversary", 0)):
        gan = settings.gan.model_copy(update={"adversarial_weight": weight})
        seed_everything(0)
        given = settings.model_copy(update={"gan": gan}), unet("resnet20"), "resnet20", eye
        history, _ = train_gan.train(*given, plain := Plain())
        there = [{name: value for name, value in row.items() if value is not None} for row in history.rows]
        ends[stage] = plain.kept, there
    return ends


def killed_and_gone_on(kind: str) -> bool:
    """Whether a run with all that is random, killed in the middle and begun again, ends as one that never was."""
    undisturbed = train_briefly(kind)
    checkpoint.MINUTES = 0
    try:
        train_briefly(kind, Kill(1, 1, "after_batch"))
    except KeyboardInterrupt:
        pass
    else:
        return False
    there = len(list(Path("checkpoints").glob("*.pt")))
    processes.gather(None)
    gone_on = train_briefly(kind)
    checkpoint.MINUTES = 5
    return there == 1 and gone_on == undisturbed


def measured() -> tuple[dict[str, painting.Gain], Measurements | None]:
    """Of 31 pictures, what makes one painter as lively as another, and what each picture gives."""
    split = store.Split(*draw(31, 16, np.random.default_rng(1)))
    colourisers = {"unet": lambda l: torch.cat((l, -l), dim=1) / 9, "gan": lambda l: torch.cat((l, l), dim=1) / 3}  # noqa: E741
    torch.manual_seed(0)
    judge = Classifier("resnet20", 3, 10).eval()
    published = perceptual.Published(
        lpips=lambda pictures, real: (pictures.float() - real.float()).abs().mean(dim=(1, 2, 3)),
        inception=lambda pictures: pictures.float().mean(dim=(1, 2)) / 255,
    )
    paint = painting.painters(colourisers, {"unet_gain": ("unet", 2)})
    gains = painting.fit_gains(colourisers["unet"], {"gan": colourisers["gan"]}, split.pictures, 4)
    return gains, measurements.measure(split, paint, judge, 4, published)


def run(folder: Path) -> None:
    """Leave in a file what `three_steps` gives, and what was told of the rest."""
    torch.set_num_threads(1)
    told = {
        "gone on": {kind: all(processes.gather(killed_and_gone_on(kind))) for kind in ("unet", "gan")},
        "random": len({tuple(numbers) for numbers in processes.gather(torch.rand(4).tolist())}),
        "order": processes.together(processes.mine(np.arange(7).repeat(2).reshape(7, 2))),
        "mean": processes.mean(torch.tensor([1.0, 2.0][processes.rank()]), [0.25, 0.75][processes.rank()]),
    }
    told["measured"] = measured()
    ends = three_steps()
    if processes.first():
        torch.save((ends, told), folder / "ends.pt")
