"""Models on whole photographs that they have never seen: `python -m benchmarks.photographs FOLDER MODEL…`.

Each photograph is made grey, coloured at its full size, as `colourgan` would, and compared with what it was; of a scan
whose name begins with `plate_`, three exposures of a glass plate are its colours (benchmarks/plates.py). Writes into
--out

- photographs.csv: a row for each photograph, model, working size and strength;
- photographs.jpg: all photographs as grey, as the first model paints them, and as they were;
- first.webp: an animation of the first four by name, grey, as the first model paints them, and as they were;

and prints tables of all photographs together. Baselines are grey, whose skill is 0, and one colour for every pixel: the
mean colour of all of them, which no model is told.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from benchmarks import plates
from pipeline.colour import bytes_to_rgb, rgb_to_l_ab
from pipeline.colourise import Colouriser, paint_nothing
from pipeline.measuring import metrics
from pipeline.model_files.inference import Network, load

SIZES = 64, 96, 128, 192, 256, 384, 512
PANEL, GAP, LABEL = 290, 6, 16  # pixels: the longer side of a picture that is drawn, between them, and for its name
FIRST = 4  # photographs in the animation
HEIGHT, CAPTION = 224, 40  # pixels: of each of them, and of what stands above
# What each frame of it says, and for how many milliseconds.
FRAMES = {"grey": 1500, "coloured": 3000, "real": 2000}
COLUMNS = 2  # photographs beside each other, of three pictures each


def main() -> None:
    """Measure, write, draw, and print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of photographs in colour, and scans of plates")
    parser.add_argument("models", nargs="+", type=Path, help=".onnx or .safetensors; the first is drawn")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="of what the networks see")
    parser.add_argument("--strengths", nargs="+", type=float, default=[1], help="of the first model's colours")
    parser.add_argument("--draw", nargs=2, type=float, default=(64, 1), help="size and strength of what is drawn")
    parser.add_argument("--out", type=Path, default=Path("plots"))
    arguments = parser.parse_args()
    photographs = read(arguments.folder)
    networks = {path.stem: load(path) for path in arguments.models}
    mean = np.mean([_ab(picture).mean(axis=(2, 3)) for picture in photographs.values()], axis=0)  # (1, 2)
    rows = []
    for name, picture in tqdm(photographs.items(), disable=None):
        grey = Colouriser(paint_nothing)(picture)
        results = paint(grey, networks, arguments.sizes, arguments.strengths)
        one_colour = Colouriser(lambda l: np.broadcast_to(mean[..., None, None], (1, 2, *l.shape[2:])))  # noqa: E741
        for model, size, strength, painted in (("grey", 0, 0, grey), ("mean colour", 0, 1, one_colour(grey)), *results):
            rows.append({"photograph": name, "model": model, "size": size, "strength": strength})
            rows[-1] |= compare(painted, picture)
    arguments.out.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows)
    table.to_csv(arguments.out / "photographs.csv", index=False, float_format="%.4f", lineterminator="\n")
    size, strength = arguments.draw
    colouriser = Colouriser(next(iter(networks.values())), int(size), strength)
    draw(photographs, colouriser, arguments.out / "photographs.jpg")
    animate(list(photographs.values())[:FIRST], colouriser, arguments.out / "first.webp")
    print(summary(table))


def read(folder: Path) -> dict[str, Image.Image]:
    """Name → photograph, of mode RGB."""
    pictures = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("plate_"):
            pictures[path.stem] = plates.align(path)
        elif path.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif", ".webp"):
            pictures[path.stem] = Image.open(path).convert("RGB")
    return pictures


def paint(
    grey: Image.Image, networks: Mapping[str, Network], sizes: list[int], strengths: list[float]
) -> Iterator[tuple[str, int, float, Image.Image]]:
    """Model, size, strength and result: each model at each size, and the first one with each strength as well."""
    for place, (model, network) in enumerate(networks.items()):
        for size in sizes:
            for strength in strengths if place == 0 else [1]:
                yield model, size, strength, Colouriser(network, size, strength)(grey)


