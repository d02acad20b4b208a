"""The U-Net as a drawing: `python -m benchmarks.network docs/network.png`.

Each box is the features that a layer makes, as wide as it has channels and as high as they have pixels, on scales that
let the smallest be seen. Nothing is written by hand: hooks tell the shapes.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from fastai.vision.models.unet import UnetBlock
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from pipeline.networks.generator import unet

SIDE = 32
COLOURS = {"encoder": "#7f7f7f", "middle": "#b0b0b0", "decoder": "#1f77b4", "painting": "#d62728"}


def shapes(architecture: str) -> list[tuple[str, str, tuple[int, ...]]]:
    """(part, what, (C, H, W)) in the order in which a picture passes."""
    network = unet(architecture).eval()
    seen: list[tuple[str, str, tuple[int, ...]]] = [("encoder", "L", (1, SIDE, SIDE))]
    body, *rest = network.layers

    def note(part: str, what: str, module: nn.Module) -> None:
        def hook(_: nn.Module, __: tuple[Tensor], output: Tensor) -> None:
            seen.append((part, what, tuple(output.shape[1:])))

        module.register_forward_hook(hook)

    for layer in body:
        note("encoder", "", layer)
    part = "middle"
    for layer in rest:
        if isinstance(layer, UnetBlock):
            part = "decoder"
            note(part, "skip", layer)
        elif layer is rest[-1]:
            note("painting", "ab", layer)
        elif isinstance(layer, nn.Sequential):
            note(part, "", layer)
    with torch.no_grad():
        network.train()(torch.zeros(2, 1, SIDE, SIDE))  # in training it paints one way, without the mirror image
    return _changes(seen)


def _changes(seen: list[tuple[str, str, tuple[int, ...]]]) -> list[tuple[str, str, tuple[int, ...]]]:
    """Without layers behind which the shape is the same as before."""
    kept = seen[:1]
    for entry in seen[1:]:
        if entry[2] != kept[-1][2] or entry[0] != kept[-1][0]:
            kept.append(entry)
    return kept


def draw(boxes: list[tuple[str, str, tuple[int, ...]]], path: Path) -> None:
    """Boxes from left to right; a line joins each skip with where it comes from."""
    figure, axes = plt.subplots(figsize=(10, 3.4), layout="constrained")
    left, places = 0.0, []
    for part, what, (channels, height, _) in boxes:
        width, tall = 0.25 + channels**0.5 / 14, height**0.5
        axes.add_patch(Rectangle((left, -tall / 2), width, tall, color=COLOURS[part], alpha=0.85))
        axes.text(
            left + width / 2, -tall / 2 - 0.15, f"{channels}\n{height}×{height}", ha="center", va="top", fontsize=7
        )
        if what in ("L", "ab"):
            axes.text(left + width / 2, tall / 2 + 0.1, what, ha="center", va="bottom", fontsize=10)
        places.append((part, what, height, left + width / 2, tall / 2))
        left += width + 0.45
    top = max(tall for *_, tall in places)
    level = top
    for _, what, height, place, tall in places:
        if what == "skip":
            x, up = next((x, up) for other, _, side, x, up in places if other == "encoder" and side == height)
            level += 0.35
            axes.plot([x, x, place, place], [up, level, level, tall], color=COLOURS["decoder"], linewidth=1)
    axes.set_xlim(-0.3, left)
    axes.set_ylim(-top - 2.2, level + 0.3)
    axes.axis("off")
    names = {"encoder": "pretrained encoder", "middle": "middle", "decoder": "decoder", "painting": "painting"}
    handles = [Rectangle((0, 0), 1, 1, color=COLOURS[part], label=name) for part, name in names.items()]
    axes.legend(handles=handles, loc="lower center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="the file to draw")
    parser.add_argument("--architecture", default="vgg8", help="of the encoder")
    arguments = parser.parse_args()
    draw(shapes(arguments.architecture), arguments.picture)


if __name__ == "__main__":
    main()
