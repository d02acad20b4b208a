"""A tiny study through DVC: by hand, killed, gone on with, with a run that fails, and said on a page."""

import os
import shutil
import subprocess
from typing import NamedTuple

import pandas as pd
import psutil
import pytest
import yaml

from tests import kill
from tests.project import Project
from tests.waiting import until

STUDY = ("-m", "pipeline", "study")


class Undisturbed(NamedTuple):
    """A project whose study was run once, by hand.

    project: its study has four runs: this one, another one, one that must fail, and the U-Net alone.
    durations: seconds that each stage took.
    outputs: their digests.
    """

    project: Project
    durations: dict[str, float]
    outputs: dict[str, str]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    params = kill.tiny(folder / "pictures")
    settings = {"plain": {}, "other": {"gan.l1_weight": 20}, "patches": {"gan.downsamplings": 5}}
    settings["alone"] = {"gan.epochs": 0}  # which is measured with the first
    part = {"cases": ["folder"], "images": [params["images"]], "settings": settings}
    params["study"] = {"seeds": [0], "parts": {"tiny": part}}
    project = Project(folder / "project", params).warm()
    durations = kill.undisturbed(project, "dvc", "exp", "run", "--name", "by-hand")
    yield Undisturbed(project, durations, kill.outputs(project))
    shutil.rmtree(folder)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no groups of processes to kill here")
def test_a_run_that_is_killed_ends_as_if_it_never_had_been(undisturbed, tmp_path):
    project, durations, expected = undisturbed
    killed = Project(tmp_path, yaml.safe_load((project.folder / "params.yaml").read_text())).warm()
    survived, _ = kill.survive(killed, expected, durations, kills=3, seed=1)
    assert survived == 3


def study(project, *arguments: str, succeeds: bool = True) -> str:
    """What a command of the study prints."""
    return project.run(project.python, *STUDY, *arguments, succeeds=succeeds)


def kill_in(project, run: str, stage: str) -> None:
    """Run the study, and end all of it as a power cut does, when that run has come to that stage."""
    running = subprocess.Popen(
        (project.python, *STUDY, "run"),
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    logs = project.folder / "checkpoints/study"

    def has_come() -> bool:
        assert running.poll() is None, running.stdout.read()
        return any(f"Running stage '{stage}'" in log.read_text() for log in logs.glob(f"{run}-*.log"))

    until(has_come)
    family = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
    for process in family:
        process.kill()
    running.communicate()


def test_a_study_is_run_to_its_end_whatever_happens_to_it_and_said_on_a_page(undisturbed):
    project = undisturbed.project
    lacking = study(project, "run", "--dry")
    assert "4 runs, of which 2 are measured" in lacking
    assert "tiny-folder-40-plain-seed0" not in lacking
    assert "tiny-folder-40-other-seed0: less than a minute of training" in lacking

    kill_in(project, "tiny-folder-40-other-seed0", "train_gan")
    assert "missing" in reported(project)["tiny-folder-40-other-seed0"]

    printed = study(project, "run", succeeds=False)
    assert "1/2 tiny-folder-40-other-seed0: the U-Net's skill is " in printed
    assert "2/2 tiny-folder-40-patches-seed0: failed: gan.downsamplings: given 5, allowed for pictures of 16" in printed
    assert "error: study: 1 of 2 runs failed: tiny-folder-40-patches-seed0: gan.downsamplings: given 5" in printed
    assert "Traceback" not in printed
    assert not list((project.folder / "checkpoints").glob("*.pt"))

    table = pd.read_csv(project.folder / "metrics/study.csv")  # as it was before
    assert table["status"].tolist() == ["measured", "missing", "missing", "measured"]
    found = reported(project)
    assert found["by-hand"] == "measured"
    assert found["tiny-folder-40-patches-seed0"].startswith("failed: gan.downsamplings: given 5")
    table = pd.read_csv(project.folder / "metrics/study.csv")
    assert table["status"].tolist() == ["measured", "measured", "failed", "measured"]
    first, second = table.to_dict("records")[:2]
    assert first["measured_on.sha256.unet"] == second["measured_on.sha256.unet"]
    assert first["seconds.train_unet"] == second["seconds.train_unet"]  # trained once, for both
    assert first["measured_on.sha256.gan"] != second["measured_on.sha256.gan"]
    assert second["changed"] == "gan.l1_weight: 20.0"
    kept = list((project.folder / "metrics/study").iterdir())
    assert len(kept) == 2  # the one by hand, too
    for reference in project.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").splitlines():
        if "celery" not in reference:
            project.run("git", "update-ref", "-d", reference)
    assert "4 runs, of which 3 are measured" in study(project, "run", "--dry")
    assert reported(project) == found
    assert pd.read_csv(project.folder / "metrics/study.csv").equals(table)
    assert "3 of the 4 runs of the study are measured" in (project.folder / "study.html").read_text()

    project.run("dvc", "exp", "run", "--queue", "--name", "waits", "-S", "gan.l1_weight=30")
    params = yaml.safe_load((project.folder / "params.yaml").read_text())
    params["study"]["parts"]["tiny"]["settings"] = {"plain": {}, "queued": {"gan.l1_weight": 30}}
    (project.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert "2 runs, of which 1 are measured\n1 wait in DVC's queue" in study(project, "run")
    assert reported(project)["tiny-folder-40-queued-seed0"] == "queued: in DVC's queue, as waits"


def reported(project) -> dict[str, str]:
    """What the report says of each run."""
    study(project, "report")
    table = pd.read_csv(project.folder / "metrics/study.csv", keep_default_na=False)
    return {row["run"]: ": ".join(filter(None, (row["status"], row["note"]))) for row in table.to_dict("records")}
