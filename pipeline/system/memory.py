"""Memory that a process keeps; docs/decisions.md says how much sooner training ends for it."""

import os
import signal
import sys

TUNABLES = {
    "mmap_max": 0,  # no tensor in pages of its own, which would go back to the system with it,
    "trim_threshold": 2**40,  # nor does the heap ever give any back
    "top_pad": 2**26,  # the heap grows in steps of so many bytes,
    "hugetlb": 1,  # in huge pages, where the system's setting is `madvise`
}


def keep() -> None:
    """Start this program anew, as a process that uses freed memory again instead of giving it back.

    Training takes and frees the same large tensors step after step. By default glibc has the system map each of them
    anew, which then hands it over zeroed, a page of 4 kB at each first touch: 50,000 times a step. Memory that is kept
    is in place already; in pages of 2 MB the processor also finds it faster. What is computed stays the same.

    Only glibc knows these settings, and reads them when a process starts (its manual, 'Memory Allocation Tunables').
    If GLIBC_TUNABLES is set, by the user or because this is the new start, it is left alone.
    """
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        settings = ":".join(f"glibc.malloc.{name}={value}" for name, value in TUNABLES.items())
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C waits until the new start heeds it
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {"GLIBC_TUNABLES": settings})
