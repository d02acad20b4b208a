"""What tests need that not every system has; who needs what is missing is skipped, and says so."""

import inspect
import os
import re
import socket
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any


def links() -> bool:
    """Whether this user may make symbolic links, which takes a right on Windows."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            Path(folder, "link").symlink_to("nowhere")
        except OSError:
            return False
    return True


def names_of_any_bytes() -> bool:
    """Whether a file may have a name that is no UTF-8, which macOS and Windows refuse."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            Path(folder, os.fsdecode(b"\xff")).touch()
        except (OSError, UnicodeError):
            return False
    return os.name == "posix"


def names_in_two_cases() -> bool:
    """Whether a and A are two files, which they are not on most disks of macOS and Windows."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a").touch()
        return not Path(folder, "A").exists()


def further_addresses() -> bool:
    """Whether this computer has other addresses of its own than 127.0.0.1, which macOS does not."""
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.2", 0))
        except OSError:
            return False
    return True


POSIX = os.name == "posix"
NEEDS = [  # what a test speaks of, whether it is there, and what is missing if it is not
    (r"symlink_to", links(), "links"),
    (r"fsdecode|\\xff\b.*\* 255", names_of_any_bytes(), "names that are no UTF-8"),
    (r"127\.0\.0\.[2-9]", further_addresses(), "further addresses"),
    (r"names_are_told_apart", names_in_two_cases(), "a disk that tells a from A"),
    (r"mkfifo|AF_UNIX|/dev/|shell\(|PATH=|file_system_takes", POSIX, "POSIX's files, names and shell"),
    (r"somebody\(|reachable|\blocked\b|chmod\(|umask|st_mode|nobody_else", POSIX, "POSIX's rights"),
    (r"SIG[A-Z]+|os\.kill\b|send_signal|\bending\b|ctrl_c|a_signal|nobody_reads", POSIX, "POSIX's signals, pipes"),
    (r"full_disk\(|resource\.|fcntl", POSIX, "POSIX's limits and locks"),
    (r"pwd|UNKNOWN", POSIX, "POSIX's users"),
    (r"/proc/", sys.platform == "linux", "Linux's files about processes"),
]


@cache
def missing(test: Any) -> str | None:
    """What a test needs that is not here, in words; None if all is."""
    said = inspect.getsource(test)
    return next((f"no {what} here" for pattern, there, what in NEEDS if not there and re.search(pattern, said)), None)
