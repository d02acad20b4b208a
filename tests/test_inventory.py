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


def test_what_can_be_read_now_and_could_not_before_is_another_inventory(tmp_path, monkeypatch):
    (tmp_path / "a.nef").touch()
    (tmp_path / "b.jpg").touch()
    monkeypatch.setattr(inventory, "find_spec", lambda name: None)
    before = inventory.take(tmp_path)
    monkeypatch.setattr(inventory, "find_spec", lambda name: name)
    developed = inventory.take(tmp_path)
    monkeypatch.setattr(inventory.os, "access", lambda path, mode: path.suffix != ".jpg")
    locked = inventory.take(tmp_path)
    assert before["files"] == developed["files"] == locked["files"] == 2
    assert len({before["sha256"], developed["sha256"], locked["sha256"]}) == 3


def test_a_file_that_goes_meanwhile_is_none(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").touch()
    walk = inventory.folders.walk
    monkeypatch.setattr(
        inventory.folders, "walk", lambda top: (found := walk(top))._replace(files=[*found.files, top / "gone.part"])
    )
    assert inventory.take(tmp_path)["files"] == 1
