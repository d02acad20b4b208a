import os

import pytest

if not hasattr(os, "killpg"):
    pytest.skip("no groups of processes to kill here", allow_module_level=True)

from tests.kill import survive


def test_the_study_is_killed_and_ends_as_if_it_never_had_been(tmp_path):
    survived, _ = survive(tmp_path, kills=3, seed=1)
    assert survived == 3
