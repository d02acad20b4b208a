import numpy as np
import pytest

from pipeline.photographs import arrays
from pipeline.system.errors import PipelineError

EVERY = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
def test_an_array_becomes_a_picture_and_comes_back(channels, mode, dtype):
    white = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    array = (np.stack([np.roll(EVERY, step) for step in range(channels)], axis=2) / 255 * white).astype(dtype)
    picture = arrays.to_picture(array[:, ::-1])  # a view, whose rows do not lie in memory as they are read
    assert picture.size == (16, 16)
    assert picture.mode == ("I;16" if mode == "L" and dtype != np.uint8 else mode)
    again = arrays.from_picture(picture, array.dtype)
    assert again.dtype == dtype
    np.testing.assert_allclose(again.reshape(array.shape), array[:, ::-1], atol=white / 255 / 16)


def test_greys_without_a_channel_of_their_own_are_greys():
    assert arrays.to_picture(EVERY).mode == "L"
    assert np.array_equal(arrays.from_picture(arrays.to_picture(EVERY), EVERY.dtype), EVERY)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros(5, np.uint8), r"shape \(5,\)"),
        (np.zeros((3, 20, 30), np.uint8), r"shape \(3, 20, 30\)"),  # as torch has them
        (np.zeros((2, 20, 30, 3), np.uint8), r"shape \(2, 20, 30, 3\)"),
        (np.zeros((2, 2, 0), np.uint8), r"shape \(2, 2, 0\)"),
        (np.zeros((2, 2), np.int32), "int32"),
        (np.zeros((2, 2), bool), "bool"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.array([[{}]]), "object"),
        (np.full((2, 2), 255.0), r"beyond \[0, 1\]"),
        (np.full((2, 2), -0.1), r"beyond \[0, 1\]"),
        (np.full((2, 2), np.nan), "not finite"),
    ],
)
def test_what_says_not_what_it_means_is_refused_in_one_line(array, said):
    with pytest.raises(PipelineError, match=said) as refused:
        arrays.to_picture(array)
    assert "\n" not in str(refused.value)
    assert "allowed" in str(refused.value)
