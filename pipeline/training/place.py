"""Which process this is of several. Here alone, that it can be known before anything else is imported."""

from typing import NamedTuple


class Place(NamedTuple):
    """Of a process, among those that work on one thing together."""

    rank: int  # from 0
    count: int  # of all of them
    local: int  # its rank among those on the same machine
