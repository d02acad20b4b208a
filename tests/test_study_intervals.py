"""Intervals over seeds and pictures."""

import numpy as np
import pytest

from pipeline.study import intervals
from pipeline.study.intervals import Figure


def runs(values, spread=0.0, seed=0):
    """A figure by seed, with what the pictures do to it, the same to all."""
    noise = np.random.default_rng(seed).normal(0, spread, intervals.DRAWS) if spread else np.zeros(intervals.DRAWS)
    return {number: Figure(value, value + noise) for number, value in enumerate(values)}


def test_one_seed_has_the_interval_of_its_pictures():
    found = intervals.mean({0: intervals.from_interval(0.2, 0.19, 0.21, "a run")})
    assert found[:3] == pytest.approx((0.2, 0.19, 0.21), abs=0.001)
    assert found.seeds == 1


def test_several_seeds_have_the_interval_of_students_t():
    found = intervals.mean(runs([0.1, 0.2, 0.3]))
    half = 4.303 * 0.1 / np.sqrt(3)  # the table of Student's t, 2 degrees of freedom, 95 %
    assert found.value == pytest.approx(0.2)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.15)


def test_an_interval_holds_the_truth_nineteen_times_of_twenty_or_more_with_but_three_seeds():
    draw = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        of_pictures = draw.normal(0, 0.5)  # the same pictures for all seeds
        values = draw.normal(0, 1, 3) + of_pictures
        found = intervals.mean(runs(values, 0.5, trial))
        held += found.low < 0 < found.high
    assert held / 200 > 0.93


def test_what_pictures_do_to_both_is_no_difference():
    first, second = runs([0.21, 0.22, 0.215], 0.1), runs([0.2, 0.21, 0.205], 0.1)
    assert intervals.mean(first).sign == intervals.mean(second).sign == 1
    found = intervals.mean(intervals.less(first, second))
    assert found[:3] == pytest.approx((0.01, 0.01, 0.01))


def test_a_difference_is_taken_over_the_seeds_that_both_have():
    first, second = runs([1, 2, 3]), {1: runs([0.5])[0], 7: runs([9])[0]}
    assert intervals.mean(intervals.less(first, second))[:] == pytest.approx((1.5, 1.5, 1.5, 1, 0))
    assert intervals.mean(intervals.less(first, {9: runs([1])[0]})) is None


def test_one_seed_may_be_off_by_as_much_as_others_of_its_kind():
    usual = intervals.pooled([[runs([0.1, 0.2, 0.3]), runs([7.1, 7.2, 7.3])], [runs([5.1, 5.2, 5.3]), runs([9])]])
    assert usual == pytest.approx((0.1, 4))  # those of one set count as one
    found = intervals.mean(runs([0.2]), usual)
    half = 4.303 * 0.1  # the table of Student's t, 2 degrees of freedom, as of three seeds, 95 %
    assert found[:3] == pytest.approx((0.2, 0.2 - half, 0.2 + half), rel=0.02)
    two = intervals.mean(runs([0.2, 0.2]), usual)  # which happen to be alike
    assert two[:3] == pytest.approx((0.2, 0.2 - half / 2**0.5, 0.2 + half / 2**0.5), abs=0.002)
    assert (two.seeds, two.freedom, intervals.mean(runs([0.2])).freedom) == (2, 2, 0)
    three = intervals.mean(runs([0.1, 0.2, 0.3]), usual)  # another one as much apart makes it no less sure
    assert three == intervals.mean(runs([0.1, 0.2, 0.3]))
    assert found.high - found.low > two.high - two.low > three.high - three.low
    assert intervals.pooled([[runs([1]), runs([2])]]) is None


def test_of_one_seed_the_truth_is_held_nineteen_times_of_twenty_also_where_it_changes_more_than_others():
    draw = np.random.default_rng(0)
    held = 0
    for trial in range(300):
        others = [[runs(draw.normal(0, 1, 3), 0.2, trial)] for _ in range(5)]
        own = draw.normal(0, 1.8, 1) + draw.normal(0, 0.2)
        found = intervals.mean(runs(own, 0.2, trial), intervals.pooled(others))
        held += found.low < 0 < found.high
    assert 0.93 < held / 300 < 0.99


def test_where_an_interval_ends_does_not_hang_on_a_name():
    ends = [intervals.mean({0: intervals.from_interval(0.2, 0.1, 0.3, name)})[:3] for name in range(20)]
    assert np.ptp(ends, axis=0) == pytest.approx((0, 0, 0), abs=1e-9)
    assert ends[0] == pytest.approx((0.2, 0.1, 0.3), abs=0.001)


def test_an_interval_is_the_same_each_time():
    figure = intervals.from_interval(0.2, 0.1, 0.3, "cell")
    assert np.array_equal(figure.draws, intervals.from_interval(0.2, 0.1, 0.3, "cell").draws)
    assert not np.array_equal(figure.draws, intervals.from_interval(0.2, 0.1, 0.3, "another").draws)
    assert intervals.mean({0: figure}) == intervals.mean({0: figure})


def test_pictures_are_drawn_alike_for_all_runs_on_the_same_data():
    drawn = np.concatenate([*intervals.counts(50, "data")])
    assert drawn.shape == (intervals.DRAWS, 50)
    assert (drawn.sum(axis=1) == 50).all()
    assert np.array_equal(drawn, np.concatenate([*intervals.counts(50, "data")]))
    assert not np.array_equal(drawn, np.concatenate([*intervals.counts(50, "other data")]))
