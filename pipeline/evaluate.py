"""Stage 5: measure grey, U-Net, U-Net × gain and GAN on all test pictures, with 95 % intervals, and draw them."""

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from pipeline import levels, metrics, models, plots, report
from pipeline.colour import bytes_to_rgb, l_ab_to_rgb, rgb_to_bytes, rgb_to_l_ab
from pipeline.datasets import colours, store
from pipeline.errors import PipelineError
from pipeline.files import sha256, write_all
from pipeline.params import Params
from pipeline.results import Measurements, with_intervals
from pipeline.training.batches import default_device, fit_batch
from pipeline.training.precision import autocast

TARGET = Path("data/target")
TABLES = {"unet": Path("plots/unet.csv"), "gan": Path("plots/gan.csv")}  # training wrote them

GAINS = np.geomspace(0.5, 8, 25)  # close enough for straight lines between them

Colouriser = Callable[[Tensor], Tensor]  # l (N, 1, H, W) → ab (N, 2, H, W)


def run(params: Params) -> None:
    """Write metrics/evaluate.json and plots/{pictures.npz, grid.png, before_after.gif, test_l1.png, curves.png}.

    All or none of them are written.
    """
    about = store.read_about(TARGET)
    test = store.read(TARGET, "test")
    if len(test.pictures) < 2:
        raise PipelineError(f"{TARGET}: given {len(test.pictures)} test picture, needed at least 2; add pictures")
    colourisers, unet = {}, {}
    for name in ("unet", "gan"):
        colourisers[name], unet = load_colouriser(name, about["name"])
    if not unet.get("gan", {}).get("epochs", 1):  # the last one loaded says how long it was trained as a GAN
        del colourisers["gan"]
    judge, _ = _load("judge", "classifier", about["name"])
    tables = {name: _read_table(path) for name, path in TABLES.items()}

    batch_size = fit_batch(params.evaluate.batch_size, test.pictures)
    device = default_device()
    gain = fit_gain(colourisers["unet"], store.read(TARGET, "validation").pictures, batch_size, device)
    measured = measure(test, colourisers, gain, judge, batch_size)
    results = with_intervals(measured, params.evaluate.resamples, params.seed)
    measured_on = {
        "case": params.case,
        "target": about["name"],
        "encoder": unet["encoder"],
        "pictures": len(test.pictures),
        "seed": params.seed,
        "gain": gain,
        "sha256": {name: sha256(_path(name)) for name in (*colourisers, "judge")},
    }
    pictures = paint(test.pictures[: params.evaluate.grid], colourisers, gain, device)
    title = f"L1 on {len(test.pictures)} test pictures of {about['name']}, 95 % intervals"
    errors = {
        who: tuple(results[who][f"l1{end}"] for end in ("", "_low", "_high")) for who in plots.COLOURS if who in results
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


def by_picture(measured: Measurements, path: Path) -> None:
    """Write who.metric → a number a picture, float32 (N,), from which intervals over several runs can be had."""
    named = {
        f"{who}.{metric}": values.astype(np.float32)
        for who, numbers in measured.numbers.items()
        for metric, values in numbers.items()
    }
    with path.open("wb") as file:  # to a path, NumPy would add a suffix
        np.savez_compressed(file, **named)


def _load(name: str, kind: str, target: str) -> tuple[nn.Module, dict[str, Any]]:
    """A model, on the device there is, and what its file says about it.

    Raises:
        PipelineError: there is no such model, or it was trained on other pictures.
    """
    network, about = models.build_on(_path(name), kind, target)
    return network.to(device=default_device(), memory_format=torch.channels_last), about


def _path(name: str) -> Path:
    return Path(f"models/{name}.safetensors")


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file, training writes it; run `dvc repro train_{path.stem}`") from None


@torch.inference_mode()
def fit_gain(unet: Colouriser, pictures: np.ndarray, batch_size: int, device: torch.device) -> float:
    """The factor, of `GAINS`, that makes the U-Net's colours on average as colourful as those of the real pictures.

    With it a pale U-Net is the plainest way to lively colours, which a GAN must beat to be worth its time.

    Args:
        unet: the U-Net, on the device.
        pictures: for validation, uint8 (N, H, W, 3), which may be memory-mapped.
        batch_size: how many pictures to hold in memory at once.
        device: where to compute.
    """
    painted, real = np.zeros(len(GAINS)), 0.0
    for start in range(0, len(pictures), batch_size):
        batch = _to_tensor(pictures[start : start + batch_size], device)
        l, _ = rgb_to_l_ab(bytes_to_rgb(batch))  # noqa: E741
        ab = _colour(unet, l)
        painted += [metrics.colourfulness(_to_bytes(l, gain * ab)).sum().item() for gain in GAINS]
        real += metrics.colourfulness(batch).sum().item()
    # Colours that leave sRGB are clipped, so the curve may sink a little at its upper end.
    return float(np.interp(real, np.maximum.accumulate(painted), GAINS).round(4))


@torch.inference_mode()
def measure(
    test: store.Split, colourisers: Mapping[str, Colouriser], gain: float, judge: nn.Module, batch_size: int
) -> Measurements:
    """Colour all test pictures, a batch at a time, and measure each.

    Besides the colourisers there are `grey`, which paints nothing, and `unet_gain`, the U-Net's ab × gain. Features lie
    in files without a name, which go with the arrays, so that memory does not grow with the number of pictures.

    Args:
        test: pictures, uint8 (N, H, W, 3), which may be memory-mapped, and labels.
        colourisers: name → network, on the judge's device, of which one is `unet`.
        gain: see `fit_gain`.
        judge: rgb (N, 3, H, W) in [0, 1] → logits, by way of `features` and `head`. One that was trained on pictures
            without classes tells by how far they are turned; class 0, which all of them have, is upright.
        batch_size: how many pictures to hold in memory at once.

    Raises:
        PipelineError: a colouriser gives values that are no numbers, or there is no colour in the pictures.
    """
    colours.require(test.pictures, "every test picture")
    device = next(judge.parameters()).device
    count = len(test.pictures)
    measured = Measurements(defaultdict(dict), {})
    with tqdm(total=count, desc="measuring", unit=" pictures", disable=None) as bar:
        for start in range(0, count, batch_size):
            here = slice(start, start + batch_size)
            labels = torch.from_numpy(test.labels[here]).to(device)
            for who, batch, values in _measure_batch(_to_tensor(test.pictures[here], device), colourisers, gain):
                seen = judge.features(bytes_to_rgb(batch))
                values["judge_accuracy"] = (judge.head(seen).argmax(dim=1) == labels).float()
                if who not in measured.features:
                    measured.features[who] = _on_disk((count, seen.shape[1]))
                measured.features[who][here] = seen.cpu().numpy()
                for metric, value in values.items():
                    _keep(measured.numbers[who], metric, value, here, count)
            bar.update(len(labels))
    _check(measured)
    return measured


def _measure_batch(
    real: Tensor, colourisers: Mapping[str, Colouriser], gain: float
) -> Iterator[tuple[str, Tensor, dict[str, Tensor]]]:
    """Who coloured the pictures, what they look like, uint8 (N, H, W, 3), and metric → one number a picture, (N,)."""
    l, real_ab = rgb_to_l_ab(bytes_to_rgb(real))  # noqa: E741
    yield "real", real, {"colourfulness": metrics.colourfulness(real)}
    for who, ab, batch in _paint(l, colourisers, gain):
        values = {
            "l1": metrics.l1(ab, real_ab),
            "edge_l1": metrics.edge_l1(ab, real_ab),
            "psnr": metrics.psnr(batch, real),
            "ssim": metrics.ssim(batch, real),
            "ciede2000": metrics.ciede2000(batch, real),
            "colourfulness": metrics.colourfulness(batch),
        }
        yield who, batch, values


def _paint(
    l: Tensor,  # noqa: E741
    colourisers: Mapping[str, Colouriser],
    gain: float,
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Who coloured the pictures, the raw ab (N, 2, H, W), and what they look like, uint8 (N, H, W, 3)."""
    painted = {"grey": torch.zeros_like(l).expand(-1, 2, -1, -1)}
    for who, colouriser in colourisers.items():
        painted[who] = _colour(colouriser, l)
        if who == "unet":
            painted["unet_gain"] = gain * painted[who]
    for who, ab in painted.items():
        yield who, ab, _to_bytes(l, ab)


def _colour(colouriser: Colouriser, l: Tensor) -> Tensor:  # noqa: E741
    """The ab that it paints, (N, 2, H, W) float32: computed as in training, in bfloat16 where that is faster."""
    with autocast(l.device):
        return colouriser(l).float()


def _to_bytes(l: Tensor, ab: Tensor) -> Tensor:  # noqa: E741
    return rgb_to_bytes(l_ab_to_rgb(l, ab))


@torch.inference_mode()
def paint(
    pictures: np.ndarray, colourisers: Mapping[str, Colouriser], gain: float, device: torch.device
) -> dict[str, np.ndarray]:
    """Real, grey and as each paints them: who → uint8 (N, H, W, 3), from the real ones in that form."""
    l, _ = rgb_to_l_ab(bytes_to_rgb(_to_tensor(pictures, device)))  # noqa: E741
    return {"real": np.array(pictures), **{who: batch.cpu().numpy() for who, _, batch in _paint(l, colourisers, gain)}}


def _to_tensor(pictures: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(pictures)).to(device)  # a copy, because a memory map is read-only


def _keep(numbers: dict[str, np.ndarray], metric: str, value: Tensor, here: slice, count: int) -> None:
    """Put a batch's numbers, (n,), where they belong in the float32 array, (count,), of that metric."""
    # One array from the start: small tensors, kept among large ones that come and go, would fragment memory.
    if metric not in numbers:
        numbers[metric] = np.empty(count, np.float32)
    numbers[metric][here] = value.cpu().numpy()


def _on_disk(shape: tuple[int, ...]) -> np.memmap:
    """An array of float32."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, "w+", shape=shape)


def _check(measured: Measurements) -> None:
    for who, values in measured.numbers.items():
        if not all(np.isfinite(value).all() for value in values.values()):
            raise PipelineError(f"{who}: its colours are not finite numbers; train it with a lower learning rate")
    if not all(np.isfinite(features).all() for features in measured.features.values()):
        raise PipelineError("judge: its features are not finite numbers; train it with a lower learning rate")
