import os
import runpy
import subprocess
import sys

import pytest

from pipeline import cli
from pipeline.system import memory

PROGRAM = """
import sys, resource
from pipeline.system import memory

memory.keep()
pages = []
for _ in range(20):
    b"." * 2**26
    pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(*sys.argv[1:], pages[-1] - pages[0], sep="|")
"""


def run(environment: dict[str, str]) -> tuple[list[str], int]:
    """The arguments that the program saw, and how many pages the system gave it, after the first time."""
    command = [sys.executable, "-c", PROGRAM, "two words", "--flag"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    *arguments, pages = done.stdout.strip().split("|")
    return arguments, int(pages)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing happens")
def test_freed_memory_is_used_again_and_the_program_starts_with_the_same_arguments():
    arguments, pages = run({name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"})
    assert arguments == ["two words", "--flag"]
    _, pages_by_default = run(os.environ | {"GLIBC_TUNABLES": ""})  # the user's own setting
    assert pages < pages_by_default / 5


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing happens")
def test_ctrl_c_between_both_starts_is_heeded_by_the_second():
    program = """
import os, signal
from pipeline.system import environment, memory
start = os.execve
os.execve = lambda *given: (os.kill(os.getpid(), signal.SIGINT), start(*given))
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs would ignore it
memory.keep()
try:
    environment.settle()
except KeyboardInterrupt:
    print("heeded")
"""
    without = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    done = subprocess.run([sys.executable, "-c", program], env=without, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("heeded\n", "")


def test_all_commands_that_compute_for_long_keep_memory_and_no_other(monkeypatch):
    kept = set()
    commands = {command.name or command.callback.__name__.replace("_", "-") for command in cli.app.registered_commands}
    monkeypatch.setattr(cli, "app", lambda prog_name: None)
    for command in commands:
        monkeypatch.setattr(sys, "argv", ["pipeline", command])
        monkeypatch.setattr(memory, "keep", lambda command=command: kept.add(command))
        runpy.run_module("pipeline", run_name="__main__")
    assert kept == {"pretrain", "train-unet", "train-gan", "evaluate"}
