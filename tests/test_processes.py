import errno
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import distributed

from pipeline.networks.generator import unet
from pipeline.system import lock
from pipeline.system.environment import first_host
from pipeline.system.errors import PipelineError
from pipeline.system.place import Place
from pipeline.training import launch, processes
from tests import together
from tests.waiting import until

ROOT = Path.cwd()
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RUN_ID", "SLURM_STEP_NODELIST")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty project, in which two processes on one thread each can work."""
    shutil.copy("params.yaml", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_two_processes_train_as_one_does_and_go_on_as_if_they_never_had_been_killed(folder, monkeypatch):
    launch.share(2, "tests.together", folder)
    ends, told = torch.load("ends.pt", weights_only=False)
    assert told["gone on"] == {"unet": True, "gan": True}
    assert told["random"] == 2  # other augmentations in each
    assert told["order"].tolist() == np.arange(7).repeat(2).reshape(7, 2).tolist()
    assert told["mean"] == 1.75
    (gains, shared), (expected_gains, alone) = told["measured"], together.measured()
    for who, gain in expected_gains.items():
        assert gains[who] == pytest.approx(gain, abs=2e-4)
    for who, numbers in alone.items():
        for metric, values in numbers.items():
            np.testing.assert_allclose(shared[who][metric], values, rtol=1e-4, atol=1e-4, err_msg=f"{who}.{metric}")
    with monkeypatch.context() as patch:
        one = together.three_steps(patch.setattr)
    for stage, (weights, rows) in one.items():
        two, two_rows = ends[stage]
        assert two.keys() == weights.keys()
        for name, weight in weights.items():
            torch.testing.assert_close(two[name], weight, rtol=0, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")
        assert len(rows) == len(two_rows) == 1
        assert rows[0] == pytest.approx(two_rows[0], rel=1e-6)


def test_what_one_fails_of_is_raised_once_and_ends_all(folder):
    with pytest.raises(PipelineError, match="given nothing, allowed: something"):
        launch.share(2, "tests.failing", "fail", folder)


def test_a_full_disk_is_told_with_the_file(folder):
    with pytest.raises(OSError, match="No space left on device") as raised:
        launch.share(2, "tests.failing", "fill", folder)
    assert (raised.value.errno, raised.value.filename2) == (errno.ENOSPC, str(folder / "a.pt"))


def test_a_gpu_that_has_no_memory_left_is_no_process_that_has_ended():
    said = "NCCL error: unhandled cuda error, Cuda failure 2 'out of memory'"
    store = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with pytest.raises(RuntimeError, match=said), processes.join(Place(0, 1, 0), store):
        raise RuntimeError(said)


@pytest.mark.parametrize(
    ("shown", "variables", "expected"),
    [
        (2, {}, 1),
        (1, {"SLURM_GPUS_ON_NODE": "2"}, 0),  # by srun --gpus-per-task 1, which shows each process its own
        (1, {"SLURM_GPUS_ON_NODE": "1"}, None),
        (1, {"SLURM_GPUS_ON_NODE": "2", "TORCHELASTIC_RUN_ID": "none"}, None),  # to torchrun it showed one for all
        (1, {}, None),
    ],
)
def test_each_process_has_its_gpu_or_is_refused(monkeypatch, shown, variables, expected):
    chosen = []
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: shown)
    monkeypatch.setattr(torch.accelerator, "set_device_index", chosen.append)
    for name in ("SLURM_GPUS_ON_NODE", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if expected is None:
        with pytest.raises(PipelineError, match="given process 2 on this machine, which has 1 of cuda"):
            processes._backend(Place(1, 2, 1))
    else:
        processes._backend(Place(1, 2, 1))
        assert chosen == [expected]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_one_that_is_killed_ends_the_others_with_a_line(folder):
    with pytest.raises(PipelineError, match=r"^one of the processes was ended by signal 9; run the same command again"):
        launch.share(2, "tests.failing", "die", folder)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_all_end_when_the_process_that_started_them_is_killed(folder):
    program = """
from pathlib import Path
from pipeline.training import launch
if __name__ == "__main__":
    launch.share(2, "tests.failing", "hang", Path.cwd())
"""
    Path("parent.py").write_text(program)
    parent = subprocess.Popen([sys.executable, "parent.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    there = [folder / f"{rank}.pid" for rank in range(2)]
    until(lambda: parent.poll() is not None or all(path.exists() and path.read_text() for path in there))
    parent.send_signal(signal.SIGKILL)
    assert parent.communicate()[0] == b""  # the pipe ends when all who could write to it have ended


@pytest.mark.parametrize(
    ("gpus", "place", "queued", "expected"),
    [
        (0, None, False, ["here"]),
        (1, None, False, ["here"]),
        (2, None, False, ["share 2"]),
        (2, None, True, ["one of 2", "set 0", "here"]),  # an experiment of DVC's queue
        (2, Place(1, 2, 1), False, ["join 1 of 2", "here"]),  # of a launcher, which has one process for each
        (0, Place(0, 2, 0), True, ["join 0 of 2", "here"]),
    ],
)
def test_a_stage_runs_where_there_is_something_to_run_it_on(gpus, place, queued, expected, monkeypatch):
    done = []

    @contextmanager
    def held(said, result=None):
        done.append(said)
        yield result

    monkeypatch.setattr(launch.torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(launch.torch.cuda, "set_device", lambda device: done.append(f"set {device}"))
    monkeypatch.setattr(launch.environment, "place", place, raising=False)
    monkeypatch.setattr(launch, "checkpoints", lambda: Path("elsewhere") if queued else launch.FOLDER)
    monkeypatch.setattr(launch, "gpu_of_its_own", lambda gpus: held(f"one of {gpus}", 0))
    monkeypatch.setattr(launch.processes, "join", lambda place: held(f"join {place.rank} of {place.count}"))
    monkeypatch.setattr(launch, "share", lambda count, *_: done.append(f"share {count}"))
    monkeypatch.setattr(launch, "_stage", lambda *_: done.append("here"))
    launch.run("tests.together")
    assert done == expected


def test_experiments_have_a_gpu_each_by_the_names_that_the_user_allows(folder, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    with launch.gpu_of_its_own(2) as first:
        with launch.gpu_of_its_own(2) as second:
            assert (first, second) == (0, 1)
            assert {path.name.rpartition("-")[2] for path in lock.FOLDER.glob("gpu-*")} == {"2.lock", "5.lock"}
        with launch.gpu_of_its_own(2) as again:
            assert again == 1


def test_an_experiment_that_waits_takes_the_gpu_that_is_free_first(folder, monkeypatch):
    monkeypatch.setattr(launch, "LOOK", 0.01)
    with ExitStack() as first, ExitStack() as second:
        assert [held.enter_context(launch.gpu_of_its_own(2)) for held in (first, second)] == [0, 1]
        with ThreadPoolExecutor() as pool, ExitStack() as third:
            waiting = pool.submit(lambda: third.enter_context(launch.gpu_of_its_own(2)))
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.1)
            second.close()
            assert waiting.result() == 1


@pytest.mark.parametrize(
    ("hosts", "first"),
    [("gpu[03-06,09],login", "gpu03"), ("a,b", "a"), ("rack1-node[2,4]", "rack1-node2"), ("one", "one")],
)
def test_the_first_of_slurms_hosts_is_where_the_processes_meet(hosts, first):
    assert first_host(hosts) == first


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"RANK": "1", "WORLD_SIZE": "many"}, None),  # a stray one
        ({"TORCHELASTIC_RUN_ID": "x", "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, (5, 8, 1)),
        ({"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, None),
        (
            {
                **{"SLURM_STEP_NODELIST": "n[1-2]", "SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"},
                **{"SLURM_LOCALID": "1", "SLURM_JOB_ID": "123456"},
            },
            (3, 4, 1),
        ),
    ],
)
def test_who_a_process_is_says_a_launcher_and_nothing_else(given, place):
    program = "from pipeline.system import environment as e; e.settle(); print(e.place and tuple(e.place))"
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES} | given
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout == f"{place}\n", done.stderr


def test_one_process_of_a_launcher_may_share_its_work_with_others_that_it_starts():
    program = """
import os, subprocess, sys
from pipeline.system import environment
environment.settle()
again = "from pipeline.system import environment as e; e.settle(); print(e.place)"
subprocess.run([sys.executable, "-c", again])
"""
    given = {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES} | given
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout == "None\n", done.stderr


def test_networks_compute_the_same_when_their_statistics_are_shared():
    network = timm.create_model("test_efficientnet", num_classes=3).eval()  # whose normalisation has activations in it
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        expected = network(x)
        shared = processes.with_shared_statistics(network)
        assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in shared.modules())
        torch.testing.assert_close(shared(x), expected)


def test_a_unet_whose_statistics_are_shared_still_has_its_skips():
    network = unet("timm/mobilenetv3_small_050").eval()  # of which one comes out of a normalisation
    torch.nn.init.normal_(network.layers[-1].weight)
    x = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        expected = network(x)
        torch.testing.assert_close(processes.with_shared_statistics(network)(x), expected)


def test_with_one_process_all_that_is_shared_is_its_own():
    value = torch.tensor([1.0, 2.0])
    assert processes.mean(value, 1.0) is value
    assert processes.same(value) is value
    assert processes.gather(value) == [value]
    assert processes.mine(value).tolist() == [1, 2]
    assert processes.together(value.numpy()).tolist() == [1, 2]
    network = torch.nn.Linear(1, 1)
    assert processes.parallel(network, 1.0) is network
