import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.system import lock
from pipeline.system.errors import PipelineError

HOLD = """
import sys, time
from pathlib import Path
from pipeline.system import lock
with lock.hold(Path("a.lock"), ""):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def holder():
    """A process that holds a.lock."""
    environment = os.environ | {"PYTHONPATH": str(Path(lock.__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", HOLD], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_who_does_not_wait_is_told_who_has_it(holder):
    with pytest.raises(lock.Held, match=f"^{holder.pid}$"), lock.hold(Path("a.lock"), ""):
        pass


def test_it_goes_with_the_process_however_that_ends(holder):
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(lambda: lock.hold(Path("a.lock"), "", wait=True).__enter__())
        assert not waiting.done()
        holder.send_signal(signal.SIGKILL)
        waiting.result(timeout=30)
    assert Path("a.lock").exists()


def test_the_number_of_an_earlier_process_is_gone():
    Path("a.lock").write_text(" 123456789")
    with (
        lock.hold(Path("a.lock"), ""),
        pytest.raises(lock.Held, match=f"^{os.getpid()}$"),
        lock.hold(Path("a.lock"), ""),
    ):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
@pytest.mark.parametrize("wait", [False, True])
def test_a_file_system_without_locks_is_one_line_with_the_way_out(monkeypatch, number, wait):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(PipelineError) as raised, lock.hold(Path("a.lock"), "take a local disk", wait):
        pytest.fail("two runs would both be here")
    assert str(raised.value).startswith(f"a.lock: the file system has no locks ({os.strerror(number)})")
    assert str(raised.value).endswith("; take a local disk")
    with pytest.raises(PipelineError, match="a copy of the project on a local disk"), lock.alone("train-unet"):
        pytest.fail("two runs would both be here")


def test_what_else_is_wrong_with_the_file_is_the_systems_error():
    Path("a.lock").mkdir()
    with pytest.raises(IsADirectoryError), lock.hold(Path("a.lock"), ""):
        pass
