import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline import colourise, guided, levels
from pipeline.colour import bytes_to_rgb, rgb_to_l_ab
from pipeline.colourise import Colouriser, compare, paint_nothing
from pipeline.datasets import photos
from pipeline.model_files import saved
from pipeline.networks.any_size import AnySize
from pipeline.networks.classifier import Classifier
from pipeline.photographs import tones
from pipeline.system.errors import PipelineError
from tests.painters import CLASSIFIER, COLOURISER, random_unet
from tests.pictures import grey_profile, lightness, of_srgb, rgb_profile

KNOWN = levels.Tones(**COLOURISER["tones"])


def tint(l):  # noqa: E741
    """A network that paints everything the same pale orange."""
    return np.array([0.1, 0.15], np.float32).reshape(1, 2, 1, 1) * np.ones_like(l)


def follow(l):  # noqa: E741
    """A network that paints what is light red and what is dark blue."""
    return np.concatenate((l, l), axis=1) * np.float32(0.3)


def colouriser(network=tint, **options):
    return Colouriser(network, **options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strength", float("nan")),
        ("strength", float("inf")),
        ("strength", -1),
        ("size", -5),
        ("size", "64"),
        ("size", 0),
    ],
)
def test_a_size_or_a_strength_that_cannot_be_is_refused(name, value):
    with pytest.raises(PipelineError, match=f"^{name}: given .*, allowed: "):
        colouriser(**{name: value})


def to_l_ab(picture):
    """L (1, H, W) and ab (2, H, W)."""
    l, ab = rgb_to_l_ab(bytes_to_rgb(np.array(picture)[None]))  # noqa: E741
    return l[0], ab[0]


def lab(picture):
    """L* (H, W) in [0, 100] and ab (2, H, W) of a picture."""
    l, ab = to_l_ab(picture)  # noqa: E741
    return (l[0] + 1) * 50, ab


@pytest.fixture(scope="module")
def coffee():
    return photos.load("coffee").resize((300, 200))


def loud(l):  # noqa: E741
    """A network that paints much louder than sRGB can show, in all hues."""
    return np.random.default_rng(0).normal(0, 0.8, (len(l), 2, *l.shape[2:])).astype(np.float32)


@pytest.mark.parametrize("network", [tint, loud])
def test_lightness_stays(coffee, network):
    coloured = colouriser(network)(coffee)
    assert coloured.size == coffee.size
    assert coloured.mode == "RGB"
    before, after = lab(coffee)[0], lab(coloured)[0]
    assert np.abs(after - before).max() < 0.35  # what rounding to 8 bits does


def test_colours_that_fit_in_stay(coffee):
    darker = coffee.point([40 + value // 2 for value in range(256)] * 3)  # no colour so light or dark leaves sRGB
    np.testing.assert_allclose(lab(colouriser()(darker))[1].mean((1, 2)), [0.1, 0.15], atol=0.002)


def test_nothing_painted_leaves_grey_as_it_was_to_the_last_bit():
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (np.array(colouriser(paint_nothing)(Image.fromarray(every))) == every[..., None]).all()


def test_16_bits_are_rounded_not_cut():
    every = np.arange(65536).astype(np.uint16).reshape(256, 256)
    grey = np.array(colouriser(paint_nothing)(Image.fromarray(every)))
    ideal = every[..., None] / 257
    assert np.abs(grey - ideal).max() < 0.51


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (700, 3), (31, 33), (32, 32), (150, 97)])
def test_any_size(size):
    assert colouriser(follow)(Image.new("RGB", size, (90, 120, 60))).size == size


def test_the_network_sees_the_working_size_and_no_enlarged_pictures():
    seen = [
        colouriser(size=64)._small(tones.Seen(Image.new("L", size), None)).shape
        for size in ((640, 480), (50, 40), (9000, 90))
    ]
    assert seen == [(1, 64, 85), (1, 40, 50), (1, 3, 256)]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "I"])
def test_any_mode(mode):
    picture = Image.new(mode, (20, 30))
    coloured = colouriser()(picture)
    assert coloured.size == (20, 30)
    assert coloured.mode == ("RGBA" if mode in ("LA", "PA", "RGBA") else "RGB")


