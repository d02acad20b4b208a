"""What one takes away: `colourgan`."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from pipeline import __main__
from pipeline.colour import bytes_to_rgb, rgb_to_l_ab
from pipeline.photographs import writing
from tests.painters import tinting

ROOT = Path.cwd()
CODE = "from pipeline.__main__ import colourgan; colourgan()"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a model that paints all in one tint, and a grey photograph."""
    monkeypatch.chdir(tmp_path)
    Path("tint.onnx").write_bytes(tinting(20, 30))
    Image.new("L", (40, 30), 120).save("photo.jpg")
    return tmp_path


def piped(*arguments, given=None, succeeds=True):
    """The command as a process of its own."""
    done = subprocess.run(
        (sys.executable, "-c", CODE, *arguments),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=given,
        capture_output=True,
    )
    assert (done.returncode == 0) == succeeds, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


@pytest.fixture
def colourgan(monkeypatch, capsys):
    """The command in this process, which has loaded all that it needs; gives what it writes."""

    def run(*arguments, succeeds=True):
        monkeypatch.setattr(sys, "argv", ["colourgan", *arguments])
        with pytest.raises(SystemExit) as ended:
            __main__.colourgan()
        done = capsys.readouterr()
        assert (not ended.value.code) == succeeds, done.err
        return done

    return run


def refused(done):
    """The one line that a command ends in."""
    (line,) = done.err.splitlines()
    return line


def is_tinted(picture, a=20, b=30):
    """Whether it has that a* and b* in the middle, but for rounding and JPEG."""
    pixels = np.asarray(picture.convert("RGB"))[None]
    return np.abs(rgb_to_l_ab(bytes_to_rgb(pixels))[1][0, :, 10, 10] * 110 - (a, b)).max() < 2


def test_a_photograph_is_coloured_beside_itself_and_it_is_said_how(folder, colourgan):
    done = colourgan("photo.jpg", "--model", "tint.onnx")
    assert sorted(path.name for path in folder.iterdir()) == ["photo-coloured.jpg", "photo.jpg", "tint.onnx"]
    with Image.open("photo-coloured.jpg") as result:
        assert result.size == (40, 30)
        assert is_tinted(result)
    said = done.out
    assert said.startswith("written: photo-coloured.jpg; in ")
    assert said.endswith(" s, on cpu, by tint.onnx\n")
    again = colourgan("photo.jpg", "--model", "tint.onnx").out
    assert "left as they were: 1" in again


def test_a_folder_becomes_another_beside_it(folder, colourgan):
    Path("album/1950").mkdir(parents=True)
    for name in ("album/a.png", "album/1950/b.png"):
        Image.new("L", (40, 30), 120).save(name)
    colourgan("--model", "tint.onnx", "album")
    found = {path.relative_to(folder).as_posix() for path in folder.glob("album-coloured/**/*.png")}
    assert found == {"album-coloured/a.png", "album-coloured/1950/b.png"}


def test_the_current_folder_has_another_beside_it(folder, monkeypatch, colourgan):
    Path("album").mkdir()
    Image.new("L", (40, 30), 120).save("album/a.png")
    monkeypatch.chdir("album")
    colourgan("--model", "../tint.onnx", ".")
    assert (folder / "album-coloured/a.png").is_file()


def test_a_result_may_be_named(folder, colourgan):
    colourgan("photo.jpg", "-o", "new/coloured.png", "--model", "tint.onnx")
    with Image.open("new/coloured.png") as result:
        assert result.format == "PNG"
        assert is_tinted(result)
    assert "allowed: .jpg, .jpeg, .jpe, .jfif, .jif, .tif, .tiff, .png, .apng, .webp" in refused(
        colourgan("photo.jpg", "-o", "a.gif", "--model", "tint.onnx", succeeds=False)
    )
    assert "photo.jpg would be replaced by" in refused(
        colourgan("photo.jpg", "-o", "photo.jpg", "--model", "tint.onnx", succeeds=False)
    )
    Path("other.png").write_text("mine")
    assert (
        "other.png is there and no result"
        in colourgan("photo.jpg", "-o", "other.png", "--model", "tint.onnx", succeeds=False).err
    )
    assert Path("other.png").read_text() == "mine"
    assert not Path("a.gif").exists()


@pytest.mark.parametrize(("strength", "expected"), [(0, [0, 0]), (0.5, [10, 15]), (2, [40, 60])])
def test_strength_multiplies_the_colours(strength, expected, colourgan):
    colourgan("photo.jpg", "--model", "tint.onnx", "--strength", str(strength))
    with Image.open("photo-coloured.jpg") as result:
        assert is_tinted(result, *expected)
    other = colourgan("photo.jpg", "--model", "tint.onnx").out
    assert "made anew: 1" in other


@pytest.mark.parametrize("strength", ["-0.1", "2.1", "nan", "much"])
def test_a_strength_that_makes_no_sense_is_refused(strength, colourgan):
    done = colourgan("photo.jpg", "--model", "tint.onnx", "--strength", strength, succeeds=False)
    assert "--strength" in done.err
    assert not Path("photo-coloured.jpg").exists()


def test_a_photograph_goes_through_a_pipe(folder):
    done = piped("-", "--model", "tint.onnx", given=Path("photo.jpg").read_bytes())
    with Image.open(io.BytesIO(done.stdout)) as result:
        assert (result.format, result.size) == ("PNG", (40, 30))
        assert is_tinted(result)
    assert done.stderr.decode().startswith("coloured in ")
    assert {path.name for path in folder.iterdir()} == {"photo.jpg", "tint.onnx"}
    Path("result.png").write_bytes(done.stdout)
    assert writing.made(Path("result.png")) is not None


def test_frames_go_through_a_pipe_one_by_one():
    frames = [Image.new("L", (40, 30), tone) for tone in (60, 120, 180)]
    moving = io.BytesIO()
    frames[0].save(moving, "GIF", save_all=True, append_images=frames[1:], duration=100)
    done = piped("-", "--model", "tint.onnx", given=moving.getvalue())
    with Image.open(io.BytesIO(done.stdout)) as result:
        assert [is_tinted(frame) for frame in ImageSequence.Iterator(result)] == [True] * 3


@pytest.mark.parametrize("given", [b"", b"no photograph", b"\xff\xd8\xff\xe0half"])
def test_what_is_no_photograph_is_refused_by_the_pipe(given):
    done = piped("-", "--model", "tint.onnx", given=given, succeeds=False)
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("error: standard input: ")


def test_a_file_may_be_called_as_a_stream(colourgan):
    Path("photo.jpg").rename("-")
    colourgan("./-", "--model", "tint.onnx")
    with Image.open("--coloured.png") as result:
        assert is_tinted(result)


def test_a_pipe_takes_one_photograph_and_gives_one(colourgan):
    assert refused(colourgan("-", "photo.jpg", "--model", "tint.onnx", succeeds=False)).startswith(
        "error: -: given beside others"
    )
    assert refused(colourgan("-", "-o", "a.png", "--model", "tint.onnx", succeeds=False)).startswith(
        "error: -: given beside others"
    )


def test_a_device_that_is_not_there_is_refused(colourgan):
    line = refused(colourgan("photo.jpg", "--model", "tint.onnx", "--device", "mps", succeeds=False))
    assert line == "error: --device mps: not there for a .onnx file, allowed: cpu"
    colourgan("photo.jpg", "--model", "tint.onnx", "--device", "cpu")


def test_it_says_its_version_and_what_it_can_do(colourgan):
    assert colourgan("--version").out.startswith("colourgan 0.")
    told = colourgan("--help").out
    assert "serve" in told
    assert "colour" in told
