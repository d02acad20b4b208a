import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from pipeline import colourise, guided, models
from pipeline.colour import bytes_to_rgb, rgb_to_l_ab
from pipeline.colourise import Colouriser, compare, paint_nothing
from pipeline.datasets import photos
from pipeline.errors import PipelineError
from pipeline.networks.classifier import Classifier
from pipeline.networks.generator import unet

CPU = torch.device("cpu")


def tint(l):  # noqa: E741
    """A network that paints everything the same pale orange."""
    return torch.tensor([0.1, 0.15]).view(1, 2, 1, 1).expand(len(l), 2, *l.shape[2:])


def follow(l):  # noqa: E741
    """A network that paints what is light red and what is dark blue."""
    return torch.cat((l, l), dim=1) * 0.3


def colouriser(network=tint, **options):
    return Colouriser(network, device=CPU, **options)


def to_l_ab(picture):
    return rgb_to_l_ab(bytes_to_rgb(torch.from_numpy(np.array(picture))[None]))


def lab(picture):
    """L* (H, W) in [0, 100] and ab (2, H, W) of a picture."""
    l, ab = to_l_ab(picture)  # noqa: E741
    return (l[0, 0] + 1) * 50, ab[0]


@pytest.fixture(scope="module")
def coffee():
    return photos.load("coffee").resize((300, 200))


def test_lightness_stays_where_the_colour_fits_in(coffee):
    darker = coffee.point([40 + value // 2 for value in range(256)] * 3)  # no colour so light or dark leaves sRGB
    coloured = colouriser()(darker)
    assert coloured.size == darker.size
    assert coloured.mode == "RGB"
    before, after = lab(darker)[0], lab(coloured)[0]
    assert (after - before).abs().max() < 0.35  # what rounding to 8 bits does
    torch.testing.assert_close(lab(coloured)[1].mean((1, 2)), torch.tensor([0.1, 0.15]), atol=0.002, rtol=0)


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
    shapes = []

    def network(l):  # noqa: E741
        shapes.append(l.shape)
        return follow(l)

    assert colouriser(network)(Image.new("RGB", size, (90, 120, 60))).size == size
    assert all(side % 32 == 0 and side <= 256 for side in shapes[0][2:])


def test_the_network_sees_the_working_size_and_no_enlarged_pictures():
    seen = [colouriser(size=64)._small(Image.new("L", size)).shape[2:] for size in ((640, 480), (50, 40), (9000, 90))]
    assert [tuple(shape) for shape in seen] == [(64, 85), (40, 50), (3, 256)]


def test_what_the_network_sees_beyond_the_edge_is_the_picture_mirrored():
    row = torch.arange(33.0).view(1, 1, 1, 33)
    padded = colourise._pad(row)
    assert padded.shape == (1, 1, 32, 64)
    assert padded[0, 0, 31, :35].tolist() == [*range(33), 31, 30]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "I"])
def test_any_mode(mode):
    picture = Image.new(mode, (20, 30))
    coloured = colouriser()(picture)
    assert coloured.size == (20, 30)
    assert coloured.mode == ("RGBA" if mode in ("LA", "PA", "RGBA") else "RGB")


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
        sizes.append(l.numel())
        return torch.cat((l, ab), dim=1)

    monkeypatch.setattr(colourise, "STRIP", 1000)
    monkeypatch.setattr(colourise, "l_ab_to_rgb", convert)
    colouriser()(coffee)
    assert sum(sizes) == coffee.width * coffee.height
    assert max(sizes) <= 1000


def edge():
    """A large l, with an edge between red light and blue dark where no small pixel ends, and its true ab."""
    l = torch.full((1, 1, 200, 310), -0.5)  # noqa: E741
    l[:, :, :, 117:] = 0.5
    return l, follow(l)


def test_colour_follows_edges_closer_than_bilinear_enlargement_does():
    l, true = edge()  # noqa: E741
    small_l, small_ab = (F.interpolate(x, (20, 31), mode="area") for x in (l, true))
    found = guided.apply(l, guided.widen(guided.fit(small_l, small_ab), 310), 0, 200)
    bilinear = F.interpolate(small_ab, (200, 310), mode="bilinear")
    assert (found - true).abs().mean() < 0.35 * (bilinear - true).abs().mean()


