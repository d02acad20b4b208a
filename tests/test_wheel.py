"""The project as a wheel, outside the repository, in a fresh environment that has what it asks for and no more."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from PIL import Image

from tests.painters import tinting

MOST = 400 << 20  # bytes
RAW_DATA = "FUJIFILMCCD-RAW 0201"


def closure(names):
    """What these packages need, themselves included, as it is installed here."""
    found, waiting = {}, list(names)
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            found[requirement.name] = distribution(requirement.name)
        except PackageNotFoundError:  # pip would install it only on another system or Python
            continue
        waiting += found[requirement.name].requires or []
    return found.values()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with a virtual environment, `fresh`, of the wheel alone, and a model, `unet.onnx`."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    sources.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(name, sources)
    shutil.copytree("pipeline", sources / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    subprocess.run(
        (*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, sources), check=True
    )
    (wheel,) = folder.glob("*.whl")
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", folder / "fresh"), check=True)
    python = folder / "fresh" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run((*pip, "--python", python, "install", "--no-deps", "--no-index", wheel), check=True)
    with zipfile.ZipFile(wheel) as content:
        (metadata,) = (name for name in content.namelist() if name.endswith("/METADATA"))
        lines = content.read(metadata).decode().splitlines()
    needed = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    site = Path(
        subprocess.check_output((python, "-c", "import site; print(site.getsitepackages()[0])"), text=True).strip()
    )
    size = 0
    for package in closure(needed):
        for file in package.files or []:
            source = Path(package.locate_file(file))
            size += source.stat().st_size if source.is_file() else 0
            if ".." not in file.parts and not (site / file.parts[0]).exists():
                (site / file.parts[0]).symlink_to(package.locate_file(file.parts[0]))
    (folder / "unet.onnx").write_bytes(tinting(20, 30))
    (folder / "elsewhere").mkdir()
    return folder, size


def run(folder, *arguments, **options):
    command = folder / "fresh" / ("Scripts/colourgan.exe" if os.name == "nt" else "bin/colourgan")
    return subprocess.run((command, *arguments), cwd=folder / "elsewhere", capture_output=True, **options)


def test_what_colours_photographs_is_small(installed):
    assert installed[1] < MOST


def test_the_command_colours_a_photograph_anywhere(installed):
    folder, _ = installed
    Image.new("RGB", (40, 30), (120, 90, 60)).save(folder / "elsewhere/photo.jpg")
    done = run(folder, "photo.jpg", "--model", folder / "unet.onnx")
    assert (done.returncode, done.stderr) == (0, b"")
    with Image.open(folder / "elsewhere/photo-coloured.jpg") as result:
        assert result.size == (40, 30)


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["serve", "--model", "../unet.onnx"], "web"),
        (["photo.jpg", "--model", "x.safetensors"], "train"),
        (["-", "--model", "../unet.onnx"], "raw"),
    ],
)
def test_an_extra_that_is_missing_is_named(installed, arguments, extra):
    folder, _ = installed
    (folder / "elsewhere/x.safetensors").touch()
    Image.new("RGB", (40, 30), (120, 90, 60)).save(folder / "elsewhere/photo.jpg")
    done = run(folder, *arguments, input=RAW_DATA, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert f"pip install '.[{extra}]'" in line
