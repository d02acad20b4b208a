import numpy as np
import pytest
from PIL import Image

from pipeline.datasets import copies, photos


def originals(*pictures):
    digests, looks = zip(*(copies.fingerprint(picture) for picture in pictures), strict=True)
    return copies.originals(digests, np.stack(looks)).tolist()


def noise(seed, size=(40, 40)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def test_the_first_of_several_copies_is_the_original_of_all():
    a, b = noise(0), noise(1)
    assert originals(a, b, a, b, b, a) == [0, 1, 0, 1, 1, 0]


def test_pictures_of_one_colour_are_copies_only_if_they_are_the_same():
    flat = [Image.new("RGB", (20, 20), (100, shade, 0)) for shade in (50, 51, 50)]
    assert originals(*flat) == [0, 1, 0]


def test_fine_patterns_that_look_alike_from_afar_are_no_copies():
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert originals(*(Image.fromarray(np.stack([one] * 3, axis=-1)) for one in (board, 255 - board))) == [0, 1]


def test_a_grey_copy_is_another_picture():
    picture = photos.load("coffee")
    assert originals(picture, picture.convert("L").convert("RGB")) == [0, 1]


@pytest.mark.parametrize("name", ["chelsea", "flower", "rocket"])
def test_resized_photographs_are_copies_and_their_surroundings_are_not(name):
    picture = photos.load(name)
    half = picture.resize([side // 2 for side in picture.size])
    shifted = picture.crop((picture.width // 10, 0, *picture.size))
    assert originals(picture, half, shifted) == [0, 0, 2]


def test_any_number_of_pictures_is_compared(monkeypatch):
    monkeypatch.setattr(copies, "BLOCK", 3)
    pictures = [noise(seed) for seed in range(5)]
    assert originals(*pictures, *pictures[::-1]) == [0, 1, 2, 3, 4, 4, 3, 2, 1, 0]
