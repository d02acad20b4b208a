"""What one does with a trained model: colour a photograph of any size."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pipeline import guided, models, photographs
from pipeline.colour import bytes_to_rgb, grey_to_l, l_ab_to_rgb, rgb_to_bytes, rgb_to_l_ab
from pipeline.errors import PipelineError
from pipeline.training.batches import default_device

# Pixels of the shorter side of what the network sees. Trained on 32×32 pictures, U-Net and GAN have the most skill on
# the photographs in datasets/photos.py when these are shrunk to 48 to 64 pixels; above 100 the GAN's colours go wild.
SIZE = 64
LONGEST = 4  # times that is the longer side, at most: panoramas are seen smaller
MULTIPLE = 32  # of the sides that a network of any architecture halves without a remainder
STRIP = 1 << 18  # pixels that are coloured at full resolution at a time
GAP = 8  # pixels between pictures that are compared
COMPARED = 1024  # pixels of the longer side of each of them, at most

Network = Callable[[Tensor], Tensor]  # l (N, 1, H, W) in [-1, 1] → ab (N, 2, H, W)


class Colouriser:
    """Gives photographs colours, and leaves them their lightness.

    The network sees a small copy; its colours are enlarged along the edges of the photograph's own lightness, strip by
    strip, so that beside the photograph and the result next to no memory is needed.

    Args:
        network: a trained one, on the device, or any function of that form.
        size: pixels of the shorter side of what the network sees. Near the size of the pictures that it was trained
            on, it knows best what it sees; more makes finer colours. Smaller photographs are seen as they are.
        device: where to compute; by default the accelerator there is, or the CPU.
    """

    def __init__(self, network: Network, size: int = SIZE, device: torch.device | None = None):
        self.network, self.size, self.device = network, size, device or default_device()

    @classmethod
    def load(cls, path: Path | str, size: int = SIZE) -> Self:
        """A colouriser from the file of a model, on the accelerator there is, or the CPU.

        Raises:
            PipelineError: there is no such file, it is not a model, or it is the judge or an encoder.
        """
        network, _ = models.load(Path(path), "colouriser")
        return cls(network.to(device=default_device(), memory_format=torch.channels_last), size)

    def __call__(self, picture: Image.Image) -> Image.Image:
        """Colour a picture.

        Args:
            picture: of any mode but F and any size, in colour or grey; EXIF orientation and colour profile are heeded.

        Returns:
            A picture of the same size the right way up, in sRGB: of mode RGB, or RGBA with the same alpha. L* at each
            pixel is what it was, but for rounding to 8 bits and where sRGB has no such colour.

        Raises:
            PipelineError: no pixels, or floating-point ones; or the network's colours are not finite.
        """
        return self.batch([picture])[0]

    @torch.inference_mode()
    def batch(self, pictures: Sequence[Image.Image]) -> list[Image.Image]:
        """Colour pictures; those of one shape go through the network together. See `__call__`."""
        separated = [photographs.separate(photographs.upright(picture)) for picture in pictures]
        seen = [self._small(opaque) for opaque, _ in separated]
        coloured = []
        for (opaque, alpha), l, ab in zip(separated, seen, self._paint(seen), strict=True):  # noqa: E741
            result = self._enlarge(opaque, guided.fit(l, ab))
            if alpha:
                result.putalpha(alpha)
            coloured.append(result)
        return coloured

    def _small(self, opaque: Image.Image) -> Tensor:
        """What the network sees, (1, 1, h, w) in [-1, 1]."""
        sides = opaque.size
        scale = min(1, self.size / min(sides), self.size * LONGEST / max(sides))
        smaller = [max(1, round(side * scale)) for side in sides]
        resized = photographs.to_8_bits(opaque).resize(smaller, Image.Resampling.LANCZOS, reducing_gap=2)
        return _lightness(resized, self.device)

    def _paint(self, seen: Sequence[Tensor]) -> list[Tensor]:
        """What the network paints, (1, 2, h, w), for each l, (1, 1, h, w)."""
        padded = [_pad(l) for l in seen]  # noqa: E741
        alike = defaultdict(list)
        for index, l in enumerate(padded):  # noqa: E741
            alike[l.shape].append(index)
        painted = {}
        for indices in alike.values():
            batch = self.network(torch.cat([padded[index] for index in indices]))
            if not batch.isfinite().all():
                raise PipelineError("the model's colours are not finite numbers; train it with a lower learning rate")
            painted |= dict(zip(indices, batch.split(1), strict=True))
        return [painted[index][:, :, : l.shape[2], : l.shape[3]] for index, l in enumerate(seen)]  # noqa: E741

    def _enlarge(self, opaque: Image.Image, coefficients: Tensor) -> Image.Image:
        """A picture of mode RGB with the lightness of a photograph and the colours of a small copy."""
        width, height = opaque.size
        widened = guided.widen(coefficients, width)
        result = Image.new("RGB", opaque.size)
        rows = max(1, STRIP // width)
        for top in range(0, height, rows):
            strip = opaque.crop((0, top, width, min(top + rows, height)))
            l = _lightness(strip, self.device)  # noqa: E741  (1, 1, rows, width)
            rgb = l_ab_to_rgb(l, guided.apply(l, widened, top, height))
            result.paste(Image.fromarray(rgb_to_bytes(rgb)[0].cpu().numpy()), (0, top))
        return result


def _lightness(opaque: Image.Image, device: torch.device) -> Tensor:
    """Of a picture of mode RGB, L or I;16: (1, 1, H, W) in [-1, 1]."""
    values = np.array(opaque)
    if values.ndim == 2:
        grey = torch.from_numpy(values.astype(np.float32) / np.iinfo(values.dtype).max)
        return grey_to_l(grey.to(device))[None, None]
    return rgb_to_l_ab(bytes_to_rgb(torch.from_numpy(values).to(device)[None]))[0]


def _pad(l: Tensor) -> Tensor:  # noqa: E741
    """Reflect a picture, (1, 1, H, W), at its lower and right edge, as often as it takes to the next multiple."""
    for dimension in (2, 3):
        side = l.shape[dimension]
        places = np.pad(np.arange(side), (0, -side % MULTIPLE), mode="reflect")
        l = l.index_select(dimension, torch.from_numpy(places).to(l.device))  # noqa: E741
    return l


def paint_nothing(l: Tensor) -> Tensor:  # noqa: E741
    """A network, as it were, that makes photographs grey."""
    return torch.zeros_like(l).expand(-1, 2, -1, -1)


def compare(picture: Image.Image, unet: Colouriser, gan: Colouriser) -> Image.Image:
    """Grey, by the U-Net, by the GAN, and the original, from left to right, each of 1024 pixels at most.

    Raises:
        PipelineError: as `Colouriser`.
    """
    original = photographs.to_rgb(photographs.upright(picture))
    original.thumbnail((COMPARED, COMPARED), Image.Resampling.LANCZOS)
    panels = [Colouriser(paint_nothing)(original), unet(original), gan(original), original]
    width, height = original.size
    result = Image.new("RGB", (len(panels) * (width + GAP) - GAP, height), "white")
    for place, panel in enumerate(panels):
        result.paste(panel, (place * (width + GAP), 0))
    return result
