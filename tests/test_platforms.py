"""That nothing is taken for granted which one of Linux, macOS and Windows does not have."""

import ast
import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image
from starlette.exceptions import HTTPException

from pipeline.serving import files
from tests import needs, posix
from tests.painters import tinting

ROOT = Path.cwd()
MODULES = sorted(Path("pipeline").rglob("*.py"))
GUARDS = re.compile(r"sys\.platform|WINDOWS|hasattr")
AS_ON_WINDOWS = """
import runpy, sys
from pathlib import Path
from tests import windows

for command in sys.argv[1:]:
    sys.argv[1:] = command.split()
    try:
        runpy.run_module("pipeline", run_name="__main__")
    except SystemExit as end:
        assert not end.code, (command, end.code)
    for path in filter(Path.is_file, Path("data").rglob("*")):
        path.chmod(0o444)  # as DVC does with what it has linked into its cache
"""
PAGE = """
from tests import windows
from contextlib import closing
from pathlib import Path
from pipeline.serving.painter import Painter
from pipeline.serving.uploads import Uploads

with closing(Uploads()) as uploads, closing(Painter({"tint": Path("model.onnx")})) as painter:
    upload = uploads.new() / "photo.png"
    upload.write_bytes(Path("photo.png").read_bytes())
    result = painter.paint("", file=str(upload), folder=str(uploads.new()), model="tint", size=64)
    assert uploads.has(result["result"])
    with closing(Uploads()) as others:
        assert upload.exists()
    assert not others.folder.exists()
assert not uploads.folder.exists()
"""
played_on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Windows is played on Linux alone")


@pytest.fixture
def project(tmp_path):
    """A folder with small pictures, an epoch of everything, a photograph and a model."""
    content = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    content["case"] = "folder"
    content["pretrain"]["judge"]["epochs"] = 1
    content["datasets"]["folder"] = {"path": "mine", "size": 16}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    noise = np.random.default_rng(0)
    for number in range(80):
        place = tmp_path / f"mine/{'ab'[number % 2]}/{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(256, size=(16, 16, 3), dtype=np.uint8)).save(place)
    Image.linear_gradient("L").save(tmp_path / "photo.png")
    (tmp_path / "model.onnx").write_bytes(tinting(30, -20))
    return tmp_path


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@played_on_linux
def test_commands_run_where_there_is_nothing_but_what_windows_has(project):
    colouring = "colourise photo.png --out coloured --model model.onnx"
    stages = "inventory", "download target", "download target", "pretrain judge", "pretrain judge"
    done = run(project, AS_ON_WINDOWS, "--help", *stages, colouring, colouring, f"{colouring} --size 32")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in project.glob("models/*")} == {"judge.safetensors"}
    assert [line.partition("; ")[0] for line in done.stdout.splitlines()[-3:]] == [
        "written: coloured/photo.png",
        "written: 0 photographs in coloured",  # it is there
        "written: coloured/photo.png",
    ]
    assert not list(project.rglob(".colourgan-*"))


@played_on_linux
def test_the_page_runs_where_there_is_nothing_but_what_windows_has(project):
    done = run(project, PAGE)
    assert (done.returncode, done.stderr) == (0, "")


def parents(tree: ast.AST) -> Iterator[tuple[ast.AST, list[ast.AST]]]:
    """Each node, and all that is around it."""
    below = [(tree, [])]
    while below:
        node, around = below.pop()
        yield node, around
        below += [(child, [*around, node]) for child in ast.iter_child_nodes(node)]


def guarded(around: list[ast.AST]) -> bool:
    """Whether it depends on a condition that names the system, or what it has."""
    conditions = [node.test for node in around if isinstance(node, ast.If | ast.IfExp)]
    conditions += [node for node in around if isinstance(node, ast.BoolOp)]
    return any(GUARDS.search(ast.unparse(condition)) for condition in conditions)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_what_windows_does_not_have_is_only_used_behind_a_condition(module):
    for node, around in parents(ast.parse(module.read_text(encoding="utf-8"))):
        where = f"{module}:{getattr(node, 'lineno', '')}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {node.module} if isinstance(node, ast.ImportFrom) else {name.name for name in node.names}
            assert not names & posix.MODULES, where
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            of_os = node.value.id == "os" and node.attr in posix.MISSING
            of_signal = node.value.id == "signal" and node.attr not in posix.SIGNALS
            assert not (of_os or of_signal) or guarded(around), where


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_text_has_the_same_bytes_on_all_systems(module):
    """Those of what stages write are in dvc.lock; by default Windows has other ends of lines, and another encoding."""
    for node, _ in parents(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given, where = {keyword.arg for keyword in node.keywords}, f"{module}:{node.lineno}"
            assert node.func.attr != "write_text", f"{where}: write_bytes(….encode()) is the same everywhere"
            assert node.func.attr != "to_csv" or "lineterminator" in given, where
            assert node.func.attr != "read_text" or "encoding" in given, where


@pytest.mark.skipif(not shutil.which("git") or not Path(".git").exists(), reason="this is no clone")
def test_git_gives_the_same_bytes_on_all_systems():
    listed = subprocess.run(["git", "ls-files", "--eol"], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        index, _, attribute = line.partition("\t")[0].split(maxsplit=2)
        assert index in ("i/lf", "i/none", "i/-text"), line
        assert "eol=lf" in attribute or "-text" in attribute, line


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere some things are missing")
def test_on_linux_no_test_is_passed_over_for_what_the_system_lacks():
    assert [what for _, there, what in needs.NEEDS if not there] == []


def test_what_a_test_needs_and_the_system_lacks_is_named(monkeypatch):
    monkeypatch.setattr(needs, "NEEDS", [(pattern, False, what) for pattern, _, what in needs.NEEDS])

    def one(path):
        path.symlink_to("nowhere")

    assert needs.missing(one) == "no links here"
    assert needs.missing(run) is None


@pytest.mark.parametrize("name", ["CON.jpg", "nul.PNG", "com1.old.jpg", "LPT9 .webp", "C:\\photos\\aux.png"])
def test_no_upload_is_written_to_what_is_a_device_on_windows(name):
    assert files._safe(name) == f"_{PureWindowsPath(name).name}"


@pytest.mark.parametrize("name", ["console.jpg", "com10.jpg", "icon.jpg", "my con.jpg"])
def test_other_uploads_keep_their_names(name):
    assert files._safe(name) == name


@pytest.mark.parametrize(
    ("kind", "given", "found"),
    [
        (PureWindowsPath, "C:/uploads/a/photo.png", "C:/uploads/a/photo.png"),
        (PureWindowsPath, "/C:/uploads/a/photo.png", "C:/uploads/a/photo.png"),
        (Path, "//uploads/a/photo.png", "/uploads/a/photo.png"),
    ],
)
def test_a_file_is_looked_for_where_the_page_says(monkeypatch, kind, given, found):
    looked = []
    monkeypatch.setattr(files, "Path", kind)
    giving = files.Files(SimpleNamespace(has=looked.append), 1, 1, {".png"})
    with pytest.raises(HTTPException):
        asyncio.run(giving.give(SimpleNamespace(path_params={"path": given})))
    assert looked == [found]
