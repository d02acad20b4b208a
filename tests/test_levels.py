import numpy as np
import pytest
import torch

from pipeline import levels
from pipeline.colour import bytes_to_rgb, rgb_to_l
from pipeline.datasets import photos
from pipeline.levels import CONTRAST, Tones

BLACK, WHITE = 8, 90
KNOWN = Tones(black=BLACK, black_begins=46, white=WHITE, white_begins=52)


def usual(l):  # noqa: E741
    return levels.usual(l, KNOWN)


def picture(darkest, lightest, size=(32, 32)):
    """L*, evenly spread in random order, as l (1, 1, H, W), float32."""
    lightness = np.random.default_rng(0).permutation(np.linspace(darkest, lightest, size[0] * size[1]))
    return (lightness.reshape(1, 1, *size) / 50 - 1).astype(np.float32)


def points(l):  # noqa: E741
    """L* of the black and the white point."""
    return np.quantile((l + 1) * 50, [0.01, 0.99])


@pytest.mark.parametrize(("darkest", "lightest"), [(0, 100), (8, 90), (40, 95), (0, 55), (30, 60), (44, 54)])
def test_a_picture_of_usual_tones_stays_to_the_last_bit(darkest, lightest):
    given = picture(darkest, lightest)
    assert np.array_equal(usual(given), given)


def test_a_faded_scan_gets_black_back_and_keeps_its_order():
    given = picture(59, 90)
    shown = usual(given)
    black, white = points(shown)
    assert black == pytest.approx(BLACK, abs=1)
    assert white == pytest.approx(points(given)[1], abs=0.1)
    order = given.ravel().argsort()
    assert (np.diff(shown.ravel()[order]) >= 0).all()


def test_a_picture_without_light_gets_white():
    black, white = points(usual(picture(0, 40)))
    assert black == pytest.approx(points(picture(0, 40))[0], abs=0.1)
    assert white == pytest.approx(WHITE, abs=1)


def test_few_pixels_of_full_black_and_white_do_not_hide_that_a_scan_is_faded():
    given = picture(59, 90)
    given[0, 0, 0, :5], given[0, 0, 1, :5] = -1, 1
    assert points(usual(given))[0] == pytest.approx(BLACK, abs=1)


def test_the_way_from_usual_to_unusual_has_no_steps():
    for pictures in ([picture(black, 95) for black in np.arange(40, 65, 0.1)],):
        shown = usual(np.concatenate(pictures))
        assert np.abs(np.diff(shown, axis=0)).max() * 50 < 1.2
    shown = usual(np.concatenate([picture(0, white) for white in np.arange(60, 30, -0.1)]))
    assert np.abs(np.diff(shown, axis=0)).max() * 50 < 1.5


@pytest.mark.parametrize("lightness", [0, 20, 50, 80, 100])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (32, 32)])
def test_a_constant_picture_stays(lightness, size):
    given = picture(lightness, lightness, size)
    assert np.array_equal(usual(given), given)


@pytest.mark.parametrize(("darkest", "lightest"), [(96, 100), (90, 98), (0, 3), (2, 12)])
def test_the_noise_of_a_blank_page_or_a_black_night_stays_small(darkest, lightest):
    shown = usual(picture(darkest, lightest))
    assert np.abs(shown).max() <= 1
    assert np.ptp(shown) <= CONTRAST * np.ptp(picture(darkest, lightest)) + 1e-5


def test_a_page_with_print_and_a_night_with_lights_keep_them():
    page = picture(97, 100)
    page[..., ::8, :] = -0.9  # an eighth is ink
    assert np.array_equal(usual(page), page)
    night = picture(0, 6)
    night[0, 0, :8, :8] = 0.9  # a sixteenth is light
    assert np.array_equal(usual(night), night)


def test_each_picture_of_a_batch_is_looked_at_alone_and_tensors_give_the_same():
    batch = np.concatenate([picture(0, 100), picture(59, 90), picture(0, 40)])
    shown = usual(batch)
    assert shown.dtype == np.float32
    for index in range(3):
        assert np.array_equal(shown[index : index + 1], usual(batch[index : index + 1]))
    tensor = usual(torch.from_numpy(batch))
    assert tensor.dtype == torch.float32
    np.testing.assert_allclose(tensor, shown, atol=1e-5)


def grey(darkest, lightest, count):
    """Pictures, uint8 (N, 32, 32, 3), whose L* lies between those, as near as 8 bits come."""
    value = {0: 0, 20: 48, 40: 94, 60: 145, 80: 198, 100: 255}
    ramp = np.linspace(value[darkest], value[lightest], 32 * 32).reshape(1, 32, 32, 1)
    return np.broadcast_to(ramp.round().astype(np.uint8), (count, 32, 32, 3))


def test_what_is_usual_the_training_pictures_tell():
    tones = Tones.of(np.concatenate([grey(20, 100, 600), grey(60, 100, 6), grey(0, 80, 394)]))
    assert tones.black == pytest.approx(20, abs=1.5)
    assert tones.black_begins == pytest.approx(60, abs=1.5)  # six of a thousand
    assert tones.white == pytest.approx(100, abs=1.5)
    assert tones.white_begins == pytest.approx(80, abs=1.5)


def test_of_many_pictures_a_part_tells_as_much():
    few, many = grey(20, 80, 30), grey(20, 80, 2 * levels.PICTURES + 1)
    assert Tones.of(few) == Tones.of(many)


def test_pictures_are_shown_as_they_are_to_a_network_that_was_trained_on_such():
    train, test = (photos.read(32)[split].pictures for split in ("train", "test"))
    dark = rgb_to_l(bytes_to_rgb(test))
    at_home, elsewhere = ((levels.usual(dark, tones) != dark).any(axis=(1, 2, 3)) for tones in (Tones.of(train), KNOWN))
    assert at_home.mean() < 0.02
    assert elsewhere.mean() > 0.2  # many of these tiles are dark all over
    faded = np.concatenate([picture(59, 90), picture(0, 40)])
    narrow = Tones.of(grey(20, 80, 50))
    assert levels.usual(faded, narrow)[0].min() < faded[0].min()
    assert levels.usual(faded, narrow)[1].max() > faded[1].max()


def test_a_network_is_shown_usual_tones():
    network = levels.shown(lambda l: np.repeat(l, 2, axis=1), KNOWN)  # noqa: E741
    given = picture(59, 90)
    assert np.array_equal(network(given)[:, :1], usual(given))
