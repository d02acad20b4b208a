"""The stage evaluate: measure grey, U-Net, U-Net × gain and GAN on all test pictures, and draw them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline import levels
from pipeline.datasets import archive, store
from pipeline.measuring import perceptual, plots, report
from pipeline.measuring.measurements import measure
from pipeline.measuring.painting import Colouriser, draw, fit_gains, painters
from pipeline.measuring.perceptual import NONE, Published
from pipeline.measuring.results import Measurements, with_intervals
from pipeline.model_files import saved
from pipeline.params import Evaluate, Params
from pipeline.system.errors import PipelineError
from pipeline.system.files import sha256, write_all
from pipeline.training.batches import default_device, fit_batch

TARGET = Path("data/target")
TABLES = {"unet": Path("plots/unet.csv"), "gan": Path("plots/gan.csv")}  # training wrote them

PAIRS = [("gan", "unet"), ("gan", "unet_gain")]  # whose differences are looked at


def run(params: Params) -> None:
    """Write metrics/evaluate.json and plots/{pictures.npz, grid.png, before_after.gif, test_l1.png, curves.png}.

    All or none of them are written. Several processes share the measuring, and the first does the rest.
    """
    data = store.read_about(TARGET)["name"]
    test = store.read(TARGET, "test")
    if len(test.pictures) < 2:
        raise PipelineError(f"{TARGET}: given {len(test.pictures)} test picture, needed at least 2; add pictures")
    unet, about = load_colouriser("unet", data)
    gan, about_gan = load_colouriser("gan", data)
    colourisers: dict[str, Colouriser] = {"unet": unet}
    if about_gan.get("gan", {}).get("epochs", 1):
        if about_gan.get("unet_sha256") not in (None, about["weights_sha256"]):
            given = f"{_path('gan')}: not trained on from {_path('unet')}, but from another"
            raise PipelineError(f"{given}; run `dvc repro`")
        colourisers["gan"] = gan
    judge, _ = _load("judge", "classifier", data)
    tables = {name: _read_table(path) for name, path in TABLES.items()}
    published = load_published(params.evaluate, min(test.pictures.shape[1:3]))

    batch_size = fit_batch(params.evaluate.batch_size, test.pictures)
    others = {who: colouriser for who, colouriser in colourisers.items() if who != "unet"}
    gains = fit_gains(colourisers["unet"], others, store.read(TARGET, "validation").pictures, batch_size)
    gain = gains["gan" if "gan" in gains else "real"].factor
    paint = painters(colourisers, {"unet_gain": ("unet", gain)})
    measured = measure(test, paint, judge, batch_size, published)
    if measured is None:
        return
    results = with_intervals(measured, params.evaluate.resamples, params.seed, PAIRS)
    measured_on = {
        "case": params.case,
        "target": data,
        "encoder": about["encoder"],
        "pictures": len(test.pictures),
        "seed": params.seed,
        "gain": gain,
        "gains": {who: fitted._asdict() for who, fitted in gains.items()},
        "sha256": {name: sha256(_path(name)) for name in (*colourisers, "judge")},
        "published": {name: getattr(params.evaluate, name).checksum for name in params.evaluate.published},
    }
    pictures = draw(test.pictures[: params.evaluate.grid], paint, batch_size)
    title = f"L1 on {len(test.pictures)} test pictures of {data}, 95 % intervals"
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
    network, about = saved.build_on(_path(name), kind, target)
    layout: dict[str, Any] = {"device": default_device(), "memory_format": torch.channels_last}
    return network.to(**layout), about


def _path(name: str) -> Path:
    return Path(f"models/{name}.safetensors")


def _read_table(path: Path) -> pd.DataFrame:
    way_out = f"training writes it; run `dvc repro train_{path.stem}`"
    try:
        table = pd.read_csv(path)
        wanted = [*plots.CURVES, *(plots.ADVERSARIES if path == TABLES["gan"] else ())]
        return table[wanted].apply(pd.to_numeric)
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file, {way_out}") from None
    except (ValueError, KeyError):  # no table, without a column, or with a word in it
        raise PipelineError(f"{path}: damaged; {way_out}") from None
