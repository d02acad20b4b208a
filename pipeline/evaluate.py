"""Stage 5: measure grey, U-Net, U-Net × gain and GAN on all test pictures, with 95 % intervals, and draw them."""

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from pipeline import levels, metrics, models, perceptual, plots, report
from pipeline.colour import bytes_to_rgb, l_ab_to_rgb, rgb_to_bytes, rgb_to_l_ab
from pipeline.datasets import archive, colours, store
from pipeline.errors import PipelineError
from pipeline.files import sha256, write_all
from pipeline.networks.classifier import Classifier
from pipeline.params import Evaluate, Params
from pipeline.results import Measurements, with_intervals
from pipeline.training import processes
from pipeline.training.batches import default_device, fit_batch
from pipeline.training.precision import autocast

TARGET = Path("data/target")
TABLES = {"unet": Path("plots/unet.csv"), "gan": Path("plots/gan.csv")}  # training wrote them

PAIRS = [("gan", "unet"), ("gan", "unet_gain")]  # whose differences are looked at
GAINS = np.geomspace(0.5, 8, 13)  # close enough for straight lines between them

Colouriser = Callable[[Tensor], Tensor]  # l (N, 1, H, W) → ab (N, 2, H, W), on the same device
Paint = Callable[[Tensor], dict[str, Tensor]]  # l → who → ab


def run(params: Params) -> None:
    """Write metrics/evaluate.json and plots/{pictures.npz, grid.png, before_after.gif, test_l1.png, curves.png}.

    All or none of them are written. Several processes share the measuring, and the first does the rest.
    """
    about = store.read_about(TARGET)
    test = store.read(TARGET, "test")
    if len(test.pictures) < 2:
        raise PipelineError(f"{TARGET}: given {len(test.pictures)} test picture, needed at least 2; add pictures")
    colourisers: dict[str, Colouriser] = {}
    unet: dict[str, Any] = {}
    for name in ("unet", "gan"):
        colourisers[name], unet = load_colouriser(name, about["name"])
    if not unet.get("gan", {}).get("epochs", 1):  # the last one loaded says how long it was trained as a GAN
        del colourisers["gan"]
    judge, _ = _load("judge", "classifier", about["name"])
    tables = {name: _read_table(path) for name, path in TABLES.items()}
    published = load_published(params.evaluate, min(test.pictures.shape[1:3]))

    batch_size = fit_batch(params.evaluate.batch_size, test.pictures)
    gains = fit_gains(colourisers, store.read(TARGET, "validation").pictures, batch_size)
    gain = gains["gan" if "gan" in gains else "real"].factor
    paint = painters(colourisers, gain)
    measured = measure(test, paint, judge, batch_size, published)
    if measured is None:
        return
    results = with_intervals(measured, params.evaluate.resamples, params.seed, PAIRS)
    measured_on = {
        "case": params.case,
        "target": about["name"],
        "encoder": unet["encoder"],
        "pictures": len(test.pictures),
        "seed": params.seed,
        "gain": gain,
        "gains": {who: fitted._asdict() for who, fitted in gains.items()},
        "sha256": {name: sha256(_path(name)) for name in (*colourisers, "judge")},
        "published": {name: getattr(params.evaluate, name).checksum for name in params.evaluate.published},
    }
    pictures = draw(test.pictures[: params.evaluate.grid], paint)
    title = f"L1 on {len(test.pictures)} test pictures of {about['name']}, 95 % intervals"
    errors = {
        who: (results[who]["l1"], results[who]["l1_low"], results[who]["l1_high"])
        for who in plots.COLOURS
        if who in results
    }
    content = json.dumps({**results, "measured_on": measured_on}, indent=2, allow_nan=False) + "\n"
    write_all(
        {
            Path("plots/pictures.npz"): lambda path: by_picture(measured, path),
            Path("plots/grid.png"): lambda path: plots.grid(pictures, path),
            Path("plots/before_after.gif"): lambda path: plots.before_after(pictures, path),
            Path("plots/test_l1.png"): lambda path: plots.bars(errors, title, path),
            Path("plots/curves.png"): lambda path: plots.curves(tables, path),
            report.FIGURES: lambda path: path.write_bytes(content.encode()),
        }
    )
    report.run()