def compare(painted: Image.Image, real: Image.Image) -> dict[str, float]:
    """L1 in units of ab / 110, that of grey, skill, colourfulness, that of the real one, and CIEDE2000."""
    bytes_of = [torch.from_numpy(np.array(picture)[None]) for picture in (painted, real)]
    (l, ab), (real_l, real_ab) = (rgb_to_l_ab(bytes_to_rgb(picture)) for picture in bytes_of)  # noqa: E741
    colourful, real_colourful = (metrics.colourfulness(picture).item() for picture in bytes_of)
    l1, grey_l1 = metrics.l1(ab, real_ab).item(), real_ab.abs().mean().item()
    return {
        "l1": l1,
        "grey_l1": grey_l1,
        "skill": 1 - l1 / grey_l1,
        "colourfulness": colourful,
        "real_colourfulness": real_colourful,
        "ciede2000": metrics.ciede2000(metrics.lab(l, ab), metrics.lab(real_l, real_ab)).item(),
    }


def _ab(picture: Image.Image) -> np.ndarray:
    """(1, 2, H, W)."""
    _, ab = rgb_to_l_ab(bytes_to_rgb(np.array(picture)[None]))
    return ab


def summary(table: pd.DataFrame) -> str:
    """Of all photographs together, plates apart, as Markdown: skill is 1 − sum of L1 / sum of grey's."""
    plate = table.photograph.str.startswith("plate_")
    lines = []
    for title, chosen in (("Photographs", ~plate), ("Glass plates", plate)):
        count = table[chosen].photograph.nunique()
        lines += [f"\n{title}: {count}\n", "| Model | Size | Strength | Skill | Positive | Colourfulness | CIEDE2000 |"]
        lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
        for (model, size, strength), group in table[chosen].groupby(["model", "size", "strength"], sort=False):
            share = group.colourfulness.sum() / group.real_colourfulness.sum()
            skill = 1 - group.l1.sum() / group.grey_l1.sum()
            figures = f"{skill:.3f} | {(group.skill > 0).sum()} of {len(group)} | {share:.2f} of the real"
            lines.append(f"| {model} | {size} | {strength:g} | {figures} | {group.ciede2000.mean():.2f} |")
    return "\n".join(lines)


def draw(photographs: Mapping[str, Image.Image], colouriser: Colouriser, path: Path) -> None:
    """Each as grey, coloured and real, in their order."""
    rows, row = [], []
    for name, picture in photographs.items():
        grey = Colouriser(paint_nothing)(picture)
        panels = [panel.copy() for panel in (grey, colouriser(grey), picture)]
        for panel in panels:
            panel.thumbnail((PANEL, PANEL), Image.Resampling.LANCZOS)
        row.append((name, panels))
        if len(row) == COLUMNS or len(rows) * COLUMNS + len(row) == len(photographs):
            rows.append(row)
            row = []
    heights = [LABEL + max(panels[0].height for _, panels in row) for row in rows]
    sheet = Image.new("RGB", (COLUMNS * (3 * (PANEL + GAP) + GAP), sum(heights)), "white")
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, (name, panels) in enumerate(row):
            left = column * (3 * (PANEL + GAP) + GAP)
            ImageDraw.Draw(sheet).text((left, top + 2), name, fill="black")
            for place, panel in enumerate(panels):
                sheet.paste(panel, (left + place * (panel.width + GAP), top + LABEL))
        top += height
    sheet.save(path, quality=80)


def animate(photographs: Sequence[Image.Image], colouriser: Colouriser, path: Path) -> None:
    """All of them side by side, grey, then coloured, then real, for ever."""
    greys = [Colouriser(paint_nothing)(picture) for picture in photographs]
    rows = greys, [colouriser(grey) for grey in greys], photographs
    first, *others = (_frame(row, caption) for row, caption in zip(rows, FRAMES, strict=True))
    first.save(path, save_all=True, append_images=others, duration=[*FRAMES.values()], loop=0, quality=80, method=6)


def _frame(photographs: Sequence[Image.Image], caption: str) -> Image.Image:
    row = [picture.resize((round(picture.width * HEIGHT / picture.height), HEIGHT)) for picture in photographs]
    frame = Image.new("RGB", (sum(picture.width + GAP for picture in row) - GAP, CAPTION + HEIGHT), "white")
    left = 0
    for picture in row:
        frame.paste(picture, (left, CAPTION))
        left += picture.width + GAP
    font = ImageFont.load_default(24)
    ImageDraw.Draw(frame).text((frame.width / 2, CAPTION / 2), caption, "black", font, anchor="mm")
    return frame


if __name__ == "__main__":
    main()
