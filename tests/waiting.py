"""Waiting for what another thread or process does, and not for ever."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 300  # seconds; far more than anything takes on a busy machine


def until(done: Callable[[], Any]) -> Any:
    """Wait until something is true, and return it."""
    end = time.monotonic() + PATIENCE
    while not (found := done()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)
    return found
