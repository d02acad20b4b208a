import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab

from pipeline.colour import (
    AB_SCALE,
    bytes_to_rgb,
    grey_to_l,
    l_ab_to_rgb,
    l_ab_to_rgb_by_chroma,
    l_to_grey,
    linear_to_srgb,
    rgb_to_bytes,
    rgb_to_l,
    rgb_to_l_ab,
    srgb_to_linear,
)


@pytest.fixture
def pictures():
    """Noise, and the corners of the RGB cube, uint8 (4, 8, 6, 3): height and width differ on purpose."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 8, 6, 3), dtype=np.uint8)
    noise[0, :, 0] = [[255 * (corner >> channel & 1) for channel in range(3)] for corner in range(8)]
    return torch.from_numpy(noise)


def test_lab_is_that_of_scikit_image(pictures):
    light, ab = rgb_to_l_ab(bytes_to_rgb(pictures))
    expected = rgb2lab(pictures.numpy().astype(np.float64) / 255)
    assert light.shape == (4, 1, 8, 6)
    assert ab.shape == (4, 2, 8, 6)
    np.testing.assert_allclose((light[:, 0] + 1) * 50, expected[..., 0], atol=1e-3)
    np.testing.assert_allclose(ab.permute(0, 2, 3, 1) * AB_SCALE, expected[..., 1:], atol=0.01)


def test_rgb_is_that_of_scikit_image_where_colours_exist(pictures):
    lab = rgb2lab(pictures.numpy().astype(np.float64) / 255)
    light = torch.from_numpy(lab[..., :1]).permute(0, 3, 1, 2).float() / 50 - 1
    ab = torch.from_numpy(lab[..., 1:]).permute(0, 3, 1, 2).float() / AB_SCALE
    np.testing.assert_allclose(l_ab_to_rgb(light, ab).permute(0, 2, 3, 1), lab2rgb(lab), atol=1e-3)


def test_every_byte_survives_the_round_trip(pictures):
    light, ab = rgb_to_l_ab(bytes_to_rgb(pictures))
    assert torch.equal(rgb_to_bytes(l_ab_to_rgb(light, ab)), pictures)


def test_networks_see_values_in_the_promised_ranges():
    steps = torch.linspace(0, 1, 18)
    cube = torch.cartesian_prod(steps, steps, steps).T.reshape(1, 3, 18, -1)  # all of sRGB, coarsely
    light, ab = rgb_to_l_ab(cube)
    assert light.min().item() == pytest.approx(-1, abs=1e-5)
    assert light.max().item() == pytest.approx(1, abs=1e-5)
    assert ab.min().item() == pytest.approx(-0.98, abs=0.01)
    assert ab.max().item() == pytest.approx(0.90, abs=0.01)


@pytest.mark.parametrize(("byte", "lightness"), [(0, -1.0), (255, 1.0), (119, 0.0)])
def test_black_white_and_middle_grey_have_their_lightness_and_no_colour(byte, lightness):
    light, ab = rgb_to_l_ab(bytes_to_rgb(torch.full((1, 2, 2, 3), byte, dtype=torch.uint8)))
    assert light.mean().item() == pytest.approx(lightness, abs=0.005)
    assert ab.abs().max().item() < 2e-4


def test_grey_and_lightness_are_inverse_and_agree_with_the_whole_conversion():
    grey = torch.arange(256).reshape(1, 1, 16, 16) / 255
    light = grey_to_l(grey)
    torch.testing.assert_close(l_to_grey(light), grey, atol=1e-5, rtol=0)
    torch.testing.assert_close(rgb_to_l_ab(grey.expand(-1, 3, -1, -1))[0], light, atol=1e-5, rtol=0)


def test_transfer_function_is_inverse_and_known_at_the_middle():
    srgb = torch.linspace(0, 1, 1001)
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(srgb)), srgb, atol=1e-6, rtol=0)
    assert srgb_to_linear(torch.tensor(0.5)).item() == pytest.approx(0.2140411, abs=1e-6)  # IEC 61966-2-1


def test_colours_outside_srgb_are_clipped():
    rgb = l_ab_to_rgb(torch.zeros(1, 1, 1, 1), torch.tensor([3.0, -3.0]).reshape(1, 2, 1, 1))
    assert rgb.min().item() == 0
    assert rgb.max().item() == pytest.approx(1)


def every_colour(most):
    """All lightnesses and hues, and chroma up to so much, as a* and b* count it: l (101, 1, 72, 20) and ab, float32."""
    hue, chroma = np.deg2rad(np.arange(0, 360, 5))[:, None], np.linspace(0, most / AB_SCALE, 20)
    ab = np.stack((chroma * np.cos(hue), chroma * np.sin(hue)))
    light = np.linspace(-1, 1, 101).reshape(101, 1, 1, 1)
    return (light * np.ones((72, 20))).astype(np.float32), (ab * np.ones((101, 1, 1, 1))).astype(np.float32)


@pytest.mark.parametrize("most", [60, 130, 1000])
def test_less_chroma_keeps_lightness_and_hue(most):
    light, ab = every_colour(most)
    rgb = l_ab_to_rgb_by_chroma(light, ab)
    assert rgb.dtype == np.float32
    kept, kept_ab = rgb_to_l_ab(rgb)
    assert np.abs(kept - light).max() * 50 < 0.002
    rounded = rgb_to_l(bytes_to_rgb(rgb_to_bytes(rgb)))
    assert np.abs(rounded - light).max() * 50 < 0.26  # half a step of 8 bits in each channel
    (a, b), (kept_a, kept_b) = ab.swapaxes(0, 1), kept_ab.swapaxes(0, 1)
    aside = np.abs(a * kept_b - b * kept_a) / np.hypot(a, b).clip(1e-6) * AB_SCALE
    assert np.quantile(aside, 0.99) < 0.02 * most  # off the line of that hue, as a* and b* count it
    assert (np.hypot(kept_a, kept_b) <= np.hypot(a, b) + 1e-3).all()


def test_less_chroma_takes_no_more_than_it_must():
    light, ab = every_colour(60)
    rgb, clipped = l_ab_to_rgb_by_chroma(light, ab), l_ab_to_rgb(light, ab)
    within = np.abs(rgb_to_l_ab(clipped)[1] - ab).max(axis=1) < 1e-4
    assert 0.3 < within.mean() < 0.7
    np.testing.assert_allclose(rgb.swapaxes(0, 1)[:, within], clipped.swapaxes(0, 1)[:, within], atol=1e-3)
    edge = np.minimum(rgb.min(axis=1), 1 - rgb.max(axis=1))
    assert edge[~within].max() < 1e-3  # whatever was outside is now on the edge of sRGB


@pytest.mark.parametrize(("light", "byte"), [(-1.0, 0), (1.0, 255)])
def test_black_and_white_have_no_chroma_to_keep(light, byte):
    ab = np.random.default_rng(0).normal(0, 1, (1, 2, 5, 5)).astype(np.float32)
    ab[..., 0] = 0
    rgb = l_ab_to_rgb_by_chroma(np.full((1, 1, 5, 5), 1.0001 * light, np.float32), ab)  # as rounding may have it
    assert (rgb_to_bytes(rgb) == byte).all()


def test_less_chroma_is_the_same_for_tensors():
    light, ab = every_colour(130)
    tensor = l_ab_to_rgb_by_chroma(torch.from_numpy(light), torch.from_numpy(ab))
    np.testing.assert_allclose(tensor, l_ab_to_rgb_by_chroma(light, ab), atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_gradients_are_finite_for_black_grey_and_white(value):
    rgb = torch.full((1, 3, 2, 2), value, requires_grad=True)
    light, ab = rgb_to_l_ab(rgb)
    l_ab_to_rgb(light, ab).sum().backward()
    assert torch.isfinite(rgb.grad).all()


def test_bytes_are_rounded_to_the_nearest_step():
    rgb = torch.tensor([0.4 / 255, 0.6 / 255, 1.2]).reshape(1, 3, 1, 1)
    assert rgb_to_bytes(rgb).flatten().tolist() == [0, 1, 255]


def test_arrays_of_numpy_give_what_tensors_give(pictures):
    rgb = bytes_to_rgb(pictures)
    light, ab = rgb_to_l_ab(rgb)
    of_numpy = bytes_to_rgb(pictures.numpy())
    assert of_numpy.dtype == np.float32
    for found, expected in zip(rgb_to_l_ab(of_numpy), (light, ab), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-6)
    for lightness in (rgb_to_l(of_numpy), rgb_to_l(rgb)):
        np.testing.assert_allclose(lightness, light, atol=1e-6)
    assert np.array_equal(rgb_to_bytes(l_ab_to_rgb(light.numpy(), ab.numpy())), pictures)
    greys = np.linspace(0, 1, 100, dtype=np.float32)
    np.testing.assert_allclose(l_to_grey(grey_to_l(greys)), greys, atol=1e-5)
