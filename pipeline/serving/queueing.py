"""Whose photograph is painted next: that of the visitor who has had the least time of those who wait."""

import asyncio
import ipaddress
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from pipeline.serving.refusals import Refusal


@dataclass(eq=False)
class _Waiting:
    address: str
    visitor: str
    called: asyncio.Event = field(default_factory=asyncio.Event)
    refusal: str | None = None


class FairQueue:
    """One photograph at a time. Whoever sends many, or slow ones, lets others go first, and waits for himself.

    Args:
        most: of those who wait.
    """

    def __init__(self, most: int):
        self._most = most
        self._waiting: list[_Waiting] = []
        self._painting: _Waiting | None = None
        self._taken: defaultdict[str, float] = defaultdict(float)  # seconds, by address
        self._least = 0.0  # of the address that was called last; a new one is given no more of an advance

    @asynccontextmanager
    async def turn(self, host: str, visitor: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it.

        Args:
            host: the address of a visitor, among whose photographs the first comes first.
            visitor: one of those there; see `leave`.

        Raises:
            Refusal: too many wait, and this address has most of them; or the visitor has left.
        """
        waiting = _Waiting(address(host), visitor)
        self._taken[waiting.address] = max(self._taken[waiting.address], self._least)
        self._waiting.append(waiting)
        self._call()
        if len(self._waiting) > self._most:
            asked = Counter(each.address for each in self._waiting)
            last = max(reversed(self._waiting), key=lambda each: asked[each.address])
            self._send_away(last, "too many photographs wait just now; come back in a few minutes")
        began = float("inf")
        try:
            await waiting.called.wait()
            if waiting.refusal:
                raise Refusal(429, waiting.refusal)
            began = time.monotonic()
            yield
        finally:
            self._taken[waiting.address] += max(0, time.monotonic() - began)
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            if self._painting is waiting:
                self._painting = None
                self._call()

    def leave(self, visitor: str) -> None:
        """This visitor no longer waits."""
        for waiting in [waiting for waiting in self._waiting if waiting.visitor == visitor]:
            self._send_away(waiting, "nobody waits for it any longer; ask again")

    def _call(self) -> None:
        if self._painting is None and self._waiting:
            self._painting = min(self._waiting, key=lambda waiting: self._taken[waiting.address])
            self._least = self._taken[self._painting.address]
            self._waiting.remove(self._painting)
            self._painting.called.set()
        elif self._painting is None:
            self._taken.clear()
            self._least = 0.0

    def _send_away(self, waiting: _Waiting, refusal: str) -> None:
        self._waiting.remove(waiting)
        waiting.refusal = refusal
        waiting.called.set()


@lru_cache(maxsize=4096)
def address(host: str) -> str:
    """What belongs to one visitor: an address of IPv4, or a network of IPv6, of whose addresses each has plenty."""
    try:
        number = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if number.version == 4:
        return str(number)
    return str(number.ipv4_mapped or ipaddress.ip_network((number, 64), strict=False))
