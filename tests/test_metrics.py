import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import mean_absolute_error
from torchmetrics.image.kid import poly_mmd

from pipeline.colour import bytes_to_rgb, rgb_to_l_ab
from pipeline.measuring import metrics


def lab(pictures):
    return metrics.lab(*rgb_to_l_ab(bytes_to_rgb(pictures)))


def ciede2000(pictures, real):
    return metrics.ciede2000(lab(pictures), lab(real))


def accuracy(pictures, real):
    return metrics.accuracy(lab(pictures), lab(real), 5)


MEASURES = (metrics.psnr, metrics.ssim, metrics.rgb_error, ciede2000, accuracy)


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
    np.testing.assert_allclose(ciede2000(pair[1], pair[0]), expected, atol=2e-3)


# First and second colour, and the difference, from Sharma et al. 2005, table 1.
SHARMA = np.array(
    [
        [50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425],
        [50, 3.1571, -77.2803, 50, 0, -82.7485, 2.8615],
        [50, 2.8361, -74.0200, 50, 0, -82.7485, 3.4412],
        [50, -1.3802, -84.2814, 50, 0, -82.7485, 1.0000],
        [50, -1.1848, -84.8006, 50, 0, -82.7485, 1.0000],
        [50, -0.9009, -85.5211, 50, 0, -82.7485, 1.0000],
        [50, 0, 0, 50, -1, 2, 2.3669],
        [50, -1, 2, 50, 0, 0, 2.3669],
        [50, 2.4900, -0.0010, 50, -2.4900, 0.0009, 7.1792],
        [50, 2.4900, -0.0010, 50, -2.4900, 0.0010, 7.1792],
        [50, 2.4900, -0.0010, 50, -2.4900, 0.0011, 7.2195],
        [50, 2.4900, -0.0010, 50, -2.4900, 0.0012, 7.2195],
        [50, -0.0010, 2.4900, 50, 0.0009, -2.4900, 4.8045],
        [50, -0.0010, 2.4900, 50, 0.0010, -2.4900, 4.8045],
        [50, -0.0010, 2.4900, 50, 0.0011, -2.4900, 4.7461],
        [50, 2.5, 0, 50, 0, -2.5, 4.3065],
        [50, 2.5, 0, 73, 25, -18, 27.1492],
        [50, 2.5, 0, 61, -5, 29, 22.8977],
        [50, 2.5, 0, 56, -27, -3, 31.9030],
        [50, 2.5, 0, 58, 24, 15, 19.4535],
        [50, 2.5, 0, 50, 3.1736, 0.5854, 1.0000],
        [50, 2.5, 0, 50, 3.2972, 0, 1.0000],
        [50, 2.5, 0, 50, 1.8634, 0.5757, 1.0000],
        [50, 2.5, 0, 50, 3.2592, 0.3350, 1.0000],
        [60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644],
        [63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630],
        [61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731],
        [35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645],
        [22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373],
        [36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146],
        [90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441],
        [90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381],
        [6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377],
        [2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082],
    ]
)


# Pairs whose hues are half a turn apart, or almost: rounding decides which way round is the shorter, where the formula
# has a step. That takes the fourteenth in float64, and all of these in float32.
OPPOSITE = range(8, 15)


@pytest.mark.parametrize(
    ("dtype", "left_out", "near"), [(torch.float32, OPPOSITE, 1e-3), (torch.float64, [13], 6e-5)], ids=str
)
def test_ciede2000_has_the_published_values(dtype, left_out, near):
    pairs = np.delete(SHARMA, left_out, axis=0)
    colours = torch.tensor(pairs[:, :6], dtype=dtype).T
    found = metrics.ciede2000_of_lab(colours[:3], colours[3:])
    np.testing.assert_allclose(found, pairs[:, 6], atol=near)
    torch.testing.assert_close(metrics.ciede2000_of_lab(colours[3:], colours[:3]), found)


def test_ciede2000_is_that_of_scikit_image_for_any_colours():
    rng = np.random.default_rng(0)
    first, second = (rng.uniform((0, -100, -100), (100, 100, 100), (20_000, 3)) for _ in range(2))
    second[::2] = first[::2] + rng.normal(0, 3, first[::2].shape)  # also pairs that are near to each other
    first[::10, 1:] = 0  # and greys
    found = metrics.ciede2000_of_lab(*(torch.tensor(colours.T, dtype=torch.float32) for colours in (first, second)))
    np.testing.assert_allclose(found.numpy(), deltaE_ciede2000(first, second), atol=1e-3)


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


def test_accuracy_is_the_share_of_pixels_whose_rounded_lab_is_near_enough():
    real = torch.tensor([50.4, 10.0, -20.0]).view(3, 1, 1, 1).expand(3, 1, 1, 6)
    off = torch.tensor(  # by pixel, of L*, a*, b*
        [[0, 0, 0], [2.4, 0, 0], [2.7, 0, 0], [0, 4.4, 0], [0, 4.6, 0], [0, 4.4, -4.4]]
    ).T.view(3, 1, 1, 6)
    # Rounded: L* 50 → 50, 53, 53; a* 10 → 14, 15, 14. Allowed are 2 and 4.4; of those, the second and third are 3 off.
    assert metrics.accuracy(real + off, real, 2).tolist() == pytest.approx([3 / 6])
    assert metrics.accuracy(real + off, real, 5).tolist() == [1]


def test_rgb_error_is_that_of_scikit_learn(pair):
    expected = mean_absolute_error(
        *(pictures.numpy().reshape(5, -1).T / 255 for pictures in pair), multioutput="raw_values"
    )
    np.testing.assert_allclose(metrics.rgb_error(*pair), expected, rtol=1e-5)


