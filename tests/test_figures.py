"""Figures are small and lie in git: what DVC says of them where nothing was run. No stage is run here."""

import json
from pathlib import Path

import pytest
import yaml

from tests.project import Project

CURVES = "epoch,frechet_distance,adversarial,discriminator_real,discriminator_fake,validation_l1\n"


@pytest.fixture
def fresh(tmp_path):
    """A fresh clone of a project whose figures are in git."""
    project = Project(tmp_path / "project", yaml.safe_load(Path("params.yaml").read_text()))
    (project.folder / "metrics").mkdir()
    for name in ("encoder", "features", "judge"):
        (project.folder / f"metrics/{name}.json").write_text('{"data": "cifar10", "accuracy": 0.5}')
    (project.folder / "metrics/evaluate.json").write_text('{"gan": {"l1": 0.5}}')
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", "Figures")
    project.run("git", "clone", "--quiet", ".", str(tmp_path / "fresh"))
    project.folder = tmp_path / "fresh"
    return project


def test_figures_in_git_can_be_shown_and_compared_in_a_fresh_clone(fresh):
    shown = json.loads(fresh.run("dvc", "metrics", "show", "--json"))
    found = {path: content["data"] for path, content in shown[""]["data"].items()}
    assert found["metrics/evaluate.json"] == {"gan": {"l1": 0.5}}
    assert len(found) == 4
    assert fresh.run("dvc", "metrics", "diff", "--json").strip() == "{}"
    (fresh.folder / "metrics/evaluate.json").write_text('{"gan": {"l1": 0.75}}')
    compared = json.loads(fresh.run("dvc", "metrics", "diff", "--json"))
    assert compared == {"metrics/evaluate.json": {"gan.l1": {"old": 0.5, "new": 0.75, "diff": 0.25}}}
    assert fresh.run("git", "status", "--short") == " M metrics/evaluate.json\n"


@pytest.mark.parametrize("verdict", ["0.7", ""])  # without an adversary there is none
@pytest.mark.parametrize("distances", [("", ""), ("", "0.3")])
def test_curves_with_empty_cells_are_drawn(fresh, distances, verdict):
    plots = fresh.folder / "plots"
    plots.mkdir(exist_ok=True)
    rows = [
        f"{epoch},{distance},{verdict},{verdict},{verdict},0.1\n" for epoch, distance in enumerate(distances, start=1)
    ]
    (plots / "gan.csv").write_text(CURVES + "".join(rows))
    drawn = json.loads(fresh.run("dvc", "plots", "show", "--json", "frechet_distance", "gan_parts").splitlines()[-1])
    for name in ("frechet_distance", "gan_parts"):
        values = drawn["data"][name][0]["content"]["data"]["values"]
        assert [row["frechet_distance"] for row in values if row["epoch"] in ("1", "2")][:2] == list(distances)