PROFILES = {"none": None, "grey": grey_profile(1.0), "RGB": rgb_profile(1.0)}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "HSV"])
def test_lightness_stays_from_end_to_end(mode, profile):
    steps = np.arange(0, 256, dtype=np.uint8).reshape(16, 16).repeat(2, axis=0)
    picture = Image.fromarray(steps)
    if mode == "I;16":
        picture = Image.fromarray(steps.astype(np.uint16) * 257)
    elif mode != "L":
        picture = picture.convert("RGB").convert(mode, dither=Image.Dither.NONE, palette=Image.Palette.ADAPTIVE)
    if mode == "1":
        steps = np.where(steps >= 128, 255, 0)
    if PROFILES[profile]:
        picture.info["icc_profile"] = PROFILES[profile]
    meant = (lightness if PROFILES[profile] else of_srgb)(steps / 255)
    found = lab(colouriser(loud)(picture).convert("RGB"))[0]
    assert np.abs(found - meant).max() < (0.35 if mode in ("1", "L", "LA", "I;16") else 0.6)  # 8 bits before, too


def test_lightness_stays_in_the_corners_of_srgb():
    corners = [[255 * (corner >> channel & 1) for channel in range(3)] for corner in range(8)]
    picture = Image.fromarray(np.array(corners, np.uint8).reshape(2, 4, 3).repeat(20, axis=0).repeat(20, axis=1))
    for network in (tint, loud, follow):
        assert np.abs(lab(colouriser(network)(picture))[0] - lab(picture)[0]).max() < 0.35


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA"])
def test_hidden_pixels_change_no_visible_colour(coffee, mode):
    alpha = np.zeros((200, 300), np.uint8)
    alpha[50:150, 70:190], alpha[100:150, 70:100] = 255, 90
    results = []
    for hidden in (0, 255, np.random.default_rng(0).integers(0, 256, (200, 300, 1), np.uint8)):
        pixels = np.where(alpha[..., None] > 0, np.array(coffee), np.uint8(hidden))
        picture = Image.fromarray(pixels)
        if mode == "PA":  # one palette for all
            picture = picture.convert("L").convert("P")
        picture.putalpha(Image.fromarray(alpha))
        assert picture.mode == ("PA" if mode == "PA" else "RGBA")
        coloured = np.array(colouriser(follow)(picture if mode == "PA" else picture.convert(mode)))
        assert np.array_equal(coloured[..., 3], alpha)
        results.append(coloured[alpha > 0])
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all()


@pytest.mark.parametrize("alpha", [0, 1, 3])
def test_a_picture_that_is_hardly_there_is_coloured_all_the_same(coffee, alpha):
    picture = coffee.copy()
    picture.putalpha(alpha)
    coloured = colouriser(follow)(picture)
    assert coloured.getchannel("A").getextrema() == (alpha, alpha)
    if alpha:
        assert np.array_equal(coloured.convert("RGB"), colouriser(follow)(coffee))


def test_alpha_stays(coffee):
    picture = coffee.convert("RGBA")
    alpha = Image.linear_gradient("L").resize(picture.size)
    picture.putalpha(alpha)
    coloured = colouriser()(picture)
    assert np.array_equal(coloured.getchannel("A"), alpha)


def test_orientation_is_heeded_and_the_picture_given_stays_as_it_is():
    picture = Image.new("L", (40, 20))
    picture.paste(200, (0, 0, 20, 20))
    picture.getexif()[0x0112] = 6  # the left edge of the file is the top
    coloured = np.array(colouriser(paint_nothing)(picture))
    assert coloured.shape == (40, 20, 3)
    assert (coloured[:20] == 200).all()
    assert (coloured[20:] == 0).all()
    assert picture.size == (40, 20)


def test_strips_do_not_show(coffee, monkeypatch):
    whole = np.array(colouriser(follow)(coffee)).astype(int)
    for strip in (1, 1000, 7777):
        monkeypatch.setattr(colourise, "STRIP", strip)
        assert np.abs(np.array(colouriser(follow)(coffee)) - whole).max() <= 1  # rounding, if that


def test_no_more_than_a_strip_is_converted_at_a_time(coffee, monkeypatch):
    sizes = []

    def convert(l, ab):  # noqa: E741
        sizes.append(l.size)
        return np.concatenate((l, ab), axis=1)

    monkeypatch.setattr(colourise, "STRIP", 1000)
    monkeypatch.setattr(colourise, "l_ab_to_rgb_by_chroma", convert)
    colouriser()(coffee)
    assert sum(sizes) == coffee.width * coffee.height
    assert max(sizes) <= 1000


def bilinear(small, size):
    """Enlarge (C, h, w) to a height and width."""
    tensor = torch.from_numpy(small)[None]
    return torch.nn.functional.interpolate(tensor, size, mode="bilinear")[0].numpy()


