"""Pictures that all cores read."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.datasets import workers
from pipeline.system.errors import PipelineError
from tests.waiting import until

LONG = """
import signal
import sys
from pipeline.datasets import workers
from tests.test_workers import say_and_wait

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
    workers.cores = lambda: 2
    try:
        list(workers.each(say_and_wait, [sys.argv[1]] * 10_000))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
"""


def double(number):
    return 2 * number


def process_of(number):
    return os.getpid()


def end_at_700(number):
    if number == 700:
        os._exit(1)
    return number


def say_and_wait(folder):
    Path(folder, str(os.getpid())).touch()
    signal.sigtimedwait([signal.SIGUSR1], 300)


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(workers, "cores", lambda: 2)


def test_many_are_shared_among_processes_and_come_in_their_order(two_cores):
    assert list(workers.each(double, iter(range(1000)))) == list(range(0, 2000, 2))
    used = set(workers.each(process_of, range(1000)))
    assert os.getpid() not in used
    assert 1 <= len(used) <= 2


def test_few_need_no_processes(two_cores):
    assert set(workers.each(process_of, range(workers.FEW))) == {os.getpid()}


def test_no_more_is_taken_than_is_at_work(two_cores):
    taken = []
    results = workers.each(double, (taken.append(number) or number for number in range(10_000)))
    next(results)
    assert len(taken) <= workers.FEW + 1 + 2 * (workers.AHEAD + 1) * workers.CHUNK
    results.close()


def test_a_process_that_is_gone_ends_all_in_one_line(two_cores):
    with pytest.raises(PipelineError, match=r"^a process that reads pictures was ended, .*same command again$"):
        list(workers.each(end_at_700, range(1000)))


@pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="processes here wait for a signal that never comes")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_however_it_ends_no_process_is_left(tmp_path, how):
    (tmp_path / "long.py").write_text(LONG)
    (tmp_path / "found").mkdir()
    command = [sys.executable, str(tmp_path / "long.py"), str(tmp_path / "found")]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, process_group=0)
    found = until(lambda: run.poll() is not None or list((tmp_path / "found").iterdir()))
    assert run.poll() is None
    children = psutil.Process(run.pid).children(recursive=True)
    if how == signal.SIGINT:
        os.killpg(run.pid, how)  # as a terminal does
    else:
        run.send_signal(how)
    _, said = run.communicate(timeout=120)
    assert "Traceback" not in said
    assert how == signal.SIGKILL or said == "stopped\n"
    assert int(found[0].name) in {child.pid for child in children}
    assert psutil.wait_procs(children, timeout=120)[1] == []
