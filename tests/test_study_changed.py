"""What becomes of a study whose params.yaml is another one than when it began."""

import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline import params
from pipeline.study import experiments, run
from pipeline.system.errors import PipelineError
from tests.studies import CODE, study
from tests.test_study_plan import PARAMS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository of git with params.yaml, in which the code stays what it is."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    git = ("git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=a@b.c")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "first")):
        subprocess.run((*git, *command), check=True)
    monkeypatch.setattr(experiments, "code_now", lambda: CODE)
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "n")
        monkeypatch.setenv(f"{name}_EMAIL", "a@b.c")
    return tmp_path


def test_what_dvc_had_set_aside_when_it_was_killed_is_not_gone_on_without(folder):
    mine = yaml.safe_dump(PARAMS | {"seed": 7})
    (folder / "params.yaml").write_text(mine)
    run.ASIDE.parent.mkdir(parents=True)
    run.ASIDE.write_text(mine)
    subprocess.run(("git", "stash", "-q"), check=True)
    with pytest.raises(PipelineError, match="`git stash pop` brings them back"):
        run.run()
    subprocess.run(("git", "stash", "pop", "-q"), check=True)
    run._check_nothing_set_aside()
    assert Path("params.yaml").read_text() == mine


def test_that_is_told_too_where_dvc_alone_was_killed(folder, monkeypatch):
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS | {"images": 7}))
    monkeypatch.setattr(run, "_follow", lambda *_: subprocess.run(("git", "stash", "-q"), check=True))
    monkeypatch.setattr(run.kept, "all_known", list)
    monkeypatch.setattr(run.leftovers, "queued", list)
    monkeypatch.setattr(run.leftovers, "sweep", lambda: None)
    monkeypatch.setattr(run.experiments, "read_all", list)
    for _ in range(2):
        with pytest.raises(PipelineError, match="`git stash pop` brings them back"):
            run.run()


def test_what_is_changed_while_a_study_runs_ends_it_before_the_next_run(folder, monkeypatch):
    begun = study({"a": {"cases": ["1"], "images": [500], "settings": {"plain": {}}}}, seeds=(0, 1))
    now = [begun]
    monkeypatch.setattr(params, "load", lambda: now[0])
    monkeypatch.setattr(run.kept, "all_known", list)
    monkeypatch.setattr(run.leftovers, "queued", list)
    monkeypatch.setattr(run.leftovers, "sweep", lambda: None)
    made = []

    def make(one, code, label):
        made.append(one.name)
        now[0] = begun.model_copy(update={"images": 1, "gan": begun.gan.model_copy(update={"ema": 0.5})})

    monkeypatch.setattr(run, "_make", make)
    with pytest.raises(PipelineError, match=r"study: params.yaml was changed meanwhile; run the same command again"):
        run.run()
    assert len(made) == 1
