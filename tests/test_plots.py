from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.measuring import plots

EPOCHS = {
    "epoch": [1, 2],
    "train_l1": [0.09, 0.08],
    "validation_l1": [0.1, 0.09],
    "validation_colourfulness": [9.0, 12.0],
}
PARTS = {"adversarial": [0.7, 0.9], "discriminator_real": [0.6, 0.5], "discriminator_fake": [0.6, 0.5]}
FLAT = {"real": (200, 30, 30), "grey": (90, 90, 90), "unet": (30, 160, 30), "gan": (30, 30, 200)}


def flat_pictures(count, size):
    return {who: np.full((count, size, size, 3), colour, dtype=np.uint8) for who, colour in FLAT.items()}


def pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


@pytest.mark.parametrize(("size", "side"), [(16, 128), (32, 128), (96, 96), (200, 200)])
def test_grid_enlarges_by_whole_pixels_in_labelled_rows(tmp_path, size, side):
    plots.grid(flat_pictures(3, size), tmp_path / "grid.png")
    drawn = pixels(tmp_path / "grid.png")
    assert drawn.shape == (4 * side + 3 * plots.GAP, plots.LABEL_WIDTH + 3 * side + 2 * plots.GAP, 3)
    for row, colour in enumerate(FLAT.values()):
        band = drawn[row * (side + plots.GAP) :][:side]
        assert (band[:, plots.LABEL_WIDTH :][:, :side] == colour).all()
        assert (band[:, : plots.LABEL_WIDTH] < 100).any()  # ink of the label
        assert (band[:, :2] == 255).all()  # which is not cut off


def test_grid_shows_each_pixel_as_a_crisp_square(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    plots.grid({"real": noise}, tmp_path / "grid.png")
    np.testing.assert_array_equal(pixels(tmp_path / "grid.png")[2::4, plots.LABEL_WIDTH + 2 :: 4], noise[0])


def test_grid_wraps_many_pictures_into_bands(tmp_path):
    plots.grid(flat_pictures(11, 32), tmp_path / "grid.png")
    drawn = pixels(tmp_path / "grid.png")
    assert drawn.shape[1] == plots.LABEL_WIDTH + 8 * 132 - 4
    assert drawn.shape[0] == 2 * (4 * 132 - 4) + 4 * plots.GAP
    assert (drawn[-1, plots.LABEL_WIDTH] == FLAT["gan"]).all()


@pytest.mark.parametrize("count", [1, 8, 17])
def test_animation_goes_from_grey_to_real_and_round_again(tmp_path, count):
    plots.before_after(flat_pictures(count, 32), tmp_path / "before_after.gif")
    with Image.open(tmp_path / "before_after.gif") as animation:
        assert animation.n_frames == 4
        assert animation.info["loop"] == 0
        captions = []
        for index, who in enumerate(("grey", "unet", "gan", "real")):
            animation.seek(index)
            assert animation.info["duration"] >= 1000
            frame = np.array(animation.convert("RGB")).astype(int)
            middle = frame[plots.CAPTION_HEIGHT + 64, frame.shape[1] // 2 - (66 if count > 1 else 0)]
            assert np.abs(middle - FLAT[who]).max() <= 4  # GIF has 256 colours a frame
            captions.append(frame[: plots.CAPTION_HEIGHT])
            assert (captions[-1] < 100).any()
            assert (captions[-1][:, [0, -1]] == 255).all()  # not cut off
        assert all((one != two).any() for one, two in pairwise(captions))


def test_bars_are_as_high_as_the_values(tmp_path):
    results = {"grey": (0.08, 0.079, 0.081), "unet": (0.04, 0.039, 0.041), "gan": (0.06, 0.059, 0.061)}
    plots.bars(results, "L1 on 9 test pictures", tmp_path / "test_l1.png")
    drawn = pixels(tmp_path / "test_l1.png")
    assert drawn.shape == (600, 900, 3)
    heights = []
    for name in results:
        colour = [int(plots.COLOURS[name][i : i + 2], 16) for i in (1, 3, 5)]
        heights.append((drawn == colour).all(axis=2).sum(axis=0).max())
    assert heights[1] / heights[0] == pytest.approx(0.5, abs=0.02)
    assert heights[2] / heights[0] == pytest.approx(0.75, abs=0.02)


def test_curves_draw_both_networks_and_leave_their_tables_alone(tmp_path):
    tables = {"unet": pd.DataFrame(EPOCHS), "gan": pd.DataFrame({**EPOCHS, **PARTS})}
    before = {name: table.copy() for name, table in tables.items()}
    plots.curves(tables, tmp_path / "curves.png")
    drawn = pixels(tmp_path / "curves.png")
    assert drawn.shape == (456, 1380, 3)
    for panel, names in ((0, ("unet", "gan")), (1, ("gan",)), (2, ("unet", "gan"))):
        part = drawn[:, panel * 460 : (panel + 1) * 460]
        for name in names:
            colour = [int(plots.COLOURS[name][i : i + 2], 16) for i in (1, 3, 5)]
            assert (part == colour).all(axis=2).sum() > 100
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, before[name])


@pytest.mark.parametrize("adversary", [True, False])
def test_curves_say_so_if_there_was_no_adversary(tmp_path, adversary):
    parts = PARTS if adversary else dict.fromkeys(PARTS, np.nan)
    plots.curves({"unet": pd.DataFrame(EPOCHS), "gan": pd.DataFrame({**EPOCHS, **parts})}, tmp_path / "curves.png")
    middle = pixels(tmp_path / "curves.png")[200:218, 660:800]
    assert (middle < 100).any() == (not adversary)
