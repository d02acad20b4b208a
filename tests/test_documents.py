"""Every command in the documents is one that there is, with options that it takes."""

import inspect
import re
import shlex
import tomllib
from argparse import ArgumentParser
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import nbformat
import pytest
import typer
import yaml
from dvc.cli import parse_args
from PIL import Image
from typer.main import get_command

from pipeline import cli, command, params
from pipeline.study import kept, plan
from pipeline.study.plan import override

DOCUMENTS = [
    Path("README.md"),
    Path("CONTRIBUTING.md"),
    Path("data/folder/README.md"),
    *sorted(Path("docs").glob("*.md")),
    Path("docs/tour.ipynb"),
]
BLOCK = re.compile(r"^```sh\n(.*?)^```|((?:^ {4}\S[^\n]*\n)+)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:)([^)\s]+)\)")  # within the project
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
COMMENT, APART, REDIRECTED = re.compile(r"\s+#.*"), re.compile(r"\s(?:&&|[|;])\s"), re.compile(r">\s*\S+")
OURS = "colourgan", "dvc", "make", "pip", "py", "python", "srun", "torchrun"
NOT_YET = {"case=stripes"}  # CONTRIBUTING.md adds it


def read(path: Path) -> str:
    """A document, of a notebook the text between its cells."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        return "\n\n".join(f"{cell.source}\n" for cell in cells if cell.cell_type == "markdown")
    return path.read_text(encoding="utf-8")


def commands() -> Iterator[tuple[str, str]]:
    """Document and command, of all that are in blocks or in running text."""
    for path in DOCUMENTS:
        text = read(path)
        lines = [line for block in BLOCK.findall(text) for line in "".join(block).splitlines()]
        for line in (*lines, *INLINE.findall(text)):
            for part in APART.split(COMMENT.sub("", line)):
                words = REDIRECTED.sub("", part).split()
                if len(words) > 1 and words[0] in OURS:
                    yield path.name, " ".join(words)


def parse(group, words: list[str]) -> None:
    """Have a Typer program take a command line apart, and not run it."""
    context = group.make_context(group.name, list(words))
    if hasattr(group, "resolve_command"):
        _, below, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        parse(below, rest)


class Parsed(Exception):
    """A command line was taken apart, and nothing run."""


def parse_script(script: str, words: list[str]) -> None:
    """Have a script's own parser take a command line apart, and not run it."""
    assert Path(script).exists()
    pytest.importorskip("resource", reason="benchmarks need POSIX's limits")
    main = import_module(".".join(Path(script).with_suffix("").parts)).main
    if inspect.signature(main).parameters:
        app = typer.Typer()
        app.command()(main)
        return parse(get_command(app), words)

    def stop(parser: ArgumentParser, parse_args=ArgumentParser.parse_args) -> None:
        parse_args(parser, words)
        raise Parsed

    with patch.object(ArgumentParser, "parse_args", stop), pytest.raises(Parsed):
        main()


def check_python(words: list[str]) -> None:
    match words:
        case ["-m", "pipeline", *rest]:
            parse(get_command(cli.app), rest)
        case ["-m", "pip", *rest]:
            check_pip(rest)
        case ["-m", "pytest", *rest]:
            assert all(Path(path).exists() for path in rest)
        case ["-m", "venv", _]:
            pass
        case ["-m", module, *rest]:
            check_python([f"{module.replace('.', '/')}.py", *rest])
        case [script, *rest]:
            parse_script(script, rest)


def check_dvc(words: list[str]) -> None:
    given = parse_args([word for word in words if word not in ("-S", "…")] if "…" in words else words)
    stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    if words[0] == "repro" or words[:2] == ["exp", "run"]:
        assert {target.partition("@")[0] for target in given.targets or ()} <= set(stages)
    for setting in getattr(given, "set_param", None) or ():
        name, _, value = setting.partition("=")
        for one in value.split(",") if given.queue else [value]:
            if setting not in NOT_YET:
                override(params.load(), {name: one if name == "case" else yaml.safe_load(one)}, setting)


def check_pip(words: list[str]) -> None:
    extras = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for extra in re.findall(r"\.\[(\w+)\]", " ".join(words)):
        assert extra in extras


def check_make(words: list[str]) -> None:
    targets = re.findall(r"^([\w.]+):", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert words[0] in targets or "=" in words[0]


def check(line: str) -> None:
    program, *words = shlex.split(line)
    match program:
        case "python" | "py":
            check_python(words)
        case "torchrun":
            check_python(words[words.index("-m") :])
        case "srun":
            check_python(words[words.index("python") + 1 :])
        case "colourgan":
            parse(get_command(command.app), words)
        case "dvc":
            check_dvc(words)
        case "pip":
            check_pip(words)
        case "make":
            check_make(words)


@pytest.mark.parametrize(("document", "line"), sorted(set(commands())))
def test_a_command_in_a_document_is_one_that_there_is(document, line):
    check(line)


@pytest.mark.parametrize(
    "line",
    [
        *("python -m pipeline train-net", "python -m pipeline export --quarter", "python benchmarks/none.py"),
        *("python benchmarks/growth.py a.png --none", "python benchmarks/growth.py", "python -m benchmarks.soak"),
        *("dvc repro train", "dvc exp run -S unet.epoch=3", "dvc exp walk"),
        *("dvc exp run -S case=3", "make tea", "pip install '.[tea]'", "colourgan --pale photo.jpg"),
        "torchrun --nproc-per-node 2 -m pipeline train",
    ],
)
def test_and_one_that_there_is_not_is_found(line):
    with pytest.raises((Exception, SystemExit)):  # each program refuses in its own way
        check(line)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_a_link_leads_to_something_that_there_is(document):
    for target in LINK.findall(read(document)):
        place, _, heading = target.partition("#")
        there = (document.parent / place) if place else document
        assert there.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", read(there), re.MULTILINE)
            assert heading in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_the_runs_that_are_kept_here_are_whole_and_the_study_has_as_many_runs_as_the_documents_say():
    assert not [one.problem for one in kept.read_all() if one.problem]
    planned = len(plan.runs(params.load()))
    assert f" of {planned} runs: " in read(Path("docs/study.md"))
    assert f"(as it comes, {planned};" in read(Path("docs/experiments.md"))


def test_most_commands_are_found():
    assert len(set(commands())) > 50


def test_make_bench_runs_benchmarks_that_there_are():
    lines = re.findall(r"^\t\$\(INSIDE\) (benchmarks/.+)$", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for line in lines:
        check(f"python {line}")
    assert lines


def test_the_readme_s_first_commands_colour_photographs(tmp_path, monkeypatch):
    of_readme = [line for document, line in commands() if document == "README.md"]
    monkeypatch.chdir(tmp_path)
    Path("holidays").mkdir()
    for path in ("photo.jpg", "holidays/beach.png"):
        Image.new("L", (40, 30), 120).save(path)
    for line in of_readme:
        if (
            line.startswith(("colourgan photo.jpg", "colourgan holidays")) and "--compare" not in line
        ):  # of what is trained
            get_command(command.app).main(line.split()[1:], standalone_mode=False)
    assert Path("photo-coloured.jpg").exists()
    assert Path("coloured/beach.png").exists()
