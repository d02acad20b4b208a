"""What one does with a trained model: colour a photograph of any size."""

import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, overload

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from pipeline import guided
from pipeline.colour import bytes_to_rgb, grey_to_l, l_ab_to_rgb_by_chroma, rgb_to_bytes, rgb_to_l
from pipeline.model_files import inference
from pipeline.model_files.inference import Network, Paint
from pipeline.photographs import arrays, reading, tones
from pipeline.photographs.tones import Seen
from pipeline.system.errors import PipelineError

VERSION = "3"  # of how photographs are painted; to be raised whenever the same model gives them other colours
# Pixels of the shorter side of what the network sees. Trained on 32×32 pictures, U-Net and GAN have the most skill on
# the photographs in datasets/photos.py when these are shrunk to 48 to 64 pixels; above 100 the GAN's colours go wild.
SIZE = 64
LARGEST = 1024  # size that is allowed
STRONGEST = 2  # strength that is allowed
LONGEST = 4  # times that is the longer side, at most: panoramas are seen smaller
STRIP = 1 << 15  # pixels that are coloured at full resolution at a time: few enough for a processor's cache
LOUDEST = 10  # times 110 of Lab's units, of which sRGB has less than one: more is no colour but a fault
FAINTEST = 16  # of 255: less of a small pixel, and its lightness is not known well
GAP = 8  # pixels between pictures that are compared
COMPARED = 1024  # pixels of the longer side of each of them, at most