def edge():
    """A large l, with an edge between red light and blue dark where no small pixel ends, and its true ab."""
    l = np.full((1, 200, 310), -0.5, np.float32)  # noqa: E741
    l[:, :, 117:] = 0.5
    return l, follow(l[None])[0]


def test_colour_follows_edges_closer_than_bilinear_enlargement_does():
    l, true = edge()  # noqa: E741
    small_l, small_ab = (x.reshape(len(x), 20, 10, 31, 10).mean((2, 4)) for x in (l, true))
    found = guided.apply(l, guided.widen(guided.fit(small_l, small_ab), 310), 0, 200)
    assert np.abs(found - true).mean() < 0.35 * np.abs(bilinear(small_ab, (200, 310)) - true).mean()


def test_on_real_photographs_too():
    ratios = []
    for name in photos.PHOTOGRAPHS:
        picture = photos.load(name)
        small = picture.resize([round(side / 5) for side in picture.size], Image.Resampling.LANCZOS)
        l, true = to_l_ab(picture)  # noqa: E741
        small_l, small_ab = to_l_ab(small)
        found = guided.apply(l, guided.widen(guided.fit(small_l, small_ab), picture.width), 0, picture.height)
        ratios.append(np.abs(found - true).mean() / np.abs(bilinear(small_ab, l.shape[1:]) - true).mean())
    assert max(ratios) < 1.02
    assert np.mean(ratios) < 0.95


def test_small_pictures_keep_the_colours_of_the_network_exactly():
    random = np.random.default_rng(0)
    l, ab = random.uniform(-1, 1, (1, 9, 12)), random.uniform(-0.5, 0.5, (2, 9, 12))  # noqa: E741
    np.testing.assert_allclose(guided.apply(l, guided.widen(guided.fit(l, ab), 12), 0, 9), ab)


def test_enlarged_colours_are_the_bilinear_ones_where_lightness_does_not_vary():
    ab = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 7, 9))
    widened = guided.widen(guided.fit(np.zeros((1, 7, 9)), ab), 100)
    strips = [guided.apply(np.zeros((1, rows, 100)), widened, top, 80) for top, rows in ((0, 30), (30, 50))]
    np.testing.assert_allclose(np.concatenate(strips, axis=1), bilinear(ab, (80, 100)), atol=1e-6)


def test_the_network_is_shown_usual_tones_and_the_photograph_keeps_its_own():
    faded = Image.fromarray(np.random.default_rng(0).integers(140, 230, (60, 60), dtype=np.uint8))
    shown = []

    def network(l):  # noqa: E741
        shown.append(l)
        return follow(l)

    coloured = colouriser(levels.shown(network, KNOWN))(faded)
    assert shown[0].min() < -0.7
    assert np.abs(lab(coloured)[0] - lab(faded.convert("RGB"))[0]).max() < 0.35


def test_a_batch_is_as_one_by_one():
    pictures = [photos.load(name) for name in ("coffee", "chelsea", "coffee")]
    pictures = [picture.resize(size) for picture, size in zip(pictures, ((90, 60), (40, 80), (90, 60)), strict=True)]
    batches = []

    def network(l):  # noqa: E741
        batches.append(l.shape)
        return follow(l)

    together = colouriser(network).batch(pictures)
    assert batches == [(2, 1, 60, 90), (1, 1, 80, 40)]
    for picture, coloured in zip(pictures, together, strict=True):
        assert np.array_equal(coloured, colouriser(follow)(picture))
    assert colouriser(network).batch([]) == []


def as_png(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_a_path_its_content_and_an_array_are_coloured_as_the_picture(tmp_path, coffee):
    expected = np.asarray(colouriser(follow)(coffee))
    coffee.save(tmp_path / "coffee.png")
    for given in (tmp_path / "coffee.png", str(tmp_path / "coffee.png"), as_png(coffee)):
        assert np.array_equal(colouriser(follow)(given), expected)
    array = np.asarray(coffee)
    assert np.array_equal(colouriser(follow)(array), expected)
    assert np.array_equal(array, np.asarray(coffee))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("channels", "coloured"), [((), 3), ((1,), 3), ((2,), 4), ((3,), 3), ((4,), 4)])
def test_an_array_gives_an_array_of_its_type(dtype, channels, coloured):
    white = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    array = np.full((20, 30, *channels), white / 2, dtype)
    found = colouriser()(array)
    assert (found.dtype, found.shape) == (dtype, (20, 30, coloured))
    rgb = Image.fromarray((found[..., :3] / white * 255).round().astype(np.uint8))
    assert np.abs(lab(rgb)[0] - of_srgb(array.flat[0] / white)).max() < 0.6  # 8 bits, before and after
    assert np.abs(lab(rgb)[1].mean((1, 2)) - [0.1, 0.15]).max() < 0.01
    if coloured == 4:
        np.testing.assert_allclose(found[..., 3] / white, 0.5, atol=1 / 255)


