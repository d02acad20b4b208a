"""The whole study through DVC, as a user runs it: a copy of the project, small data, two epochs."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from tests.archives import checksum, draw, make_stl10
from tests.project import ALL, OUTPUTS, Project, small

PHOTOGRAPHS = ("-S", "case=photos", "-S", "gan.epochs=2")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The project with params that take seconds, after a run on the photographs that installed packages carry."""
    folder = tmp_path_factory.mktemp("study")
    archive = folder / "stl10.tar.gz"
    make_stl10(archive, train=30, test=20)

    params = small()
    for section in params["pretrain"].values():
        section["architecture"] = "timm/test_efficientnet"  # small, and so is the U-Net on it
    params["pretrain"]["judge"]["architecture"] = "timm/test_resnet"
    params["cases"]["larger"] = {"target": "stl10", "encoder": "photos32"}
    params["datasets"]["stl10"] = {"urls": [archive.as_uri()], "checksum": checksum(archive)}
    project = Project(folder / "project", params).warm()
    assert project.stages_run("exp", "run", "--name", "photographs", *PHOTOGRAPHS) == ALL
    yield project
    shutil.rmtree(folder)


@pytest.fixture
def on_photographs(project):
    """The project back on what was run first."""
    params = yaml.safe_load((project.folder / "params.yaml").read_text())
    if (params["case"], params["gan"]["epochs"]) != ("photos", 2):
        project.run("dvc", "exp", "run", *PHOTOGRAPHS)
    return project


def test_the_run_writes_what_the_stages_name_and_nothing_else(on_photographs):
    folder = on_photographs.folder
    written = {
        str(path.relative_to(folder)) for top in ("models", "metrics", "plots") for path in (folder / top).iterdir()
    }
    written |= {str(path.relative_to(folder)) for path in (folder / "data").iterdir()} - {"data/folder"}
    assert written == OUTPUTS
    assert on_photographs.run("git", "status", "--short", "--untracked-files=all").splitlines() == [
        *(" M params.yaml", "?? dvc.lock"),
        *(f"?? metrics/{name}.json" for name in ("encoder", "evaluate", "features", "judge")),
    ]


def test_the_unet_beats_grey_on_the_photographs_and_the_figures_are_sane(on_photographs):
    metrics = on_photographs.metrics()
    assert metrics["measured_on"]["target"] == metrics["measured_on"]["encoder"] == "photos32"
    assert metrics["measured_on"]["pictures"] >= 480
    assert metrics["unet"]["skill_low"] > 0
    assert metrics["grey"]["skill"] == 0
    assert metrics["grey"]["colourfulness"] < 0.01
    assert 0 < metrics["unet"]["colourfulness"] < 2 * metrics["real"]["colourfulness"]
    assert 0 < metrics["unet"]["judge_fd"] < metrics["grey"]["judge_fd"]
    chance = 1 / 7  # photographs
    assert metrics["real"]["judge_accuracy"] > chance


def test_the_curves_have_the_columns_that_the_plots_draw(on_photographs):
    plots = yaml.safe_load(Path("dvc.yaml").read_text())["plots"]
    for plot in (plot for plot in plots if isinstance(plot, dict)):
        (settings,) = plot.values()
        for path, columns in settings["y"].items():
            table = pd.read_csv(on_photographs.folder / path)
            assert {settings["x"], *([columns] if isinstance(columns, str) else columns)} <= set(table)
            assert len(table) == 2
            assert table.drop(columns="frechet_distance", errors="ignore").notna().all(axis=None)
    table = pd.read_csv(on_photographs.folder / "plots/gan.csv")
    assert table["frechet_distance"].isna().all()  # of so few pictures there is none


def test_nothing_to_do_runs_nothing(on_photographs):
    assert on_photographs.stages_run("repro") == set()


def test_another_case_trains_on_its_own_pictures_but_keeps_the_encoder_and_going_back_runs_nothing(on_photographs):
    first = on_photographs.metrics()
    assert on_photographs.stages_run("exp", "run", "-S", "case=larger", "--name", "larger") == ALL - {
        "pretrain@encoder"
    }
    measured_on = on_photographs.metrics()["measured_on"]
    assert {name: measured_on[name] for name in ("case", "target", "encoder", "pictures")} == {
        "case": "larger", "target": "stl10", "encoder": "photos32", "pictures": 20
    }  # fmt: skip
    compared = json.loads(on_photographs.run("dvc", "metrics", "diff", "photographs", "larger", "--json"))
    assert compared["metrics/evaluate.json"]["measured_on.pictures"]["new"] == 20
    both = json.loads(on_photographs.run("dvc", "plots", "diff", "photographs", "larger", "--json"))
    assert {"loss", "plots/grid.png"} <= set(both["data"])
    for images, stages in ((28, {"unlabelled"}), (25, {"unlabelled"}), (120, set())):
        command = "exp", "run", "-S", "case=larger", "-S", f"images={images}"
        assert on_photographs.stages_run(*command, "pretrain", "unlabelled") == stages
    series = {
        (row["rev"], row["filename"]) for plot in both["data"]["loss"] for row in plot["content"]["data"]["values"]
    }
    tables = ("unet.csv", "gan.csv")
    assert series == {(case, name) for case in ("photographs", "larger") for name in tables}
    assert on_photographs.stages_run("exp", "run", "-S", "case=photos") == set()
    assert on_photographs.metrics() == first


def test_a_change_to_the_gan_trains_the_gan_alone(on_photographs):
    assert on_photographs.stages_run("exp", "run", "-S", "gan.epochs=1") == {"train_gan", "evaluate"}


def test_a_bad_value_stops_the_run_with_one_line_and_the_run_before_is_not_lost(on_photographs):
    before = on_photographs.metrics()
    params = on_photographs.folder / "params.yaml"
    good = params.read_text()
    params.write_text(good.replace("l1_weight: ", "l1_weight: -"))
    printed = on_photographs.run("dvc", "repro", succeeds=False)
    assert "error: params.yaml: gan.l1_weight: given '-" in printed
    assert "Traceback" not in printed
    params.write_text(good)
    assert on_photographs.stages_run("repro") == set()
    assert on_photographs.metrics() == before


def test_a_case_that_reads_the_folder_depends_on_it_and_no_other_case_does(project):
    """All that was run above was run without the folder."""
    printed = project.run("dvc", "exp", "run", "-S", "case=folder", "download", succeeds=False)
    assert "error: mine: no such folder; " in printed
    assert "Traceback" not in printed

    mine = project.folder / "mine"
    mine.mkdir()
    for number, picture in enumerate(draw(80, 16, np.random.default_rng(0))[0]):
        Image.fromarray(picture).save(mine / f"{number}.png")
    (mine / os.fsdecode(b"\xe9.png")).symlink_to("nowhere")
    downloads = {"download@target", "download@encoder"}
    assert project.stages_run("repro", "download") == downloads
    Image.new("RGB", (20, 20), "red").save(mine / os.fsdecode(b"\xe9t\xe9.png"))
    assert project.stages_run("repro", "download") == downloads
    shutil.rmtree(mine)
    assert project.stages_run("exp", "run", "-S", "case=photos", "download") == set()
