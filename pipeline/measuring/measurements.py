"""Each test picture, as each paints it, measured."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pipeline.colour import bytes_to_rgb, rgb_to_l_ab
from pipeline.datasets import colours, store
from pipeline.measuring import metrics
from pipeline.measuring.painting import GAINS, Paint, no_colour, to_bytes, to_tensor
from pipeline.measuring.perceptual import NONE, Published
from pipeline.measuring.results import Measurements
from pipeline.networks.classifier import Classifier
from pipeline.system.errors import PipelineError
from pipeline.training import processes
from pipeline.training.precision import autocast, exact_float32


@torch.inference_mode()
def measure(
    test: store.Split, paint: Paint, judge: Classifier, batch_size: int, published: Published = NONE
) -> Measurements | None:
    """Colour all test pictures, a batch at a time, and measure each; so is `grey`, which paints nothing.

    All figures lie in files without a name, which go with the arrays, so that memory does not grow with the number of
    pictures. Where several processes share the pictures, the first one holds the figures of all in memory.

    Args:
        test: pictures, uint8 (N, H, W, 3), which may be memory-mapped, and labels.
        paint: see `painters`.
        judge: rgb (N, 3, H, W) in [0, 1] → logits, by way of `features` and `head`. One that was trained on pictures
            without classes tells by how far they are turned; class 0, which all of them have, is upright.
        batch_size: how many pictures to hold in memory at once.
        published: other networks that are asked as well.

    Returns:
        On the first process what all of them measured, on the others None.

    Raises:
        PipelineError: a colouriser gives values that are no numbers, or there is no colour in the pictures, or there
            are fewer of them than processes.
    """
    processes.require_one_each(len(test.pictures), f"{len(test.pictures)} test pictures", "start fewer processes")
    colours.require(test.pictures, "every test picture")
    exact_float32()
    device = next(judge.parameters()).device
    mine = processes.mine(np.arange(len(test.pictures)))
    numbers: Measurements = defaultdict(dict)
    features: dict[str, np.ndarray] = {}  # the judge's, by who coloured what it sees
    hues: dict[str, np.ndarray] = {}  # the same, where each picture is as colourful as the real one
    inception: dict[str, np.ndarray] = {}  # Inception's features
    with tqdm(total=len(mine), desc="measuring", unit=" pictures", disable=None if processes.first() else True) as bar:
        for start in range(0, len(mine), batch_size):
            here = slice(start, start + batch_size)
            labels = torch.from_numpy(test.labels[mine[here]]).to(device)
            real = to_tensor(test.pictures[mine[here]], device)
            for shown in _show(real, paint):
                seen = _look(judge, shown.pictures)
                shown.numbers["judge_accuracy"] = (judge.head(seen).argmax(dim=1) == labels).float()
                if published.lpips and shown.who != "real":
                    shown.numbers["lpips"] = published.lpips(shown.pictures, real)
                for metric, value in shown.numbers.items():
                    _put(numbers[shown.who], metric, value, here, len(mine))
                _put(features, shown.who, seen, here, len(mine))
                if shown.lively is not None:
                    _put(hues, shown.who, _look(judge, shown.lively), here, len(mine))
                if published.inception:
                    _put(inception, shown.who, published.inception(shown.pictures), here, len(mine))
            bar.update(len(labels))
    features, hues, inception, *values = map(_gather, (features, hues, inception, *numbers.values()))
    if not processes.first():
        return None
    measured = dict(zip(numbers, values, strict=True))
    _check(measured, [*features.values(), *hues.values()], [*inception.values()])
    for who in features.keys() - {"real"}:
        measured[who] |= {
            "judge_fd": metrics.frechet_distances(features[who], features["real"]),
            "judge_fd_hue": metrics.frechet_distances(hues.get(who, features[who]), features["real"]),
            "judge_kid": metrics.kernel_distances(features[who], features["real"]),
        }
    for who in inception.keys() - {"real"}:
        measured[who] |= {
            "inception_fid": metrics.frechet_distances(inception[who], inception["real"]),
            "inception_kid": metrics.kernel_distances(inception[who], inception["real"]),
        }
    return measured


class Shown(NamedTuple):
    """A batch as somebody painted it.

    who: painted it.
    pictures: uint8 (N, H, W, 3).
    numbers: metric → one number a picture, (N,).
    lively: the pictures, each as colourful as the real one; None of grey ones, and of the real ones.
    """

    who: str
    pictures: Tensor
    numbers: dict[str, Tensor]
    lively: Tensor | None = None


def _show(real: Tensor, paint: Paint) -> Iterator[Shown]:
    """The real pictures, uint8 (N, H, W, 3), then the same in grey, and as each paints them."""
    l, real_ab = rgb_to_l_ab(bytes_to_rgb(real))  # noqa: E741
    wanted, real_lab = metrics.colourfulness(real), metrics.lab(l, real_ab)
    absolute = metrics.absolute_colourfulness(real)
    yield Shown("real", real, {"colourfulness": wanted, "colourfulness_absolute": absolute})
    for who, ab in {"grey": no_colour(l), **paint(l)}.items():
        pictures = to_bytes(l, ab)
        lab = metrics.lab(*rgb_to_l_ab(bytes_to_rgb(pictures)))
        numbers = {
            "l1": metrics.l1(ab, real_ab),
            "edge_l1": metrics.edge_l1(ab, real_ab),
            "rgb_error": metrics.rgb_error(pictures, real),
            "psnr": metrics.psnr(pictures, real),
            "ssim": metrics.ssim(pictures, real),
            "ciede2000": metrics.ciede2000(lab, real_lab),
            "accuracy_2": metrics.accuracy(lab, real_lab, 2),
            "accuracy_5": metrics.accuracy(lab, real_lab, 5),
            "colourfulness": metrics.colourfulness(pictures),
            "colourfulness_absolute": metrics.absolute_colourfulness(pictures),
        }
        lively = None if who == "grey" else _as_lively(l, ab, numbers["colourfulness"], wanted)
        yield Shown(who, pictures, numbers, lively)


def _as_lively(l: Tensor, ab: Tensor, has: Tensor, wanted: Tensor) -> Tensor:  # noqa: E741
    """Pictures whose chroma is multiplied, each by a factor of its own, until they are as colourful as is wanted.

    Args:
        l: (N, 1, H, W).
        ab: (N, 2, H, W).
        has: their colourfulness, (N,).
        wanted: that of the real pictures, (N,).

    Returns:
        uint8 (N, H, W, 3), as near as sRGB and the largest of `GAINS` allow.
    """
    factor = torch.ones_like(has)
    for _ in range(2):  # in sRGB, colourfulness grows a little slower or faster than chroma
        factor = (factor * wanted / has.clamp_min(metrics.TINY)).clamp(max=GAINS[-1])
        pictures = to_bytes(l, factor.view(-1, 1, 1, 1) * ab)
        has = metrics.colourfulness(pictures)
    return pictures


def _look(judge: Classifier, pictures: Tensor) -> Tensor:
    """What the judge sees, (N, F) float32: computed as in training, in bfloat16 where that is faster."""
    with autocast(pictures.device):
        return judge.features(bytes_to_rgb(pictures)).float()


def _put(arrays: dict[str, np.ndarray], name: str, value: Tensor, here: slice, count: int) -> None:
    """Put a batch's numbers, (n, …), where they belong in the array of that name, float32 (count, …), on the disk."""
    if name not in arrays:
        with tempfile.TemporaryFile() as file:
            arrays[name] = np.memmap(file, np.float32, "w+", shape=(count, *value.shape[1:]))
    arrays[name][here] = value.cpu().numpy()


def _gather(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """On the first process, what all of them have, by the same names."""
    return {name: processes.together(array) for name, array in arrays.items()}


def _check(measured: Measurements, seen: Sequence[np.ndarray], by_inception: Sequence[np.ndarray]) -> None:
    for who, values in measured.items():
        if not all(np.isfinite(value).all() for value in values.values()):
            raise PipelineError(f"{who}: its colours are not finite numbers; train it with a lower learning rate")
    if not all(np.isfinite(features).all() for features in seen):
        raise PipelineError("judge: its features are not finite numbers; train it with a lower learning rate")
    if not all(np.isfinite(features).all() for features in by_inception):
        raise PipelineError("inception: its features are not finite numbers; see evaluate.inception in params.yaml")
