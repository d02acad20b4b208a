import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path.cwd()


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_help_names_every_command_and_imports_nothing_heavy(tmp_path):
    shown = run(tmp_path, "--help")
    stages = ("download", "pretrain", "train-unet", "train-gan", "evaluate")
    for command in (*stages, "report", "colourise", "export", "serve"):
        assert command in shown.stdout
    code = "import sys, pipeline.cli; print({'torch', 'fastai', 'pandas', 'matplotlib', 'gradio'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert loaded.stdout == "set()\n"


def test_an_unknown_role_is_refused_with_the_roles_that_there_are(tmp_path):
    refused = run(tmp_path, "download", "judge")
    assert refused.returncode == 2
    assert "target" in refused.stderr
    assert "encoder" in refused.stderr


@pytest.mark.parametrize(
    ("command", "way_out"),
    [
        ("pretrain encoder", "run `python -m pipeline download encoder`"),
        ("train-unet", "run `dvc repro`"),
        ("train-gan", "run `dvc repro`"),
        ("evaluate", "run `python -m pipeline download target`"),
        ("report", "run `dvc repro`"),
    ],
)
def test_a_stage_before_its_turn_says_what_to_run_first(tmp_path, command, way_out):
    shutil.copy("params.yaml", tmp_path)
    failed = run(tmp_path, *command.split())
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1
    assert way_out in failed.stderr


def test_ctrl_c_is_one_line_that_says_how_to_go_on(tmp_path):
    shutil.copy("params.yaml", tmp_path)
    code = """
import os, signal, pipeline.download
from pipeline.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs would ignore it
pipeline.download.run = lambda *_: os.kill(os.getpid(), signal.SIGINT)
main()
"""
    command = [sys.executable, "-c", code, "download", "target"]
    stopped = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert stopped.returncode == 130
    assert stopped.stderr == "error: download-target: stopped; run the same command again to go on\n"


@pytest.mark.parametrize("hunger", ["torch.empty(10**15)", "numpy.empty(10**15)"])
def test_more_memory_than_there_is_is_one_line_that_names_what_to_lower(tmp_path, hunger):
    shutil.copy("params.yaml", tmp_path)
    code = f"""
import warnings
warnings.simplefilter("ignore")  # of torch.jit, when fastai is imported
import numpy, torch, pipeline.train_unet
from pipeline.__main__ import main
pipeline.train_unet.run = lambda _: {hunger}
main()
"""
    command = [sys.executable, "-c", code, "train-unet"]
    failed = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: train-unet: out of memory")
    assert "lower batch_size" in failed.stderr
    assert failed.stderr.count("\n") == 1