def test_absolute_colourfulness_does_not_tell_opponents_apart():
    red_and_cyan = flat([200, 100, 100]).clone()
    red_and_cyan[:, ::2] = torch.tensor([100, 200, 200], dtype=torch.uint8)
    # |R − G| is 100 all over and |(R + G) / 2 − B| 50, without any spread; their signs differ.
    assert metrics.absolute_colourfulness(red_and_cyan).item() == pytest.approx(0.3 * np.hypot(100, 50), rel=1e-5)
    assert metrics.colourfulness(red_and_cyan).item() == pytest.approx(np.hypot(100, 50), rel=1e-5)


def test_kernel_distance_is_that_of_torchmetrics_but_for_pairs_of_the_same_picture():
    rng = np.random.default_rng(0)
    real, painted = rng.normal(size=(40, 6)), rng.normal(0.3, 1.2, (40, 6))
    theirs = poly_mmd(torch.from_numpy(painted), torch.from_numpy(real)).item()
    across = ((painted @ real.T) / 6 + 1) ** 3
    apart = theirs + 2 * across.mean() - 2 * (across.sum() - np.trace(across)) / (40 * 39)
    assert metrics.kernel_distances(painted, real).mean() == pytest.approx(apart, rel=1e-9)


def test_kernel_distance_of_many_pictures_is_the_mean_of_groups(monkeypatch):
    rng = np.random.default_rng(0)
    real, painted = rng.normal(size=(25, 3)), rng.normal(0.3, 1.2, (25, 3))
    parts = [metrics.kernel_distances(painted[part], real[part]) for part in (slice(9), slice(9, 17), slice(17, 25))]
    monkeypatch.setattr(metrics, "TOGETHER", 10)
    expected = sum(part.mean() * len(part) for part in parts) / 25
    assert metrics.kernel_distances(painted, real).mean() == pytest.approx(expected)


def test_the_spread_of_kernel_distances_is_that_of_their_mean_from_set_to_set():
    rng = np.random.default_rng(0)
    sets = [metrics.kernel_distances(rng.normal(0.5, 1, (100, 3)), rng.normal(size=(100, 3))) for _ in range(300)]
    told = np.sqrt(np.mean([numbers.var() / 100 for numbers in sets]))
    assert told == pytest.approx(np.std([numbers.mean() for numbers in sets]), rel=0.15)


def test_kernel_distance_of_the_same_distribution_is_on_average_nothing():
    rng = np.random.default_rng(0)
    means = [metrics.kernel_distances(*rng.normal(size=(2, 30, 4))).mean() for _ in range(300)]
    assert abs(np.mean(means)) < 3 * np.std(means) / np.sqrt(300)
    assert min(means) < 0


def test_frechet_distance_is_that_of_the_formula():
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6)) for _ in range(2))
    one, two = np.cov(first.T), np.cov(second.T)
    expected = np.square(first.mean(axis=0) - second.mean(axis=0)).sum() + np.trace(
        one + two - 2 * sqrtm(one @ two).real
    )
    assert metrics.frechet_distances(first, second).mean() == pytest.approx(expected)


@pytest.mark.parametrize("pictures", [5, 100], ids=["singular", "regular"])
def test_frechet_distance_of_shifted_features_is_the_squared_shift(pictures):
    features = np.random.default_rng(0).normal(size=(pictures, 16))  # 5 pictures: a covariance of rank 4 of 16
    shift = np.arange(16) / 10
    distances = metrics.frechet_distances(features, features + shift)
    assert distances.mean() == pytest.approx(np.square(shift).sum(), rel=1e-6)
    assert np.abs(metrics.frechet_distances(features, features)).max() < 1e-6


def test_frechet_distance_without_any_spread_is_that_of_the_means():
    assert metrics.frechet_distances(np.zeros((3, 2)), np.ones((3, 2))) == pytest.approx([2, 2, 2])


def test_a_pictures_share_of_the_frechet_distance_is_how_this_changes_as_the_picture_counts_more():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(40, 3))
    painted = 0.6 * real + rng.normal(0.2, 0.3, (40, 3))
    distances = metrics.frechet_distances(painted, real)
    for index in (0, 17, 39):
        repeats = np.full(40, 1000)
        repeats[index] += 1
        more, as_often = (
            metrics.frechet_distances(*(np.repeat(features, count, axis=0) for features in (painted, real))).mean()
            for count in (repeats, 1000)
        )
        assert (more - as_often) * 40_001 == pytest.approx(distances[index] - distances.mean(), rel=0.04)


def test_the_spread_of_frechet_distances_is_that_of_their_mean_from_set_to_set():
    rng = np.random.default_rng(0)
    sets = []
    for _ in range(300):
        real = rng.normal(size=(300, 4))
        sets.append(metrics.frechet_distances(0.5 * real + rng.normal(0.5, 0.3, (300, 4)), real))
    told = np.sqrt(np.mean([numbers.var() / 300 for numbers in sets]))
    assert told == pytest.approx(np.std([numbers.mean() for numbers in sets]), rel=0.15)


def test_features_in_parts_give_the_same_distance(monkeypatch):
    rng = np.random.default_rng(0)
    real, painted = rng.normal(size=(25, 3)), rng.normal(0.3, 1.2, (25, 3))
    expected = metrics.frechet_distances(painted, real)
    monkeypatch.setattr(metrics, "AT_ONCE", 10)
    np.testing.assert_allclose(metrics.frechet_distances(painted, real), expected)
