"""The project as a wheel, outside the repository, in a fresh environment that has what it asks for and no more."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import httpx
import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image
from playwright.sync_api import sync_playwright

from pipeline.datasets import photos
from tests.painters import tinting
from tests.sites import free_port
from tests.test_serve import BROWSER, downloaded, in_a_browser
from tests.waiting import until

MOST = 400 << 20  # bytes
RAW_DATA = "FUJIFILMCCD-RAW 0201"
CURL = shutil.which("curl")


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


PIP = sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, in a folder with a model, `unet.onnx`, and a folder to work in, `elsewhere`."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    sources.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(name, sources)
    shutil.copytree("pipeline", sources / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        (*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, sources), check=True
    )
    (folder / "unet.onnx").write_bytes(tinting(20, 30))
    (folder / "elsewhere").mkdir()
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel, name, *extras):
    """A virtual environment beside the wheel, with what it asks for, and its size in bytes."""
    fresh = wheel.parent / name
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", fresh), check=True)
    python = fresh / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run((*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel), check=True)
    with zipfile.ZipFile(wheel) as content:
        (metadata,) = (name for name in content.namelist() if name.endswith("/METADATA"))
        lines = content.read(metadata).decode().splitlines()
        size = sum(member.file_size for member in content.infolist())
    needed = [Requirement(line.removeprefix("Requires-Dist: ")) for line in lines if line.startswith("Requires-Dist: ")]
    wanted = [
        f"{each.name}"
        for each in needed
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras)
    ]
    site = Path(
        subprocess.check_output((python, "-c", "import site; print(site.getsitepackages()[0])"), text=True).strip()
    )
    for package in closure(wanted):
        for file in package.files or []:
            source = Path(package.locate_file(file))
            size += source.stat().st_size if source.is_file() else 0
            if ".." not in file.parts and not (site / file.parts[0]).exists():
                (site / file.parts[0]).symlink_to(package.locate_file(file.parts[0]))
    return size


@pytest.fixture(scope="module")
def installed(wheel):
    """The folder with a virtual environment, `fresh`, of the wheel alone, and how large that is."""
    return wheel.parent, install(wheel, "fresh")


def command(folder, environment="fresh"):
    return folder / environment / ("Scripts/colourgan.exe" if os.name == "nt" else "bin/colourgan")


def run(folder, *arguments, **options):
    return subprocess.run((command(folder), *arguments), cwd=folder / "elsewhere", capture_output=True, **options)


def test_what_colours_photographs_is_small(installed):
    assert installed[1] < MOST


def test_the_command_colours_a_photograph_anywhere(installed):
    folder, _ = installed
    Image.new("RGB", (40, 30), (120, 90, 60)).save(folder / "elsewhere/photo.jpg")
    done = run(folder, "photo.jpg", "--model", folder / "unet.onnx")
    assert (done.returncode, done.stderr) == (0, b"")
    with Image.open(folder / "elsewhere/photo-coloured.jpg") as result:
        assert result.size == (40, 30)


def colours(path):
    """How far from grey a picture is: the mean over its pixels of the largest difference of two channels."""
    with Image.open(path) as picture:
        values = np.asarray(picture.convert("RGB")).astype(int)
    return np.ptp(values, axis=2).mean()


def test_the_model_that_comes_along_colours_a_folder_of_photographs_in_one_command(installed):
    folder, _ = installed
    (folder / "elsewhere/photos").mkdir()
    for name in ("coffee", "chelsea"):
        photos.load(name).convert("L").save(folder / f"elsewhere/photos/{name}.jpg", quality=95)
    done = run(folder, "photos", text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(", by photograph, the included model\n")
    for name in ("coffee", "chelsea"):
        assert colours(folder / f"elsewhere/photos-coloured/{name}.jpg") > 5


@pytest.fixture(scope="module")
def served(wheel):
    """The address of `colourgan serve`, of an environment with the extra `web`, and the included model."""
    install(wheel, "served", "web")
    folder, port = wheel.parent, free_port()
    process = subprocess.Popen((command(folder, "served"), "serve", "--port", str(port)), cwd=folder / "elsewhere")
    address = f"http://127.0.0.1:{port}"
    with httpx.Client(transport=httpx.HTTPTransport(retries=0), trust_env=False) as client:

        def answers() -> bool:
            try:
                return client.get(f"{address}/health").status_code == 200
            except httpx.TransportError:
                return process.poll() is not None  # the tests will tell

        until(answers)
    yield address
    process.terminate()
    process.wait()


@pytest.mark.skipif(CURL is None, reason="there is no curl")
def test_curl_has_a_photograph_coloured(served, tmp_path):
    photos.load("coffee").convert("L").save(tmp_path / "photo.png")
    subprocess.run(
        (CURL, "-sS", "--noproxy", "*", "-F", "file=@photo.png", "-o", "coloured.png", f"{served}/api/colourise"),
        cwd=tmp_path,
        check=True,
    )
    assert colours(tmp_path / "coloured.png") > 5


@in_a_browser
def test_the_page_colours_a_photograph(served, tmp_path):
    photos.load("coffee").convert("L").save(tmp_path / "photo.png")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.set_default_timeout(60_000)
        tab.goto(served)
        tab.locator("input[type=file]").set_input_files(tmp_path / "photo.png")
        name, content = downloaded(tab)
        browser.close()
    assert name == "photo-coloured.png"
    assert colours(io.BytesIO(content)) > 5


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
