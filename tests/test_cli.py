import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fastai.callback.core import Callback
from torch import nn
from typer.testing import CliRunner

from pipeline import __main__, cli
from pipeline.system import lock
from pipeline.system.errors import PipelineError, Stopped
from pipeline.system.place import Place
from pipeline.training.learner import learner
from tests.test_training import adam, painter, pair

ROOT = Path.cwd()
# Nothing else of what is set here; without the second, Windows starts no Python.
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")}


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """The work goes on in a folder that has nothing but params.yaml."""
    shutil.copy("params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_help_names_every_command_and_imports_nothing_heavy(tmp_path):
    shown = run(tmp_path, "--help")
    stages = ("download", "unlabelled", "pretrain", "train-unet", "train-gan", "evaluate")
    for command in (*stages, "report", "colourise", "export", "serve"):
        assert command in shown.stdout
    code = "import sys, pipeline.cli; print({'torch', 'fastai', 'pandas', 'matplotlib', 'gradio'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert loaded.stdout == "set()\n"


@pytest.mark.parametrize(
    ("arguments", "where", "given"),
    [
        ("export --half --gain 1.5", "pipeline.export.run", (None, None, False, True, 1.5)),
        ("export --model gan --out a.onnx --force", "pipeline.export.run", ("gan", Path("a.onnx"), True, False, 1)),
        ("study run", "pipeline.study.run.run", (False,)),
        ("study run --any-code", "pipeline.study.run.run", (True,)),
        ("study run --dry --any-code", "pipeline.study.run.show", (True,)),
        ("study report --any-code", "pipeline.study.report.report", (True,)),
    ],
)
def test_what_is_given_comes_where_it_belongs(in_folder, monkeypatch, arguments, where, given):
    received = []
    monkeypatch.setattr(where, lambda *what: received.append(what))
    assert CliRunner().invoke(cli.app, arguments.split()).exit_code == 0
    assert received == [given]


def test_of_processes_that_a_launcher_started_one_alone_holds_the_lock(in_folder, monkeypatch):
    with lock.alone("train-unet"):
        monkeypatch.setattr(cli.environment, "place", Place(1, 2, 1))
        with cli._stage("train-unet", shared=True):
            pass
        monkeypatch.setattr(cli.environment, "place", Place(0, 2, 0))
        with pytest.raises(PipelineError), cli._stage("train-unet", shared=True):
            pass


def test_an_unknown_role_is_refused_with_the_roles_that_there_are(tmp_path):
    refused = run(tmp_path, "download", "judge")
    assert refused.returncode == 2
    assert "target" in refused.stderr
    assert "encoder" in refused.stderr


@pytest.mark.parametrize(
    ("command", "way_out"),
    [
        ("pretrain encoder", "run `python -m pipeline download encoder`"),
        ("train-unet", "run `python -m pipeline download target`"),
        ("train-gan", "run `python -m pipeline download target`"),
        ("evaluate", "run `python -m pipeline download target`"),
        ("report", "run `dvc repro`"),
    ],
)
def test_a_stage_before_its_turn_says_what_to_run_first(in_folder, monkeypatch, capsys, command, way_out):
    monkeypatch.setattr(sys, "argv", ["pipeline", *command.split()])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert way_out in said


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
    stopped = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert stopped.returncode == 130
    assert stopped.stderr == "error: download-target: stopped; run the same command again to go on\n"


@pytest.mark.parametrize(
    ("module", "ends"),
    [
        ("pipeline.system.memory", (-signal.SIGINT, "")),  # before anything of ours can tell of it
        ("pipeline.cli", (130, "error: stopped; run the same command again\n")),
    ],
)
def test_ctrl_c_while_a_command_starts_is_no_traceback(tmp_path, module, ends):
    program = f"""
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs would ignore it
class Finder:
    def find_spec(self, name, *_):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
runpy.run_module("pipeline", run_name="__main__")
"""
    command = [sys.executable, "-c", program, "report"]
    stopped = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert (stopped.returncode, stopped.stderr) == ends


def test_ctrl_c_before_there_is_a_command_names_the_program(monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.TyperGroup, "invoke", stop)
    with pytest.raises(Stopped, match=r"^python -m pipeline: stopped"):
        cli.app(["report"], prog_name="python -m pipeline")


@pytest.mark.parametrize("hunger", ["torch.empty(10**15)", "numpy.empty(10**15)"])
def test_more_memory_than_there_is_is_one_line_that_names_what_to_lower(tmp_path, hunger):
    shutil.copy("params.yaml", tmp_path)
    code = f"""
import sys, types
import {hunger.partition(".")[0]}
from pipeline.__main__ import main
stage = types.ModuleType("pipeline.train_unet")
stage.run = lambda _: {hunger}
sys.modules[stage.__name__] = stage
main()
"""
    command = [sys.executable, "-c", code, "train-unet"]
    failed = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: train-unet: out of memory; lower unet.batch_size in params.yaml, or ")
    assert failed.stderr.count("\n") == 1


class Fails(Callback):
    """Raises where fastai, which rewrites what a callback raises, is in between."""

    def __init__(self, error: Exception, event: str):
        self.error = error
        setattr(self, event, self.fail)

    def fail(self):
        raise self.error


def load(error: Exception) -> None:
    """What a module does that makes a line of what it catches."""
    try:
        raise error
    except type(error):
        raise PipelineError("data/target: no data set there") from None


NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of …"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to …"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("unable to mmap 8 bytes from file </a>: Cannot allocate memory (12)"),
    MemoryError("Unable to allocate 1.00 TiB for an array"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    ValueError("Error tokenizing data. C error: out of memory"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
]


@pytest.mark.parametrize("event", ["before_fit", "after_loss", "before_validate", "after_fit"])
@pytest.mark.parametrize("error", NO_MEMORY[:2], ids=["cuda", "cpu"])
def test_memory_that_runs_out_in_a_callback_is_one_line(error, event, in_folder):
    with pytest.raises(PipelineError) as raised, cli._stage("train-gan"):
        learner(pair(), painter(), nn.L1Loss(), adam, [Fails(type(error)(*error.args), event)]).fit(1, 0.01)
    assert str(raised.value) == (
        "train-gan: out of memory; lower gan.batch_size in params.yaml, or end other programs, and run the same "
        "command again"
    )


def test_a_study_of_which_a_run_lacked_memory_still_says_which(in_folder):
    line = "study: 1 of 3 runs failed: none-seed0: train-unet: out of memory; lower unet.batch_size in params.yaml"
    with pytest.raises(PipelineError) as raised, cli._stage("study"):
        raise PipelineError(line)
    assert str(raised.value) == line


@pytest.mark.parametrize(
    ("stage", "way_out"),
    [
        ("study-report", "end other programs, and run"),
        ("download-target", "end other programs, and run"),
        ("unlabelled", "end other programs, and run"),
        ("pretrain-judge", "lower pretrain.judge.batch_size in params.yaml, or end"),
        ("train-unet", "lower unet.batch_size in params.yaml, or end"),
        ("evaluate", "lower evaluate.batch_size in params.yaml, or end"),
    ],
)
@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: str(error)[:20])
def test_whatever_says_that_memory_ran_out_is_one_line_even_if_a_line_was_made_of_it(error, stage, way_out, in_folder):
    with pytest.raises(PipelineError) as raised, cli._stage(stage):
        load(error)
    assert str(raised.value).startswith(f"{stage}: out of memory; {way_out}")


def test_an_error_about_memory_that_is_not_scarce_is_no_lack_of_it(in_folder):
    with pytest.raises(RuntimeError, match="illegal memory access"), cli._stage("evaluate"):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
@pytest.mark.parametrize(("command", "module"), [("evaluate", "evaluate"), ("report", "measuring.report")])
def test_a_signal_is_one_line_and_the_code_that_a_shell_gives(tmp_path, command, module, name, code):
    shutil.copy("params.yaml", tmp_path)
    program = f"""
import os, signal, sys, types
from pipeline.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs would ignore them
signal.signal(signal.SIGHUP, signal.SIG_DFL)
stage = types.ModuleType("pipeline.{module}")
stage.run = lambda *_: os.kill(os.getpid(), signal.{name})
sys.modules[stage.__name__] = stage
main()
"""
    stopped = subprocess.run(
        [sys.executable, "-c", program, command],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert stopped.returncode == code
    assert stopped.stderr.startswith(f"error: {command}: stopped; run the same command again")
    assert stopped.stderr.count("\n") == 1


def shell(folder: Path, line: str) -> subprocess.CompletedProcess:
    """A command as a shell runs it, P being `python -m pipeline`."""
    environment = ENVIRONMENT | {"P": f"{sys.executable} -m pipeline"}
    return subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True)


def test_output_that_cannot_be_written_is_one_line_and_no_success(tmp_path):
    full = shell(tmp_path, "$P --help >/dev/full")
    assert (full.returncode, full.stderr) == (1, "error: output: No space left on device\n")


@pytest.mark.parametrize(
    ("command", "module", "letters", "said"),
    [
        ("report", "measuring.report", 10, b""),  # as of any program in a shell
        (
            "report",
            "measuring.report",
            10**6,
            b"error: report: nobody reads what it says; run the same command again\n",
        ),
        (
            "evaluate",
            "evaluate",
            10**6,
            b"error: evaluate: nobody reads what it says; run the same command again to go on\n",
        ),
    ],
)
def test_output_that_nobody_reads_any_more_ends_a_command_as_a_shell_has_it(tmp_path, command, module, letters, said):
    shutil.copy("params.yaml", tmp_path)
    program = f"""
import sys, types
from pipeline.__main__ import main
stage = types.ModuleType("pipeline.{module}")
stage.run = lambda *_: print("." * {letters})
sys.modules[stage.__name__] = stage
main()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, command],
        env=ENVIRONMENT,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (said, 141)


def test_closed_streams_are_nobodys_files(tmp_path):
    assert shell(tmp_path, "$P --help <&- >&-").returncode == 0
    closed = shell(tmp_path, "$P report >&-")
    assert closed.returncode == 1
    assert closed.stderr.count("\n") == 1
    assert shell(tmp_path, "$P report >&- 2>&-").returncode == 1