class Colouriser:
    """Gives photographs colours, and leaves them their lightness.

    The network sees a small copy; its colours are enlarged along the edges of the photograph's own lightness, strip by
    strip, so that beside the photograph and the result next to no memory is needed.

    Args:
        network: a trained one, or any function of that form.
        size: pixels of the shorter side of what the network sees, by default `SIZE`. Near the size of the pictures that
            it was trained on, it knows best what it sees; more makes finer colours. Smaller photographs are seen as
            they are. To a network that has a shape of its own, all are shown in that shape, and size says nothing.
        strength: what chroma is multiplied by: 0 is grey, 1 is as the network has it, 2 is the most.

    Raises:
        PipelineError: size or strength is not allowed.
    """

    def __init__(self, network: Network | Paint, size: int | None = None, strength: float = 1):
        if not (size is None or (isinstance(size, int | np.integer) and 0 < size <= LARGEST)):
            raise PipelineError(f"size: given {size!r}, allowed: a whole number of pixels from 1 to {LARGEST}")
        if not (isinstance(strength, int | float | np.floating | np.integer) and 0 <= strength <= STRONGEST):
            raise PipelineError(f"strength: given {strength!r}, allowed: a number from 0 to {STRONGEST}")
        self.network = network if isinstance(network, Network) else Network(network)
        self.size = min(self.network.shape) if self.network.shape else size or SIZE
        self.strength = strength

    @classmethod
    def load(cls, path: Path | str, size: int | None = None, strength: float = 1, device: str | None = None) -> Self:
        """A colouriser from the file of a model: what training wrote, or, to do without torch, what `export` wrote.

        Or of somebody else's: see `inference.load`. `photograph` is the included one.

        Raises:
            PipelineError: there is no such file, it is not a model, or it is the judge or an encoder; or there is no
                such device, see `inference.pick`.
        """
        file = inference.INCLUDED.get(str(path), Path(path))
        return cls(inference.load(file, device), size, strength)

    @overload
    def __call__(self, picture: np.ndarray) -> np.ndarray: ...

    @overload
    def __call__(self, picture: Path | str | bytes | Image.Image) -> Image.Image: ...

    def __call__(self, picture: Path | str | bytes | Image.Image | np.ndarray) -> Image.Image | np.ndarray:
        """Colour a picture; several threads may at the same time.

        Args:
            picture: of any size, in colour or grey: the path of a file, or what is in it; or as it is in memory, of
                Pillow, see `tones.understand`, or an array, see `arrays.to_picture`.

        Returns:
            A picture of the same size the right way up, in sRGB: of mode RGB, or RGBA with the same alpha; of an array
            an array of the same type, (H, W, 3) or (H, W, 4). L* at each pixel is what it was, but for rounding to
            8 bits. What a file carries beside its pixels is not in it: to keep that, use `colourise_files`.

        Raises:
            PipelineError: it is not understood, or has several pages; or the network's colours are not finite.
            OSError: the file cannot be read.
        """
        if isinstance(picture, np.ndarray):
            return arrays.from_picture(self(arrays.to_picture(picture)), picture.dtype)
        if isinstance(picture, Image.Image):
            return self.batch([picture])[0]
        pages = reading.read(picture if isinstance(picture, bytes) else Path(picture)).pages
        if len(pages) > 1:
            raise PipelineError(f"{len(pages)} pages or frames, allowed: one; give `paint` what `reading.read` finds")
        return self.paint(pages)[0]

    def batch(self, pictures: Sequence[Image.Image]) -> list[Image.Image]:
        """Colour pictures; those of one shape go through the network together. See `__call__`."""
        return self.paint([tones.understand(picture) for picture in pictures])

    def paint(self, pictures: Sequence[Seen]) -> list[Image.Image]:
        """Colour pictures that are understood already. See `batch`."""
        small = [self._small(picture) for picture in pictures]
        coloured = []
        for (opaque, alpha), l, ab in zip(pictures, small, self._paint(small), strict=True):  # noqa: E741
            result = _enlarge(opaque, guided.fit(l, ab))
            if alpha:
                result.putalpha(alpha)
            coloured.append(result)
        return coloured

    def _small(self, picture: Seen) -> np.ndarray:
        """A small copy, (1, h, w) in [-1, 1], of which nothing comes from pixels that alpha hides."""
        sides = picture.opaque.size
        scale = min(1, self.size / min(sides), self.size * LONGEST / max(sides))
        across, down = (max(1, round(side * scale)) for side in sides)
        smaller = self.network.shape[::-1] if self.network.shape else (across, down)
        opaque = tones.to_8_bits(picture.opaque)
        if not picture.alpha:
            return _lightness(_shrink(opaque, smaller))
        clearest = int(np.asarray(picture.alpha).max())
        weight = picture.alpha.point([min(255, 255 * alpha // max(1, clearest)) for alpha in range(256)])
        weighted = Image.merge(f"{opaque.mode}A", (*opaque.split(), weight))
        *_, seen = (shrunk := _shrink(weighted, smaller)).split()
        return _fill(_lightness(shrunk.convert(opaque.mode)), np.asarray(seen) >= FAINTEST)

    def _paint(self, seen: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What the network paints, (2, h, w), for each l, (1, h, w)."""
        alike = defaultdict(list)
        for index, l in enumerate(seen):  # noqa: E741
            alike[l.shape].append(index)
        painted: dict[int, np.ndarray] = {}
        for indices in alike.values():
            batch = self.network(np.stack([seen[index] for index in indices]))
            if not (np.abs(batch) <= LOUDEST).all():
                raise PipelineError(
                    "the model's colours are none: not finite, or far beyond all that there are; use another model, or "
                    "train it with a lower learning rate"
                )
            painted |= dict(zip(indices, batch * np.float32(self.strength), strict=True))
        return [painted[index] for index in range(len(seen))]


def _shrink(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Of mode L, RGB or, weighted by alpha, LA or RGBA."""
    weighted = {"LA": "La", "RGBA": "RGBa"}.get(picture.mode, picture.mode)
    shrunk = picture.convert(weighted).resize(size, Image.Resampling.LANCZOS, reducing_gap=2)
    return shrunk.convert(picture.mode)


def _fill(l: np.ndarray, seen: np.ndarray) -> np.ndarray:  # noqa: E741
    """Lightness, (1, h, w), where nothing is seen that of the nearest pixel where something is, (h, w)."""
    if seen.all() or not seen.any():
        return l
    rows, columns = distance_transform_edt(~seen, return_distances=False, return_indices=True)
    return l[:, rows, columns]


def _enlarge(opaque: Image.Image, coefficients: np.ndarray) -> Image.Image:
    """A picture of mode RGB with the lightness of a photograph and the colours of a small copy."""
    width, height = opaque.size
    widened = guided.widen(coefficients, width)
    rows = max(1, STRIP // width)

    def colour(top: int) -> Image.Image:
        l = _lightness(opaque.crop((0, top, width, min(top + rows, height))))  # noqa: E741  (1, rows, width)
        rgb = l_ab_to_rgb_by_chroma(l[None], guided.apply(l, widened, top, height)[None])
        return Image.fromarray(rgb_to_bytes(rgb)[0])

    result = Image.new("RGB", opaque.size)
    tops = range(0, height, rows)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # NumPy and Pillow let go of Python's lock while they compute
        for top, strip in zip(tops, pool.map(colour, tops), strict=True):
            result.paste(strip, (0, top))
    return result


def _lightness(opaque: Image.Image) -> np.ndarray:
    """Of a picture of mode RGB, L or I;16: (1, H, W) in [-1, 1]."""
    values = np.asarray(opaque)
    if values.ndim == 2:
        return grey_to_l(values.astype(np.float32) / np.iinfo(values.dtype).max)[None]
    return rgb_to_l(bytes_to_rgb(values[None]))[0]


def paint_nothing(l: np.ndarray) -> np.ndarray:  # noqa: E741
    """A network, as it were, that makes photographs grey."""
    return np.zeros_like(l).repeat(2, axis=1)


def compare(picture: Seen, unet: Colouriser, gan: Colouriser) -> Image.Image:
    """Grey, by the U-Net, by the GAN, and the original, from left to right, each of 1024 pixels at most.

    Raises:
        PipelineError: as `Colouriser`.
    """
    original = tones.to_rgb(picture)
    original.thumbnail((COMPARED, COMPARED), Image.Resampling.LANCZOS)
    panels = [Colouriser(paint_nothing)(original), unet(original), gan(original), original]
    width, height = original.size
    result = Image.new("RGB", (len(panels) * (width + GAP) - GAP, height), "white")
    for place, panel in enumerate(panels):
        result.paste(panel, (place * (width + GAP), 0))
    return result
