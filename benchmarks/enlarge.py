"""How well small colours come back to a photograph's full size: `python benchmarks/enlarge.py PICTURE`.

Takes the true colours of the photographs that scikit-image and scikit-learn carry, shrinks them to what a network sees,
enlarges them bilinearly and by pipeline/guided.py, and prints how far each is from the true ones. Draws the centres of
the first three photographs, so that blocks, and colours that bleed over edges, can be seen.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline import guided
from pipeline.colour import bytes_to_rgb, l_ab_to_rgb, rgb_to_bytes, rgb_to_l_ab
from pipeline.colourise import SIZE
from pipeline.datasets import photos

DRAWN = 3  # photographs
CENTRE = 128  # pixels of the sides of what is drawn of each


def enlarge(picture: Image.Image) -> dict[str, np.ndarray]:
    """Name → ab, (2, H, W): the true ones, and both enlargements of small ones; and l, (1, H, W)."""
    scale = SIZE / min(picture.size)
    small = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.LANCZOS)
    (lightness, true), (small_l, small_ab) = (rgb_to_l_ab(bytes_to_rgb(np.array(of)[None])) for of in (picture, small))
    channels = [Image.fromarray(channel).resize(picture.size, Image.Resampling.BILINEAR) for channel in small_ab[0]]
    widened = guided.widen(guided.fit(small_l[0], small_ab[0]), picture.width)
    return {
        "l": lightness[0],
        "original": true[0],
        "bilinear": np.stack(channels),
        "along edges": guided.apply(lightness[0], widened, 0, picture.height),
    }


def draw(panels: list[dict[str, np.ndarray]], path: Path) -> None:
    """One row a photograph: original, bilinear, along edges."""
    names = [name for name in panels[0] if name != "l"]
    figure, axes = plt.subplots(len(panels), len(names), figsize=(9, 9.4), layout="constrained", squeeze=False)
    for row, panel in zip(axes, panels, strict=True):
        top, left = ((side - CENTRE) // 2 for side in panel["l"].shape[1:])
        here = np.s_[:, top : top + CENTRE, left : left + CENTRE]
        for axis, name in zip(row, names, strict=True):
            rgb = l_ab_to_rgb(panel["l"][here][None], panel[name][here][None])
            axis.imshow(rgb_to_bytes(rgb)[0], interpolation="nearest")
            axis.axis("off")
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name)
    figure.savefig(path, dpi=80)


def main() -> None:
    """Measure, print a table, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path, help="the file to draw")
    path = parser.parse_args().picture
    panels = [enlarge(photos.load(name)) for name in photos.PHOTOGRAPHS]
    print(f"mean absolute error of ab / 110, true colours shrunk to {SIZE} pixels on the shorter side\n")
    print("| Photograph | Bilinear | Along edges | Ratio |\n| --- | --- | --- | --- |")
    for name, panel in zip(photos.PHOTOGRAPHS, panels, strict=True):
        bilinear, ours = (np.abs(panel[way] - panel["original"]).mean() for way in ("bilinear", "along edges"))
        print(f"| {name} | {bilinear:.4f} | {ours:.4f} | {ours / bilinear:.2f} |")
    draw(panels[:DRAWN], path)


if __name__ == "__main__":
    main()