def load_colouriser(name: str, target: str) -> tuple[Colouriser, dict[str, Any]]:
    """A colouriser that is shown the tones that it knows, see `levels`, and what its file says about it."""
    network, about = _load(name, "colouriser", target)
    return levels.shown(network, levels.Tones(**about["tones"])), about


class Published(NamedTuple):
    """Networks of others, on the device there is; None are those that are not asked for."""

    lpips: perceptual.Compare | None = None
    inception: perceptual.Look | None = None


NONE = Published()


def load_published(settings: Evaluate, side: int) -> Published:
    """Those that are asked for, their weights fetched and checked; nothing is fetched for the others.

    Args:
        settings: which, and where the weights come from.
        side: of the pictures, in pixels.

    Raises:
        PipelineError: the weights cannot be had, or are others, or a package is missing.
    """
    device, found = default_device(), NONE
    if "inception" in settings.published:
        perceptual.require_inception()
    if "lpips" in settings.published:
        found = found._replace(lpips=perceptual.lpips(_fetch("lpips", settings), side, device))
    if "inception" in settings.published:
        found = found._replace(inception=perceptual.inception(_fetch("inception", settings), device))
    return found


def _fetch(name: str, settings: Evaluate) -> Path:
    way_out = f"Mend evaluate.{name} in params.yaml (file:///… works, too), or take {name} out of evaluate.published"
    return archive.fetch(getattr(settings, name), way_out)


def by_picture(measured: Measurements, path: Path) -> None:
    """Write who.metric → a number a picture, float32 (N,), from which intervals over several runs can be had."""
    named = {
        f"{who}.{metric}": values.astype(np.float32)
        for who, numbers in measured.items()
        for metric, values in numbers.items()
    }
    with path.open("wb") as file:  # to a path, NumPy would add a suffix
        np.savez_compressed(file, **named)  # type: ignore[arg-type]  # none is called allow_pickle


def _load(name: str, kind: Any, target: str) -> tuple[Any, dict[str, Any]]:
    """A model, on the device there is, and what its file says about it.

    Raises:
        PipelineError: there is no such model, or it was trained on other pictures.
    """
    network, about = models.build_on(_path(name), kind, target)
    layout: dict[str, Any] = {"device": default_device(), "memory_format": torch.channels_last}
    return network.to(**layout), about


def _path(name: str) -> Path:
    return Path(f"models/{name}.safetensors")


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file, training writes it; run `dvc repro train_{path.stem}`") from None


class Gain(NamedTuple):
    """A factor of the U-Net's colours, and the skill that they have with it on the validation pictures."""

    factor: float
    skill: float


@torch.inference_mode()
def fit_gains(colourisers: Mapping[str, Colouriser], pictures: np.ndarray, batch_size: int) -> dict[str, Gain]:
    """What makes the U-Net's colours on average as lively as those of the real pictures, and of the other colourisers.

    With it a pale U-Net is the plainest way to lively colours, which a GAN must beat to be worth its time.

    Args:
        colourisers: name → network, on the device there is, of which one is `unet`.
        pictures: for validation, uint8 (N, H, W, 3), which may be memory-mapped.
        batch_size: how many pictures to hold in memory at once.

    Returns:
        `real`, and the names of the others → the gain; factors are at most the ends of `GAINS`.
    """
    device = default_device()
    wanted = {who: 0.0 for who in ("real", *colourisers) if who != "unet"}
    colourful, errors, grey = np.zeros(len(GAINS)), np.zeros(len(GAINS)), 0.0
    mine = processes.mine(np.arange(len(pictures)))
    for start in range(0, len(mine), batch_size):
        real = _to_tensor(pictures[mine[start : start + batch_size]], device)
        l, real_ab = rgb_to_l_ab(bytes_to_rgb(real))  # noqa: E741
        painted = {who: _colour(colouriser, l) for who, colouriser in colourisers.items()}
        unet = painted.pop("unet")
        colourful += [metrics.colourfulness(_to_bytes(l, gain * unet)).sum().item() for gain in GAINS]
        errors += [metrics.l1(gain * unet, real_ab).sum().item() for gain in GAINS]
        grey += real_ab.abs().mean(dim=(1, 2, 3)).sum().item()
        for who, shown in {"real": real, **{who: _to_bytes(l, ab) for who, ab in painted.items()}}.items():
            wanted[who] += metrics.colourfulness(shown).sum().item()
    colourful, errors, grey = (sum(processes.gather(value)) for value in (colourful, errors, grey))
    wanted = {who: sum(processes.gather(lively)) for who, lively in wanted.items()}
    # Colours that leave sRGB are clipped, so the curve may sink a little at its upper end.
    factors = {who: np.interp(lively, np.maximum.accumulate(colourful), GAINS) for who, lively in wanted.items()}
    skills = 1 - errors / max(grey, metrics.TINY)
    return {
        who: Gain(round(float(factor), 4), round(float(np.interp(factor, GAINS, skills)), 4))
        for who, factor in factors.items()
    }


