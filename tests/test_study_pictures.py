"""Intervals from what evaluate noted of each picture."""

import numpy as np
import pytest

from pipeline.study import cache, intervals, plan, records
from pipeline.study.cells import Table
from pipeline.study.pictures import NOTED, Pictures
from tests.studies import CODE, experiment, figures, part, study

N = 400


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Runs with and without an encoder, of which each picture is known: hard pictures are hard for both."""
    monkeypatch.setattr(cache, "_folder", lambda: tmp_path)
    (tmp_path / "aa").mkdir()
    draw = np.random.default_rng(0)
    hard = draw.uniform(0.5, 1.5, N).astype(np.float32)
    found = []
    for run in plan.runs(study({"a": part(("1", "none"), (500,))}, seeds=[0])):
        l1 = (0.08 if run.params.roles().encoder == "none" else 0.079) * hard
        noted = {"grey.l1": 0.1 * np.ones(N), "unet.l1": l1, "gan.l1": l1 + 0.01}
        noted |= {f"{who}.colourfulness": value * hard for who, value in {"real": 30, "unet": 13, "gan": 28}.items()}
        digest = f"aa{len(found)}"
        with (tmp_path / "aa" / digest[2:]).open("wb") as file:
            np.savez_compressed(file, **noted)
        skill = 1 - l1.mean() / 0.1
        found.append(experiment(run, figures(float(skill)), {NOTED: digest, "data/target": "pictures"}))
    return found


def test_a_mean_has_the_interval_of_its_pictures(made):
    drawn = Pictures(made[0]).draws("unet", "l1")
    values = np.load(cache.path(made[0], NOTED))["unet.l1"]
    assert drawn.mean() == pytest.approx(values.mean(), rel=1e-3)
    assert drawn.std() == pytest.approx(values.std() / np.sqrt(N), rel=0.1)


def test_skill_and_differences_are_those_of_each_draw(made):
    pictures = Pictures(made[0])
    own, grey = pictures.draws("unet", "l1"), pictures.draws("grey", "l1")
    assert pictures.draws("unet", "skill") == pytest.approx(1 - own / grey)
    assert pictures.draws("gan_minus_unet", "l1") == pytest.approx(np.full(intervals.DRAWS, 0.01), abs=1e-5)


def test_what_is_no_mean_over_pictures_or_was_not_noted_is_not_known(made):
    for who, metric in (
        ("unet", "judge_fd"),
        ("gan", "colourfulness"),
        ("unet_gain", "skill"),
        ("gan_minus_unet_gain", "l1"),
    ):
        assert Pictures(made[0]).draws(who, metric) is None
    (run,) = plan.runs(study({"a": part(("1",), (7,))}, seeds=[0]))
    assert Pictures(experiment(run, figures(0.2))).draws("unet", "l1") is None


def test_what_is_compared_is_compared_on_the_same_pictures(made):
    planned = plan.runs(study({"a": part(("1", "none"), (500,))}, seeds=[0]))
    table = Table(records.gather(planned, made, CODE, {}))
    first, second = table.runs
    apart = table.difference(first, second, "unet", "skill")
    assert apart.value == pytest.approx(0.01, rel=0.05)
    assert apart.high - apart.low < 0.001  # each one's own interval is 40 times as wide
    own = table.mean(first, "unet", "skill")
    assert own.high - own.low > 0.02
