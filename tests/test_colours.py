import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.datasets import colours, photos
from pipeline.system.errors import PipelineError

SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])  # as programs have it


@pytest.fixture(scope="module")
def pictures():
    return photos.read(32)["test"].pictures


def jpeg(picture, quality=75):
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content).convert("RGB"))


def grey(pictures):
    return np.stack([np.asarray(Image.fromarray(picture).convert("L").convert("RGB")) for picture in pictures])


def noisy(pictures):
    generator = np.random.default_rng(0)
    return np.stack(
        [jpeg((grey + generator.normal(0, 6, grey.shape)).clip(0, 255).astype(np.uint8)) for grey in pictures]
    )


def toned(pictures, tone):
    return np.stack([np.asarray(ImageOps.colorize(Image.fromarray(one).convert("L"), "black", "white", mid=tone))
                     for one in pictures])  # fmt: skip


COLOURLESS = {
    "grey": grey,
    "grey JPEGs": lambda pictures: np.stack([jpeg(picture, 30) for picture in grey(pictures)]),
    "noisy greys": lambda pictures: noisy(grey(pictures)),
    "sepia": lambda pictures: (grey(pictures) @ SEPIA.T).clip(0, 255).astype(np.uint8),
    "light sepia": lambda pictures: (pictures.clip(0, 196) * 1.3 @ SEPIA.T).clip(0, 255).astype(np.uint8),
    "sepia scans": lambda pictures: toned(pictures, "#a08060"),
    "cyanotypes": lambda pictures: toned(pictures, "#406090"),
    "sepia and blue": lambda pictures: np.concatenate([toned(pictures, "#a08060"), toned(pictures, "#6080a0")]),
    "black": np.zeros_like,
}


@pytest.mark.parametrize("kind", COLOURLESS)
def test_pictures_without_colours_are_refused(kind, pictures):
    with pytest.raises(
        PipelineError, match=r"^every one is grey or of one tone, .*; give pictures with colours$"
    ) as raised:
        colours.require(COLOURLESS[kind](pictures[:100]), "every one")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", photos.PHOTOGRAPHS)
def test_photographs_have_colours(name):
    picture = photos.load(name).resize((128, 128))
    colours.require(np.asarray(picture)[None], "every one")


def test_many_and_large_pictures_are_judged_by_a_part(pictures, monkeypatch):
    whole = colours.spread(pictures)
    monkeypatch.setattr(colours, "PICTURES", 100)
    monkeypatch.setattr(colours, "SIDE", 16)
    assert colours.spread(pictures) == pytest.approx(whole, rel=0.1)


def test_few_colours_are_enough():
    flat = np.zeros((2, 16, 16, 3), np.uint8)
    flat[0], flat[1] = (200, 30, 30), (30, 30, 200)
    colours.require(flat, "every one")


@pytest.mark.parametrize("side", [1, 9, 32, 50])
def test_a_picture_is_coloured_if_all_pixels_that_are_looked_at_say_so(side):
    generator = np.random.default_rng(0)
    strengths = np.linspace(0, 0.5, 41)[:, None, None, None]
    dyed = 128 + strengths * generator.integers(-50, 51, (41, side, side, 3))
    beside = dyed.copy()  # with colours in those pixels alone that are not looked at first
    beside[:, ::2, ::2] = 128
    pictures = np.concatenate([dyed, beside]).astype(np.uint8)
    found = colours.are_coloured(pictures)
    assert found.tolist() == (colours.chroma(pictures) >= colours.LEAST).tolist()
    assert 0 < found.sum() < len(found)
