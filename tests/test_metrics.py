import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pipeline import metrics

MEASURES = (metrics.psnr, metrics.ssim, metrics.ciede2000)


@pytest.fixture
def pair():
    """Pictures and the same with noise, each uint8 (5, 20, 16, 3): 16 is the smallest side there is."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(40, 216, (5, 20, 16, 3))
    noisy = pictures + rng.integers(-40, 40, pictures.shape)
    return tuple(torch.from_numpy(array.astype(np.uint8)) for array in (pictures, noisy))


def flat(colour):
    return torch.tensor(colour, dtype=torch.uint8).expand(1, 16, 16, 3)


def test_l1_of_grey_is_the_mean_of_ab():
    real = torch.randn(3, 2, 4, 4)
    expected = np.abs(real.numpy()).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(metrics.l1(torch.zeros_like(real), real), expected, rtol=1e-6)


def test_l1_sees_what_8_bits_and_the_gamut_would_hide():
    real = torch.zeros(1, 2, 4, 4)
    assert metrics.l1(real + 5, real).item() == 5
    assert metrics.l1(real + 1e-5, real).item() == pytest.approx(1e-5)


def test_a_tint_adds_no_edges_and_a_speck_adds_four():
    real = torch.randn(3, 2, 8, 8)
    grey = metrics.edge_l1(torch.zeros_like(real), real)
    torch.testing.assert_close(metrics.edge_l1(torch.ones_like(real), real), grey)
    assert metrics.edge_l1(real + 0.3, real).max() < 1e-6
    speck = torch.zeros_like(real)
    speck[..., 3, 3] = 1
    expected = torch.full((3,), 2 * 2 / (8 * 7))  # two edges in each direction, of its 8 × 7
    torch.testing.assert_close(metrics.edge_l1(real + speck, real), expected)


def test_psnr_is_that_of_scikit_image_for_each_picture(pair):
    expected = [peak_signal_noise_ratio(real.numpy(), noisy.numpy()) for real, noisy in zip(*pair, strict=True)]
    np.testing.assert_allclose(metrics.psnr(pair[1], pair[0]), expected, rtol=1e-5)


def test_psnr_of_equal_pictures_is_finite(pair):
    assert metrics.psnr(pair[0], pair[0]).tolist() == pytest.approx([58.922] * 5, abs=1e-3)


def test_ssim_is_that_of_wang_et_al_for_each_picture():
    rng = np.random.default_rng(1)
    real = rng.integers(0, 256, (2, 40, 44, 3), dtype=np.uint8)
    noisy = (real // 2 + rng.integers(0, 128, real.shape)).astype(np.uint8)
    expected = []
    for first, second in zip(real, noisy, strict=True):
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
        _, full = structural_similarity(first, second, channel_axis=2, full=True, **options)
        expected.append(full.mean())  # of the whole picture; the two libraries reflect its border differently
    np.testing.assert_allclose(metrics.ssim(torch.from_numpy(noisy), torch.from_numpy(real)), expected, atol=0.01)


def test_ssim_keeps_pictures_apart(pair):
    real, noisy = pair
    mixed = torch.cat((real[:2], noisy[2:]))
    alone = torch.cat([metrics.ssim(mixed[i : i + 1], real[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(metrics.ssim(mixed, real), alone)
    assert alone[:2].tolist() == pytest.approx([1, 1])
    assert alone[2:].max() < 0.95


def test_ciede2000_is_that_of_scikit_image_for_each_picture(pair):
    real, noisy = (rgb2lab(pictures.numpy().astype(np.float64) / 255) for pictures in pair)
    expected = deltaE_ciede2000(real, noisy).mean(axis=(1, 2))
    np.testing.assert_allclose(metrics.ciede2000(pair[1], pair[0]), expected, atol=2e-3)


@pytest.mark.parametrize("measure", MEASURES)
def test_measures_give_one_finite_number_for_each_picture(measure, pair):
    black = torch.zeros_like(pair[0])
    for pictures, real in (pair, (black, pair[0]), (black, black)):
        values = measure(pictures, real)
        assert values.shape == (5,)
        assert torch.isfinite(values).all()


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ([77, 77, 77], 0),
        ([255, 0, 0], 0.3 * np.hypot(255, 127.5)),  # rg 255, yb 127.5, no spread
        ([0, 0, 255], 0.3 * 255),  # rg 0, yb −255
    ],
)
def test_colourfulness_of_one_colour(colour, expected):
    assert metrics.colourfulness(flat(colour)).item() == pytest.approx(expected, rel=1e-5)


def test_colourfulness_takes_opponents_with_their_sign():
    halves = flat([255, 0, 0]).clone()
    halves[:, 8:] = torch.tensor([0, 255, 0], dtype=torch.uint8)
    # rg is ±255 (spread 255, mean 0), yb 127.5 throughout; without the sign rg would have no spread.
    assert metrics.colourfulness(halves).item() == pytest.approx(255 + 0.3 * 127.5, rel=1e-5)


def test_gaussian_with_counts_is_that_of_the_repeated_rows():
    rng = np.random.default_rng(0)
    features, counts = rng.normal(100, 1, (30, 4)), rng.integers(0, 4, 30)
    repeated = np.repeat(features, counts, axis=0)
    result = metrics.gaussian(features, counts)
    np.testing.assert_allclose(result.mean, repeated.mean(axis=0))
    np.testing.assert_allclose(result.covariance, np.cov(repeated.T), atol=1e-10)


def gaussian_of(features):
    return metrics.gaussian(features, np.ones(len(features)))


def test_frechet_distance_is_that_of_the_formula():
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6)) for _ in range(2))
    one, two = np.cov(first.T), np.cov(second.T)
    expected = np.square(first.mean(axis=0) - second.mean(axis=0)).sum() + np.trace(
        one + two - 2 * sqrtm(one @ two).real
    )
    assert metrics.frechet_distance(gaussian_of(first), gaussian_of(second)) == pytest.approx(expected)


@pytest.mark.parametrize("pictures", [5, 100], ids=["singular", "regular"])
def test_frechet_distance_of_shifted_features_is_the_squared_shift(pictures):
    features = np.random.default_rng(0).normal(size=(pictures, 16))  # 5 pictures: a covariance of rank 4 of 16
    shift = np.arange(16) / 10
    distance = metrics.frechet_distance(gaussian_of(features), gaussian_of(features + shift))
    assert distance == pytest.approx(np.square(shift).sum(), rel=1e-6)
    assert metrics.frechet_distance(gaussian_of(features), gaussian_of(features)) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_without_any_spread_is_that_of_the_means():
    zeros, ones = np.zeros((3, 2)), np.ones((3, 2))
    assert metrics.frechet_distance(gaussian_of(zeros), gaussian_of(ones)) == pytest.approx(2)
