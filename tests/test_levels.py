import numpy as np
import pytest
import torch

from pipeline.levels import BLACK, CONTRAST, WHITE, usual


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