def painters(colourisers: Mapping[str, Colouriser], gain: float | None = None) -> Paint:
    """All that each of several paints, and, if there is a gain, `unet_gain`: what `unet` does, times that."""

    def paint(l: Tensor) -> dict[str, Tensor]:  # noqa: E741
        painted = {}
        for who, colouriser in colourisers.items():
            painted[who] = _colour(colouriser, l)
            if who == "unet" and gain is not None:
                painted["unet_gain"] = gain * painted[who]
        return painted

    return paint


@torch.inference_mode()
def measure(
    test: store.Split, paint: Paint, judge: Classifier, batch_size: int, published: Published = NONE
) -> Measurements | None:
    """Colour all test pictures, a batch at a time, and measure each; so is `grey`, which paints nothing.

    Several processes share the pictures. All figures lie in files without a name, which go with the arrays, so that
    memory does not grow with the number of pictures.

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
        PipelineError: a colouriser gives values that are no numbers, or there is no colour in the pictures.
    """
    colours.require(test.pictures, "every test picture")
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
            real = _to_tensor(test.pictures[mine[here]], device)
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
    for who, ab in {"grey": _no_colour(l), **paint(l)}.items():
        pictures = _to_bytes(l, ab)
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
        pictures = _to_bytes(l, factor.view(-1, 1, 1, 1) * ab)
        has = metrics.colourfulness(pictures)
    return pictures


def _look(judge: Classifier, pictures: Tensor) -> Tensor:
    """What the judge sees, (N, F) float32: computed as in training, in bfloat16 where that is faster."""
    with autocast(pictures.device):
        return judge.features(bytes_to_rgb(pictures)).float()


def _colour(colouriser: Colouriser, l: Tensor) -> Tensor:  # noqa: E741
    """The ab that it paints, (N, 2, H, W) float32: computed as in training, in bfloat16 where that is faster."""
    with autocast(l.device):
        return colouriser(l).float()


def _no_colour(l: Tensor) -> Tensor:  # noqa: E741
    return torch.zeros_like(l).expand(-1, 2, -1, -1)


def _to_bytes(l: Tensor, ab: Tensor) -> Tensor:  # noqa: E741
    return rgb_to_bytes(l_ab_to_rgb(l, ab))


@torch.inference_mode()
def draw(pictures: np.ndarray, paint: Paint) -> dict[str, np.ndarray]:
    """Real, grey and as each paints them: who → uint8 (N, H, W, 3), from the real ones in that form."""
    l, _ = rgb_to_l_ab(bytes_to_rgb(_to_tensor(pictures, default_device())))  # noqa: E741
    painted = {"grey": _no_colour(l), **paint(l)}
    return {"real": np.array(pictures), **{who: _to_bytes(l, ab).cpu().numpy() for who, ab in painted.items()}}


def _to_tensor(pictures: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(pictures)).to(device)  # a copy, because a memory map is read-only


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
