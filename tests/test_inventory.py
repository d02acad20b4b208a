import json
import os

import pytest

from pipeline import inventory, params
from pipeline.system.errors import PipelineError


@pytest.fixture
def settings(tmp_path, monkeypatch):
    content = params.load().model_dump(mode="json")
    content["datasets"]["folder"]["path"] = "mine"
    monkeypatch.chdir(tmp_path)
    return content


def taken(settings, case):
    inventory.run(params.Params.model_validate(settings | {"case": case}))
    return json.loads(inventory.INVENTORY.read_text())


@pytest.mark.parametrize("case", ["1", "2", "2-high", "none", "photos", "photos-2"])
def test_other_cases_do_not_look_at_the_folder(settings, case, tmp_path):
    before = taken(settings, case)
    assert before == {"folder": None}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/a.jpg").touch()
    assert taken(settings, case) == before


@pytest.mark.parametrize("roles", [("folder", "folder"), ("folder", "none"), ("cifar10", "folder")])
def test_a_case_that_reads_the_folder_in_any_role_needs_it(settings, roles, tmp_path):
    settings["cases"]["mine"] = dict(zip(("target", "encoder"), roles, strict=True))
    with pytest.raises(PipelineError, match=r"^mine: no such folder; "):
        taken(settings, "mine")
    assert not inventory.INVENTORY.exists()
    (tmp_path / "mine").mkdir()
    assert taken(settings, "mine")["folder"]["files"] == 0


def test_it_changes_with_each_file_and_with_nothing_else(settings, tmp_path):
    top = tmp_path / "mine"
    (top / os.fsdecode(b"\xe9t\xe9")).mkdir(parents=True)
    (top / os.fsdecode(b"\xe9t\xe9/\xff.jpg")).write_text("a")
    (top / "gone").symlink_to("nowhere")
    (tmp_path / "elsewhere").mkdir()
    (top / "linked").symlink_to(tmp_path / "elsewhere")
    seen = [inventory.take(top)]

    def changed():
        seen.append(inventory.take(top))
        return seen[-1] != seen[-2]

    assert not changed()
    (top / ".DS_Store").touch()
    (top / "empty").mkdir()
    assert not changed()
    (tmp_path / "elsewhere/b.jpg").write_text("b")
    assert changed()
    os.utime(tmp_path / "elsewhere/b.jpg", (0, 0))
    assert changed()
    (top / "linked/b.jpg").rename(top / "linked/c.jpg")
    assert changed()
    top.rename(tmp_path / "moved")
    assert inventory.take(tmp_path / "moved") == seen[-1]
