"""What is kept of measured runs: enough for the same figures where there is no experiment and no cache."""

import hashlib
import json
from dataclasses import replace
from functools import partial
from pathlib import PureWindowsPath

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.study import cache, claims, estimate, experiments, kept, plan, records
from pipeline.study.cells import Table
from pipeline.study.run import finished
from tests.studies import CODE, figures, part, study

BASE = study({"a": part(("1", "none"), (500,))}, seeds=[0, 1])


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Experiments as git and DVC's cache would have them; the folder of kept runs is another one."""
    monkeypatch.setattr(cache, "_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "kept")
    in_git: dict[str, bytes] = {}
    monkeypatch.setattr(experiments, "git", lambda show, name: in_git[name])
    draw, found = np.random.default_rng(0), []
    for run in plan.runs(BASE):
        l1 = draw.uniform(0.04, 0.12, 10_000).astype(np.float32)
        noted = tmp_path / "noted.npz"
        names = ("grey.l1", "unet.l1", "gan.l1", "unet.psnr", "gan.colourfulness")
        np.savez_compressed(noted, **{name: l1 * draw.uniform(0.9, 1, 10_000).astype(np.float32) for name in names})
        outputs = {
            "plots/pictures.npz": noted.read_bytes(),
            "plots/unet.csv": b"epoch,validation_skill\n1,0.08\n",
            "plots/unet_seconds.csv": b"epoch,seconds\n1,60\n",
            "metrics/evaluate.json": json.dumps(figures(0.2 + 0.01 * run.params.seed)).encode(),
        }
        for content in outputs.values():
            path = tmp_path / "cache" / md5(content)[:2] / md5(content)[2:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        outs = [{"path": path, "md5": md5(content)} for path, content in outputs.items()]
        stage = {"deps": [{"path": "pipeline/evaluate.py", "md5": "0"}], "outs": outs}
        commit = hashlib.sha1(run.key.encode()).hexdigest()
        whole = {
            "params.yaml": yaml.safe_dump(run.params.model_dump(mode="json")).encode(),
            "dvc.lock": yaml.safe_dump({"stages": {"evaluate": stage}}).encode(),
            "metrics/evaluate.json": outputs["metrics/evaluate.json"],
        }
        in_git |= {f"{commit}:{path}": content for path, content in whole.items()}
        file = partial(lambda whole, path: whole[path], whole)
        one = experiments.read(run.name, commit, "b" * 40, "2026-01-02T03:04:05+00:00", file)
        assert one.problem is None
        found.append(one)
    return found


def keep(made) -> None:
    for one in made:
        kept.write(one)


def tables(found) -> list[str]:
    """The content of both tables."""
    gathered = records.gather(plan.runs(BASE), found, CODE, {})
    said = claims.all_claims(Table(gathered))
    rows = pd.DataFrame([row for claim in said for row in claim.rows()])
    assert not rows.empty
    return [records.table(gathered, BASE).to_csv(), rows.to_csv()]


def test_kept_runs_alone_give_the_same_tables_as_the_experiments(made, tmp_path):
    keep(made)
    expected = tables(made)
    (tmp_path / "cache").rename(tmp_path / "gone")
    alone = kept.merged([], kept.read_all())
    assert tables(alone) == expected
    assert estimate.seconds(alone[0]) == {"evaluate": 60}


def test_a_kept_run_is_small(made):
    keep(made[:1])
    (folder,) = kept.FOLDER.iterdir()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 100_000


def test_of_a_unet_that_counts_the_run_with_a_gan_is_kept_that_it_is_part_of(made):
    keep([experiments.unet_alone(made[0])])
    (again,) = kept.read_all()
    assert again.params == made[0].params
    assert "gan" in again.figures


def test_files_have_the_names_that_git_and_dvc_give_them_on_windows_too(made, monkeypatch):
    (first,) = experiments.on_newest_data(made[:1])
    monkeypatch.setattr(experiments, "FIGURES", PureWindowsPath(experiments.FIGURES))
    content = {path: experiments.git("show", f"{first.commit}:{path}") for path in kept.READ}
    assert experiments.read("again", first.commit, "b" * 40, first.when, content.__getitem__).problem is None


def test_a_study_that_is_kept_in_part_goes_on_with_the_rest(made):
    keep(made[:2])
    measured = finished(kept.merged([], kept.read_all()), CODE)
    assert [run.key in measured for run in plan.runs(BASE)] == [True, True, False, False]


def test_what_was_measured_with_other_code_is_made_again_unless_it_is_to_count(made):
    keep(made[:2])
    changed = dict.fromkeys(CODE, "changed since")
    assert not finished(kept.read_all(), changed)
    assert finished(kept.read_all(), changed, any_code=True).keys() == finished(kept.read_all(), CODE).keys()


def test_of_two_runs_that_count_that_of_this_code_does(made):
    other = replace(made[0], stages={"evaluate": made[0].stages["evaluate"] | {"deps": []}}, name="other")
    for found in ([made[0], other], [other, made[0]]):
        assert [one.name for one in finished(found, CODE, any_code=True).values()] == [made[0].name]


def test_what_was_trained_with_other_code_says_how_long_it_takes_but_is_trained_again(made, monkeypatch):
    monkeypatch.setattr(estimate, "tasks", lambda whole, like: [estimate.Task("evaluate", "evaluate 1", "cifar10", 2)])
    again, there = (estimate.Clock(made, code).seconds(made[0].params) for code in ({}, CODE))
    assert (again, there) == (60, 0)


def test_a_run_that_is_there_twice_counts_once_and_the_experiment_wins_while_the_cache_has_its_pictures(made, tmp_path):
    keep(made)
    assert kept.merged(made, kept.read_all()) == made
    (tmp_path / "cache").rename(tmp_path / "gone")
    assert all(one.folder for one in kept.merged(made, kept.read_all()))
    before = kept_files()
    kept.write(made[0])
    assert kept_files() == before  # nothing takes the place of what is kept


def kept_files():
    return {path: path.stat().st_mtime_ns for path in kept.FOLDER.rglob("*")}


def test_what_is_kept_already_is_written_again_only_where_it_was_damaged(made):
    keep(made)
    before = kept_files()
    keep(made)
    assert kept_files() == before
    (kept.FOLDER / plan.key(made[0].params) / "run.json").write_bytes(b"{")
    keep(made)
    assert {path.parent.name for path, when in kept_files().items() if before[path] != when and path.is_file()} == {
        plan.key(made[0].params)
    }


def test_all_runs_are_in_the_order_in_which_they_ended(made):
    keep(made[:2])
    ends = "2026-01-02T03:00:00+00:00", "2026-01-02T03:00:00-05:00"
    before, after = (replace(one, when=when) for one, when in zip(made[2:], ends, strict=True))
    assert [one.when for one in kept.merged([after, before], kept.read_all())] == [
        before.when, made[0].when, made[1].when, after.when
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["run.json", "pictures.npz", "evaluate.json", "lock.yaml", "params.yaml"])
@pytest.mark.parametrize("content", [None, b"", b"\xff{", b"[]", b"{}"])
def test_a_kept_run_that_is_broken_is_named_in_a_line_and_counts_as_not_measured(
    made, monkeypatch, capsys, name, content
):
    keep(made[:1])
    path = kept.FOLDER / plan.key(made[0].params) / name
    path.unlink() if content is None else path.write_bytes(content)
    monkeypatch.setattr(experiments, "read_all", list)
    assert finished(kept.all_known(), CODE) == {}
    (line,) = capsys.readouterr().out.splitlines()
    assert name in line
    assert line.endswith("it counts as not measured")


def test_a_kept_run_is_what_its_parameters_say_whatever_its_folder_is_called(made):
    keep(made[:1])
    (folder,) = kept.FOLDER.iterdir()
    folder.rename(kept.FOLDER / plan.key(made[1].params))
    (one,) = kept.read_all()
    assert one.params == made[0].params
    assert list(finished([one], CODE)) == [plan.key(made[0].params)]


@pytest.mark.parametrize(("case", "epochs"), [("1", 6), ("none", 0), ("cifar10-imagenet", 0), ("2", 6)])
def test_pretraining_takes_time_only_where_an_encoder_is_trained(case, epochs):
    like = {"pretrain@encoder": {"params": {"params.yaml": {"pretrain.encoder": 0}}}}
    encoder = BASE.pretrain.encoder.model_dump(mode="json") | {"epochs": 6}
    base = study({"a": part()}, case=case, pretrain=BASE.pretrain.model_dump(mode="json") | {"encoder": encoder})
    assert [task.work for task in estimate.tasks(base, like)] == [epochs]


def test_work_counts_the_epochs_for_the_pictures_side():
    like = {"train_unet": {"params": {"params.yaml": {"unet": 0, "images": 0}}}}
    base = study({"a": part()}, unet=BASE.unet.model_dump(mode="json") | {"epochs": {32: 9, 96: 3}})
    (task,) = estimate.tasks(base, like)
    assert task.work == 9 * base.images
