"""Which process this is of several. Here alone, that it can be known before anything else is imported."""

from typing import NamedTuple


class Place(NamedTuple):
    """Of a process, among those that work on one thing together."""

    rank: int  # from 0
    count: int  # type: ignore[assignment]  # of all of them; in a tuple, the name of a method
    local: int  # its rank among those on the same machine
