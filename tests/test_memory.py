import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys, resource
from pipeline import memory

memory.keep()
for _ in range(20):
    b"." * 2**26
print(*sys.argv[1:], resource.getrusage(resource.RUSAGE_SELF).ru_minflt, sep="|")
"""


def run(environment: dict[str, str]) -> tuple[list[str], int]:
    """The arguments that the program saw, and how many pages the system gave it."""
    command = [sys.executable, "-c", PROGRAM, "two words", "--flag"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    *arguments, pages = done.stdout.strip().split("|")
    return arguments, int(pages)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing happens")
def test_freed_memory_is_used_again_and_the_program_starts_with_the_same_arguments():
    arguments, pages = run({name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"})
    assert arguments == ["two words", "--flag"]
    _, pages_by_default = run(os.environ | {"GLIBC_TUNABLES": ""})  # the user's own setting
    assert pages < pages_by_default / 2