def test_on_real_photographs_too():
    ratios = []
    for name in photos.PHOTOGRAPHS:
        picture = photos.load(name)
        small = picture.resize([round(side / 5) for side in picture.size], Image.Resampling.LANCZOS)
        l, true = to_l_ab(picture)  # noqa: E741
        small_l, small_ab = to_l_ab(small)
        found = guided.apply(l, guided.widen(guided.fit(small_l, small_ab), picture.width), 0, picture.height)
        bilinear = F.interpolate(small_ab, l.shape[2:], mode="bilinear")
        ratios.append(float((found - true).abs().mean() / (bilinear - true).abs().mean()))
    assert max(ratios) < 1.02
    assert np.mean(ratios) < 0.95


def test_small_pictures_keep_the_colours_of_the_network_exactly():
    l = torch.rand(1, 1, 9, 12) * 2 - 1  # noqa: E741
    ab = torch.rand(1, 2, 9, 12) - 0.5
    torch.testing.assert_close(guided.apply(l, guided.widen(guided.fit(l, ab), 12), 0, 9), ab)


def test_a_batch_is_as_one_by_one():
    network = unet("resnet20").eval()
    pictures = [photos.load(name) for name in ("coffee", "chelsea", "coffee")]
    pictures = [picture.resize(size) for picture, size in zip(pictures, ((90, 60), (40, 80), (90, 60)), strict=True)]
    together = colouriser(network).batch(pictures)
    for picture, coloured in zip(pictures, together, strict=True):
        alone = colouriser(network)(picture)
        assert np.abs(np.array(coloured).astype(int) - np.array(alone)).max() <= 1
    assert colouriser(network).batch([]) == []


def test_a_comparison_shows_four_pictures(coffee):
    drawn = compare(coffee, colouriser(), colouriser(follow))
    assert drawn.size == (4 * 300 + 3 * 8, 200)
    panels = [np.array(drawn.crop((left, 0, left + 300, 200))).astype(int) for left in range(0, 1232, 308)]
    assert np.ptp(panels[0], axis=2).max() <= 1  # grey
    assert np.array_equal(panels[3], np.array(coffee))
    assert np.abs(panels[1] - panels[2]).max() > 20
    assert max(compare(Image.new("RGB", (40, 3000)), colouriser(), colouriser()).size) == 1024


@pytest.mark.parametrize(
    ("picture", "said"), [(Image.new("RGB", (0, 5)), "0×5 pixels"), (Image.new("F", (5, 5)), "floating-point pixels")]
)
def test_what_cannot_be_coloured_is_refused_in_one_line(picture, said):
    with pytest.raises(PipelineError, match=said) as refused:
        colouriser()(picture)
    assert "\n" not in str(refused.value)


def test_a_network_gone_astray_is_refused():
    with pytest.raises(PipelineError, match="not finite"):
        colouriser(lambda lightness: tint(lightness) / 0)(Image.new("L", (8, 8), 100))


def test_a_model_is_loaded_from_its_file_and_the_judge_is_refused(tmp_path, coffee):
    network = unet("resnet20")
    models.save(tmp_path / "unet.safetensors", network, kind="colouriser", architecture="resnet20")
    loaded = Colouriser.load(tmp_path / "unet.safetensors", size=32)
    expected = Colouriser(network.eval().to(loaded.device), 32)(coffee)
    assert np.abs(np.array(loaded(coffee)).astype(int) - np.array(expected)).max() <= 1

    judge = tmp_path / "judge.safetensors"
    models.save(judge, Classifier("resnet20", 3, 2), kind="classifier", architecture="resnet20", channels=3, classes=2)
    for path, said in ((judge, "given a model that is a classifier"), (tmp_path / "gone", "no such model")):
        with pytest.raises(PipelineError, match=said):
            Colouriser.load(path)
