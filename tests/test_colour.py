import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab

from pipeline.colour import (
    AB_SCALE,
    bytes_to_rgb,
    grey_to_l,
    l_ab_to_rgb,
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
