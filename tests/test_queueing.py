import asyncio
from itertools import count

import pytest

from pipeline.serving import queueing
from pipeline.serving.queueing import FairQueue
from pipeline.system.errors import PipelineError


@pytest.fixture
def clock(monkeypatch):
    """Each look at it is a second later."""
    seconds = count()
    monkeypatch.setattr(queueing.time, "monotonic", lambda: next(seconds))


async def served(asked, most=99, leaves=()):
    """The order in which photographs are painted, and who is refused; all of them wait before the first is done."""
    order, refused, opened = [], [], asyncio.Event()
    taking = FairQueue(most)

    async def ask(host, visitor):
        try:
            async with taking.turn(host, visitor):
                await opened.wait()
                order.append(visitor)
        except PipelineError as error:
            refused.append((visitor, str(error)))

    tasks = []
    for host, visitor in asked:
        tasks.append(asyncio.create_task(ask(host, visitor)))
        await asyncio.sleep(0)
    for visitor in leaves:
        taking.leave(visitor)
    opened.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    assert not taking._waiting
    assert taking._painting is None
    assert not taking._taken  # nothing is remembered of those who are gone
    return order, refused


def test_nobody_waits_for_all_that_another_sent(clock):
    asked = [("10.0.0.1", f"many {number}") for number in range(20)] + [("10.0.0.2", "one"), ("10.0.0.3", "another")]
    order, refused = asyncio.run(served(asked))
    assert order[:3] == ["many 0", "one", "another"]
    assert order[3:] == [f"many {number}" for number in range(1, 20)]
    assert refused == []


def test_who_took_long_lets_others_go_first(monkeypatch):
    now = 0.0
    monkeypatch.setattr(queueing.time, "monotonic", lambda: now)

    async def ask(taking, host, seconds, order, begin):
        nonlocal now
        async with taking.turn(host, host):
            await begin.wait()
            now += seconds
            order.append(host)

    async def run():
        order, taking, begin = [], FairQueue(99), asyncio.Event()
        asked = [("slow", 30)] * 3 + [("quick", 1)] * 10
        tasks = [asyncio.create_task(ask(taking, host, seconds, order, begin)) for host, seconds in asked]
        await asyncio.sleep(0)
        begin.set()
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(run()) == ["slow", *["quick"] * 10, "slow", "slow"]


def test_who_comes_late_has_no_advance_for_the_time_before(clock):
    async def run():
        taking, order = FairQueue(99), []

        async def ask(host):
            async with taking.turn(host, host):
                order.append(host)
                if len(order) == 10:  # after ten of one, another comes with many
                    tasks.extend(asyncio.create_task(ask("late")) for _ in range(5))
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(ask("early")) for _ in range(15)]
        while tasks:
            await tasks.pop(0)
        return order[10:]

    assert "early" in asyncio.run(run())[:3]


def test_where_too_many_wait_the_last_of_those_who_sent_most_is_sent_away():
    asked = [("10.0.0.1", f"many {number}") for number in range(5)] + [("10.0.0.2", "one"), ("10.0.0.3", "another")]
    order, refused = asyncio.run(served(asked, most=4))
    assert {visitor for visitor, _ in refused} == {"many 4", "many 3"}
    assert all("come back in a few minutes" in said for _, said in refused)
    assert {"one", "another"} <= set(order)


def test_where_each_has_one_the_last_is_sent_away():
    asked = [(f"10.0.0.{number}", number) for number in range(6)]
    order, refused = asyncio.run(served(asked, most=4))
    assert (order, [visitor for visitor, _ in refused]) == ([0, 1, 2, 3, 4], [5])


def test_who_left_is_not_waited_for():
    asked = [("10.0.0.1", "first"), ("10.0.0.1", "gone"), ("10.0.0.1", "last")]
    order, refused = asyncio.run(served(asked, leaves=["gone", "never came"]))
    assert (order, [visitor for visitor, _ in refused]) == (["first", "last"], ["gone"])


@pytest.mark.parametrize("cancelled", ["painted", "waiting", "called"])
def test_a_turn_that_is_cancelled_is_the_next_one_s(cancelled):
    async def run():
        taking, order, hold = FairQueue(99), [], asyncio.Event()

        async def ask(name):
            async with taking.turn(name, name):
                order.append(name)
                await hold.wait()

        tasks = {}
        for name in ("painted", "waiting", "called", "last"):
            tasks[name] = asyncio.create_task(ask(name))
            await asyncio.sleep(0)
        if cancelled == "called":
            tasks["painted"].cancel()
            tasks["waiting"].cancel()
        tasks[cancelled].cancel()
        hold.set()
        await asyncio.wait_for(asyncio.gather(*tasks.values(), return_exceptions=True), 60)
        return order

    assert asyncio.run(run())[-1] == "last"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("a name", "another", False),
    ],
)
def test_which_addresses_are_one_visitor_s(one, other, same):
    assert (queueing.address(one) == queueing.address(other)) is same
