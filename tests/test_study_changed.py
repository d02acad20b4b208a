"""What becomes of a study whose params.yaml is another one than when it began."""

import subprocess
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from pipeline import params
from pipeline.study import experiments, plan, run
from pipeline.system.errors import PipelineError
from tests.studies import CODE, part, study
from tests.test_study_plan import PARAMS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository of git with params.yaml, in which the code stays what it is, and nothing has run."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    git = ("git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=a@b.c")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "first")):
        subprocess.run((*git, *command), check=True)
    monkeypatch.setattr(experiments, "code_now", lambda: CODE)
    monkeypatch.setattr(run.kept, "all_known", list)
    monkeypatch.setattr(run.leftovers, "queued", list)
    monkeypatch.setattr(run.leftovers, "sweep", lambda: None)
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "n")
        monkeypatch.setenv(f"{name}_EMAIL", "a@b.c")
    return tmp_path


@pytest.fixture
def killed(folder, monkeypatch):
    """A function that runs a study, in which DVC is killed when it has come to where the given commands bring git."""

    def study_in_which(*commands, ends_with=KeyboardInterrupt, we_too=True):
        def follow(*_):
            for command in commands:
                subprocess.run(command, shell=True, check=True)
            if we_too:
                raise KeyboardInterrupt

        monkeypatch.setattr(run, "_follow", follow)
        with pytest.raises(ends_with) as ended:
            run.run()
        return str(ended.value)

    return study_in_which


def git(*arguments):
    return subprocess.run(("git", *arguments), check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("we_too", [True, False])
def test_what_dvc_had_set_aside_when_it_was_killed_is_not_gone_on_without(killed, we_too):
    mine = yaml.safe_dump(PARAMS | {"images": 7})
    Path("params.yaml").write_text(mine)
    for _ in range(2):
        assert "`git stash pop` brings them back" in killed("git stash -q", ends_with=PipelineError, we_too=we_too)
    git("stash", "pop", "-q")
    killed()
    assert Path("params.yaml").read_text() == mine


def test_nor_without_code_that_it_had_set_aside(killed, folder):
    for text in ("first", "mine"):
        (folder / "code.py").write_text(text)
        git("add", "code.py")
        if text == "first":
            git("commit", "-qm", "code")
    killed("git stash -q", ends_with=PipelineError)
    git("stash", "pop", "-q")
    killed()
    assert (folder / "code.py").read_text() == "mine"


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("we_too", [True, False])
@pytest.mark.parametrize("written", [True, False])
def test_the_values_of_a_run_in_which_dvc_was_killed_are_not_gone_on_with(
    killed, committed, we_too, written, monkeypatch
):
    Path("params.yaml").write_text("# mine\n" + yaml.safe_dump(PARAMS | {"images": 7}))
    if committed:
        git("commit", "-qam", "second")
    before, branch = Path("params.yaml").read_bytes(), git("symbolic-ref", "HEAD")
    values = plan.runs(params.load())[0].params.model_dump(mode="json")
    theirs = f"cat > params.yaml <<'END'\n{yaml.safe_dump(values) if written else ''}END"
    with monkeypatch.context() as death:
        if we_too:
            death.setattr(run, "put_back", lambda: None)
        killed("git checkout -q --detach", theirs, "git add params.yaml")
    if we_too:
        assert Path("params.yaml").read_bytes() != before
        run.show()
    assert Path("params.yaml").read_bytes() == before
    assert git("symbolic-ref", "HEAD") == branch
    assert git("status", "--short", "--untracked-files=no") == ("" if committed else " M params.yaml\n")


@pytest.mark.parametrize("note", [b"{", b"{}", b"[]", b"\xff"])
def test_a_note_that_is_broken_is_told_in_a_line(folder, note):
    run.BEFORE.parent.mkdir(parents=True)
    run.BEFORE.write_bytes(note)
    with pytest.raises(PipelineError, match=r"before\.json is broken; see that git is on your branch"):
        run.show()


def test_what_was_edited_while_a_study_ran_stays_as_it_is(killed):
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS | {"images": 8}))
    git("stash", "-q")  # set aside by somebody long before
    mine = yaml.safe_dump(PARAMS | {"images": 7})
    killed("git checkout -q --detach", f"cat > params.yaml <<'END'\n{mine}END")
    assert Path("params.yaml").read_text() == mine
    assert git("symbolic-ref", "HEAD")


@pytest.mark.parametrize("written", ["values", "nothing", "what is committed"])
def test_the_values_of_the_run_that_is_made_are_not_taken_for_those_of_the_study(folder, monkeypatch, written):
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS | {"images": 7}))
    base = params.load()

    def beside(*_):
        made = plan.runs(base)[0].params.model_dump(mode="json")
        if written == "what is committed":
            git("stash", "-q")
        else:
            Path("params.yaml").write_text(yaml.safe_dump(made) if written == "values" else "")
        assert run.as_it_stands() == base
        if written == "what is committed":
            git("stash", "pop", "-q")
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_follow", beside)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert params.load() == base


@pytest.mark.parametrize(
    "text", ["1", "2-high", "1.50", "1e3", "2024_01", "0x1", "grün", "True", "nan", "it's (a)\\", "a\\b"]
)
def test_dvc_is_told_of_texts_as_they_are(text):
    cases = {text: {"target": "cifar10", "encoder": "cifar10"}}
    parts = {"a": part((text,), (500,), plain={"unet.dropout": "1e-05"})}
    (one,) = plan.runs(study(parts, [0], cases=cases, case=text))
    read = OverridesParser.create().parse_override
    told = {name: read(f"x={value}").value() for name, value in run._quoted(one).items()}
    assert told.pop("case") == (1 if text == "1" else text)  # which params.yaml has without quotes, too
    assert told == {"images": 500, "seed": 0, "unet.dropout": 1e-05}


def test_what_is_changed_while_a_study_runs_ends_it_before_the_next_run(folder, monkeypatch):
    begun = study({"a": {"cases": ["1"], "images": [500], "settings": {"plain": {}}}}, seeds=(0, 1))
    now = [begun]
    monkeypatch.setattr(params, "load", lambda: now[0])
    made = []

    def make(one, code, label):
        made.append(one.name)
        now[0] = begun.model_copy(update={"images": 1, "gan": begun.gan.model_copy(update={"ema": 0.5})})

    monkeypatch.setattr(run, "_make", make)
    with pytest.raises(PipelineError, match=r"study: params.yaml was changed meanwhile; run the same command again"):
        run.run()
    assert len(made) == 1
