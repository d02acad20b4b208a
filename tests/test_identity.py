import json
import shutil
from pathlib import Path

import pytest
import torch

from pipeline.datasets import store
from pipeline.training import identity, precision

UNET = "pipeline.train_unet"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of the project's modules, and a data set, in the folder in which the work goes on."""
    shutil.copytree("pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data/target").mkdir(parents=True)
    for name in ("about.json", "train.npy", "train_labels.npy"):
        (tmp_path / "data/target" / name).write_text(name)
    enter(tmp_path, monkeypatch)
    yield tmp_path
    identity.modules.cache_clear()


def enter(project: Path, monkeypatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr(identity, "PROJECT", project)
    identity.modules.cache_clear()


def describe(settings: dict | None = None) -> dict:
    return identity.describe(UNET, settings or {}, store.files(Path("data/target")))


@pytest.mark.parametrize(
    "name", [".DS_Store", "._train.npy", ".train.npy.swp", "train.npy~", "#train.npy#", "Thumbs.db", "4913", "a/b.npy"]
)
def test_what_other_programs_leave_in_a_data_set_does_not_count(project, name):
    before = describe()
    (project / "data/target" / name).parent.mkdir(exist_ok=True)
    (project / "data/target" / name).write_bytes(b"left")
    assert describe() == before


def test_a_moved_project_does_not_count(project, tmp_path_factory, monkeypatch):
    before = describe()
    moved = tmp_path_factory.mktemp("moved") / "elsewhere"
    shutil.move(project, moved)
    enter(moved, monkeypatch)
    assert describe() == before


@pytest.mark.parametrize(
    ("module", "counts"),
    [
        ("training/muon.py", True),
        ("training/precision.py", True),
        ("networks/generator.py", True),
        ("train_unet.py", True),
        ("colour.py", True),
        ("serving/page.py", False),
        ("serve.py", False),
        ("cli.py", False),
        ("system/errors.py", False),
        ("training/losses/frechet.py", False),
        ("train_gan.py", False),
    ],
)
def test_only_modules_that_the_stage_depends_on_count(project, module, counts):
    before = describe()
    path = project / "pipeline" / module
    path.write_text(f"{path.read_text()}# a comment\n")
    after = describe()
    assert identity.differences(before, after) == (f"pipeline/{module}" if counts else "")


def test_pictures_and_settings_count_and_are_named(project):
    before = describe({"seed": 0, "unet": {"epochs": 12, "zoom": 0.25}})
    (project / "data/target/train.npy").write_text("others")
    after = describe({"seed": 0, "unet": {"epochs": 24, "zoom": 0.25}})
    assert identity.differences(before, after) == "unet.epochs: 12 there, 24 here, data/target/train.npy"


def test_many_differences_are_counted():
    here = {str(number): number for number in range(9)}
    assert (
        identity.differences({}, here)
        == "0: None there, 0 here, 1: None there, 1 here, 2: None there, 2 here, and 6 more"
    )


def library(name, monkeypatch):
    real = identity.version
    monkeypatch.setattr(identity, "version", lambda asked: "0.1" if asked == name else real(asked))


MACHINES = {
    "torch": lambda patch: library("torch", patch),
    "fastai": lambda patch: library("fastai", patch),
    "numpy": lambda patch: library("numpy", patch),
    "threads": lambda patch: patch.setattr(torch, "get_num_threads", lambda: 99),
    "instructions": lambda patch: patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT"),
    "processor": lambda patch: patch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}),
    "devices": lambda patch: patch.setattr(torch.accelerator, "device_count", lambda: 9),
    "precision": lambda patch: patch.setattr(identity, "fastest", lambda device: torch.float16),
    "deterministic": lambda patch: patch.setattr(torch.backends.cudnn, "benchmark", not torch.backends.cudnn.benchmark),
    "ONEDNN_MAX_CPU_ISA": lambda patch: patch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2"),
}


@pytest.mark.parametrize("name", MACHINES)
def test_all_that_changes_bits_counts_and_is_named(project, name, monkeypatch):
    before = describe()
    MACHINES[name](monkeypatch)
    after = describe()
    assert before != after
    assert name in identity.differences(before, after)


def test_cores_that_no_thread_uses_do_not_count(project, monkeypatch):
    before = describe()
    more = precision.capabilities() | {"num_logical_cores": 999}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: more)
    assert describe() == before


def test_the_description_is_what_json_can_hold(project):
    described = describe({"seed": 0})
    assert json.loads(json.dumps(described)) == described


def test_imports_in_functions_and_whole_modules_count(tmp_path, monkeypatch):
    package = tmp_path / "pipeline"
    for folder in ("sub", "system"):
        (package / folder).mkdir(parents=True)
    for name, code in {
        "__init__.py": '"""Only a docstring."""',
        "a.py": "import pipeline.b\nimport os",
        "b.py": "def run():\n    from pipeline import c\n",
        "c.py": "from pipeline.sub.d import value",
        "sub/__init__.py": "loaded = True",
        "sub/d.py": "from pipeline.system.errors import Line",
        "system/errors.py": "Line = 1",
        "unused.py": "pass",
    }.items():
        (package / name).write_text(code)
    enter(tmp_path, monkeypatch)
    found = identity.modules("pipeline.a")
    identity.modules.cache_clear()
    assert found == {Path("pipeline", name) for name in ("a.py", "b.py", "c.py", "sub/__init__.py", "sub/d.py")}
