import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = (
    "Makefile",
    "dvc.yaml",
    "params.yaml",
    ".dvcignore",
    ".dvc/config",
    "pyproject.toml",
)
TOOLS = {  # of the virtual environment: they say what they were asked for
    "dvc": '#!/bin/sh\necho "dvc $@ in ${PWD##*/}"; mkdir -p models; echo "result" >models/unet\n',
    "python": '#!/bin/sh\necho "python $@ in ${PWD##*/}"\n',
}

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


@pytest.fixture
def project(tmp_path):
    """The project as a zip has it, without git, in a folder with a space, with tools that do nothing."""
    folder = tmp_path / "the project"
    for source in SOURCES:
        (folder / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / source)
    (folder / "pipeline").mkdir()
    (folder / "pipeline/code.py").write_text("today's")
    (folder / "constraints.txt").write_text("")
    tools = folder / ".venv/bin"
    tools.mkdir(parents=True)
    for name, content in TOOLS.items():
        (tools / name).write_text(content)
        (tools / name).chmod(0o755)
    (folder / ".venv/installed").write_text("")
    return folder


def make(folder: Path, *arguments: str, succeeds: bool = True, **variables: str) -> str:
    # `make test` may run this test, and hands on how it was called.
    here = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=here | {"GIT_CEILING_DIRECTORIES": str(folder.parent)} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert (done.returncode == 0) == succeeds, done.stdout
    return done.stdout


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_demo_is_a_copy_of_todays_code_without_git(project):
    said = make(project, "demo")
    assert "dvc repro in demo" in said
    assert "python -m pipeline colourise data/target/photographs --out coloured --compare in demo" in said
    assert "python -m pipeline report in demo" in said
    copied = {source for source in SOURCES if source not in ("Makefile", "pyproject.toml")}
    assert files(project / "demo") == copied | {"pipeline/code.py", ".dvc/config.local", "models/unet"}
    assert "\ncase: photos\n" in (project / "demo/params.yaml").read_text()
    for folder in (project, project / "demo"):
        assert "no_scm = true" in (folder / ".dvc/config.local").read_text()


def test_the_demo_takes_todays_values_and_no_picture_of_the_users(project):
    (project / "data/folder").mkdir(parents=True)
    (project / "data/folder/mine.jpg").write_text("large")
    assert "today's values" in make(project, "demo")
    assert not (project / "demo/data").exists()
    assert "today's values" not in make(project, "demo")
    values = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(values.replace("\nseed: 0", "\nseed: 3"))
    assert "today's values" in make(project, "demo")
    made = (project / "demo/params.yaml").read_text()
    assert "\ncase: photos\n" in made
    assert "\nseed: 3" in made


def test_the_demo_goes_on_where_it_was_and_what_is_of_other_code_is_moved_aside(project):
    make(project, "demo")
    (project / "demo/models/gan").write_text("the user's")
    assert "was of other code" not in make(project, "demo")
    assert (project / "demo/models/gan").read_text() == "the user's"
    (project / "pipeline/code.py").write_text("tomorrow's")
    assert "demo/ was of other code, it is demo-" in make(project, "demo")
    assert (project / "demo/pipeline/code.py").read_text() == "tomorrow's"
    assert not (project / "demo/models/gan").exists()
    (aside,) = project.glob("demo-*")
    assert (aside / "models/gan").read_text() == "the user's"


@pytest.mark.parametrize("unfit", ["exit 1", "exit 127"])
def test_a_python_that_does_not_do_is_one_line(project, unfit):
    (project / "old").write_text(f"#!/bin/sh\n{unfit}\n")
    (project / "old").chmod(0o755)
    (project / ".venv/installed").unlink()
    said = make(project, "install", "PYTHON=./old", succeeds=False)
    assert said.startswith("error: ./old is no Python 3.11 or newer with venv: install one")
    assert "-m venv" not in said


def test_a_repository_that_git_does_not_open_is_named_with_the_way_out(project):
    (project / ".git").write_text("not what git knows")
    said = make(project, "install")
    assert f"git config --global --add safe.directory '{project}'" in said
    assert not (project / ".dvc/config.local").exists()