def test_a_file_that_is_no_picture_or_has_several_is_refused_in_one_line(tmp_path, coffee):
    frames = io.BytesIO()
    coffee.save(frames, "GIF", save_all=True, append_images=[coffee.rotate(90), coffee.rotate(180)])
    for given, said in ((frames.getvalue(), "3 pages"), (b"", "an empty file"), (as_png(coffee)[:-99], "broken")):
        with pytest.raises(PipelineError, match=said) as refused:
            colouriser()(given)
        assert "\n" not in str(refused.value)
    with pytest.raises(FileNotFoundError, match="gone"):
        colouriser()(tmp_path / "gone.png")


def test_threads_share_a_colouriser(tmp_path, coffee):
    saved.save(tmp_path / "unet.safetensors", random_unet(), **COLOURISER)
    shared = Colouriser.load(tmp_path / "unet.safetensors", size=32)
    given = [as_png(coffee.rotate(angle)) for angle in range(0, 360, 15)]
    one_by_one = [hash(shared(picture).tobytes()) for picture in given]
    assert len(set(one_by_one)) == len(given)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda picture: hash(shared(picture).tobytes()), given)) == one_by_one


def test_a_comparison_shows_four_pictures(coffee):
    drawn = compare(tones.understand(coffee), colouriser(), colouriser(follow))
    assert drawn.size == (4 * 300 + 3 * 8, 200)
    panels = [np.array(drawn.crop((left, 0, left + 300, 200))).astype(int) for left in range(0, 1232, 308)]
    assert np.ptp(panels[0], axis=2).max() <= 1  # grey
    assert np.array_equal(panels[3], np.array(coffee))
    assert np.abs(panels[1] - panels[2]).max() > 20
    assert max(compare(tones.understand(Image.new("RGB", (40, 3000))), colouriser(), colouriser()).size) == 1024


@pytest.mark.parametrize(
    ("picture", "said"), [(Image.new("RGB", (0, 5)), "0×5 pixels"), (Image.new("F", (5, 5)), "floating-point pixels")]
)
def test_what_cannot_be_coloured_is_refused_in_one_line(picture, said):
    with pytest.raises(PipelineError, match=said) as refused:
        colouriser()(picture)
    assert "\n" not in str(refused.value)


def test_a_network_gone_astray_is_refused():
    with pytest.raises(PipelineError, match="not finite"):
        colouriser(lambda lightness: tint(lightness) * np.nan)(Image.new("L", (8, 8), 100))


def test_a_model_is_loaded_from_its_file_and_the_judge_is_refused(tmp_path, coffee):
    network = random_unet()
    saved.save(tmp_path / "unet.safetensors", network, **COLOURISER)
    network = AnySize(network.eval())
    expected = Colouriser(lambda lightness: network(torch.from_numpy(lightness)).detach().numpy(), 32)(coffee)
    found = Colouriser.load(tmp_path / "unet.safetensors", size=32)(coffee)
    assert np.abs(np.array(found).astype(int) - np.array(expected)).max() <= 1

    judge = tmp_path / "judge.safetensors"
    saved.save(judge, Classifier("resnet20", 3, 2), **CLASSIFIER)
    for path, said in ((judge, "given a model that is a classifier"), (tmp_path / "gone", "no such model")):
        with pytest.raises(PipelineError, match=said):
            Colouriser.load(path)


def test_the_version_is_raised_whenever_colours_change(coffee):
    """Results are made anew by a new version alone: other colours need another one, and new numbers here."""
    faded = coffee.convert("L").point([80 + value // 4 for value in range(256)])
    painted = [
        [[0, 27, 34], [216, 168, 152], [127, 121, 119], [206, 164, 150]],
        [[59, 91, 100], [128, 123, 122], [104, 111, 114], [124, 122, 121]],
    ]
    expected = {"3": painted}[colourise.VERSION]
    for picture, colours in zip((coffee, faded), expected, strict=True):
        found = np.asarray(colouriser(levels.shown(follow, KNOWN))(picture))[20:100:70, 30:200:100].reshape(-1, 3)
        np.testing.assert_allclose(found, colours, atol=1)


def test_the_model_that_comes_along_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    coloured = np.array(Colouriser.load("photograph")(photos.load("coffee").convert("L"))).astype(int)
    assert np.ptp(coloured, axis=2).mean() > 5
