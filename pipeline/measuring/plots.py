"""Drawings: arrays and tables in, a file out. They know nothing of where the numbers come from."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

NAMES = {"real": "real", "grey": "grey", "unet": "U-Net", "unet_gain": "U-Net · gain", "gan": "GAN"}
COLOURS = {
    "grey": "#8c8c8c",
    "unet": "#0072b2",
    "unet_gain": "#56b4e9",
    "gan": "#d55e00",
}  # Okabe & Ito: told apart by the colour-blind

CELL = 128  # side in pixels that a picture is enlarged to, or what comes nearest with whole pixels
GAP = 4
LABEL_WIDTH, CAPTION_HEIGHT = 144, 40
ACROSS = 8  # pictures side by side
INK, PAPER = (20, 20, 20), (255, 255, 255)

# What each frame of the animation says, and for how many milliseconds.
FRAMES = {
    "grey": ("grey: all that the networks see", 1500),
    "unet": ("U-Net, trained with L1", 1800),
    "gan": ("U-Net, trained on as a GAN", 1800),
    "real": ("real", 2200),
}


def grid(pictures: Mapping[str, np.ndarray], path: Path) -> None:
    """Draw a labelled row for each way to colour the pictures, in bands of eight pictures.

    Args:
        pictures: name, of `NAMES`, → uint8 (N, H, W, 3), the same pictures for each name, in the order of the rows.
        path: a PNG.
    """
    bands = [
        _stack([_labelled(NAMES[name], _row(batch[start : start + ACROSS])) for name, batch in pictures.items()], GAP)
        for start in range(0, len(next(iter(pictures.values()))), ACROSS)
    ]
    _stack(bands, 4 * GAP).save(path, format="PNG")


def before_after(pictures: Mapping[str, np.ndarray], path: Path) -> None:
    """Animate the pictures: grey → U-Net → GAN → real, captioned, for ever.

    Args:
        pictures: name, of `FRAMES`, → uint8 (N, H, W, 3), the same pictures for each name.
        path: a GIF.
    """
    frames = [_frame(pictures[name], caption) for name, (caption, _) in FRAMES.items() if name in pictures]
    durations = [milliseconds for name, (_, milliseconds) in FRAMES.items() if name in pictures]
    frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)


def _frame(batch: np.ndarray, caption: str) -> Image.Image:
    across = min(len(batch), 4 if len(batch) <= 16 else ACROSS)
    sheet = _stack([_row(batch[start : start + across]) for start in range(0, len(batch), across)], GAP)
    font = _font()
    width = max(sheet.width, round(max(font.getlength(text) for text, _ in FRAMES.values())) + 4 * GAP)
    frame = Image.new("RGB", (width, sheet.height + CAPTION_HEIGHT), PAPER)
    frame.paste(sheet, ((width - sheet.width) // 2, CAPTION_HEIGHT))
    ImageDraw.Draw(frame).text((width / 2, CAPTION_HEIGHT / 2), caption, INK, font, anchor="mm")
    # A palette of its own for each frame: one for all would leave too few colours to the lively ones.
    return frame.quantize(256, Image.Quantize.MEDIANCUT)


def _row(batch: np.ndarray) -> Image.Image:
    """Pictures, uint8 (N, H, W, 3), side by side, each pixel enlarged to a square."""
    factor = max(1, round(CELL / batch.shape[2]))
    cells = [Image.fromarray(picture.repeat(factor, axis=0).repeat(factor, axis=1)) for picture in batch]
    row = Image.new("RGB", (len(cells) * (cells[0].width + GAP) - GAP, cells[0].height), PAPER)
    for column, cell in enumerate(cells):
        row.paste(cell, (column * (cell.width + GAP), 0))
    return row


def _labelled(label: str, row: Image.Image) -> Image.Image:
    image = Image.new("RGB", (LABEL_WIDTH + row.width, row.height), PAPER)
    image.paste(row, (LABEL_WIDTH, 0))
    ImageDraw.Draw(image).text((LABEL_WIDTH - 3 * GAP, row.height / 2), label, INK, _font(), anchor="rm")
    return image


def _stack(images: list[Image.Image], gap: int) -> Image.Image:
    """Images below each other, flush left."""
    height = sum(image.height + gap for image in images) - gap
    stack = Image.new("RGB", (max(image.width for image in images), height), PAPER)
    top = 0
    for image in images:
        stack.paste(image, (0, top))
        top += image.height + gap
    return stack


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(20)


def bars(results: Mapping[str, tuple[float, float, float]], title: str, path: Path) -> None:
    """Draw the test L1 of each way to colour, with its interval.

    Args:
        results: name, of `COLOURS`, → L1 and the low and high end of its interval, in units of ab / 110.
        title: what it was measured on.
        path: a PNG.
    """
    values, low, high = (np.array(column) for column in zip(*results.values(), strict=True))
    figure = Figure(figsize=(6, 4), dpi=150, layout="constrained")
    axes = figure.subplots()
    drawn = axes.bar(
        [NAMES[name] for name in results],
        values,
        color=[COLOURS[name] for name in results],
        yerr=(values - low, high - values),
        error_kw={"capsize": 6, "elinewidth": 1.5},
        width=0.6,
    )
    axes.bar_label(drawn, [f"{value:.4f}" for value in values], padding=4)
    axes.set(ylabel="mean absolute error of ab / 110", title=title)
    axes.margins(y=0.12)
    _tidy(axes)
    figure.savefig(path, format="png")


CURVES = "epoch", "train_l1", "validation_l1", "validation_colourfulness"
ADVERSARIES = "adversarial", "discriminator_real", "discriminator_fake"


def curves(tables: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Draw how the training of the U-Net, and after it that of the GAN, went: L1, the GAN's parts, colourfulness.

    Args:
        tables: "unet" and "gan" → a row an epoch (from 1), with `CURVES`; gan has `ADVERSARIES` as well, with no
            numbers if there was no adversary.
        path: a PNG.
    """
    # The GAN trains the U-Net on, so its epochs come after the U-Net's.
    unet, gan = tables["unet"].set_index("epoch"), tables["gan"].set_index("epoch")
    last = unet.index.max()
    gan.index += last

    figure = Figure(figsize=(11.5, 3.8), dpi=120, layout="constrained")
    error, adversaries, colourfulness = figure.subplots(1, 3)
    for name, table in (("unet", unet), ("gan", gan)):
        _line(error, table["train_l1"], f"{NAMES[name]}, training", COLOURS[name], "--")
        _line(error, table["validation_l1"], f"{NAMES[name]}, validation", COLOURS[name], "-")
        _line(colourfulness, table["validation_colourfulness"], NAMES[name], COLOURS[name], "-")
    if gan["adversarial"].isna().all():
        adversaries.text(0.5, 0.5, "no adversary", transform=adversaries.transAxes, ha="center")
    _line(adversaries, gan["adversarial"], "generator: fake taken for fake", COLOURS["gan"], "-")
    _line(adversaries, gan["discriminator_real"], "discriminator: real taken for fake", "#009e73", "-.")
    _line(adversaries, gan["discriminator_fake"], "discriminator: fake taken for real", "#cc79a7", ":")
    adversaries.axhline(np.log(2), color=COLOURS["grey"], linewidth=1, label="ln 2: cannot tell")

    error.set(title="L1", ylabel="mean absolute error of ab / 110")
    adversaries.set(title="Adversarial losses in GAN training", ylabel="binary cross-entropy in nats", ylim=(0, None))
    colourfulness.set(title="Colourfulness on validation", ylabel="mean colourfulness, 0 is grey")
    for axes in (error, colourfulness):
        axes.axvline(last, color=COLOURS["grey"], linewidth=1, linestyle=":")
        axes.set_xlabel("epoch, first of the U-Net, then of the GAN")
    adversaries.set_xlabel("epoch")
    for axes in (error, adversaries, colourfulness):
        axes.xaxis.get_major_locator().set_params(integer=True)
        # The adversaries' losses lie about ln 2, far above the axis.
        place = "lower left" if axes is adversaries else "best"
        axes.legend(loc=place, fontsize="small", framealpha=0.7, handlelength=3.5)
        _tidy(axes)
    figure.savefig(path, format="png")


def _line(axes: Axes, values: pd.Series, label: str, colour: str, style: str) -> None:
    axes.plot(values.index, values, style, color=colour, label=label, marker="o", markersize=3.5, linewidth=1.8)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
