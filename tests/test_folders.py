import os
from pathlib import Path

import pytest

from pipeline.photographs import folders
from pipeline.system.errors import PipelineError


@pytest.fixture
def top(tmp_path):
    return tmp_path / "top"


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def walk(top):
    """Files, and what is left out by its reason, as text below the folder."""
    found = folders.walk(top)
    left_out = {reason: [str(path.relative_to(top)) for path in paths] for reason, paths in found.left_out.items()}
    return [str(path.relative_to(top)) for path in found.files], left_out


def test_all_files_are_found_in_order_and_nothing_is_left_out(top):
    make(top, "b.jpg", "a/c/d", "a/b.png", "a/Straße 1.jpg")
    assert walk(top) == (["a/Straße 1.jpg", "a/b.png", "a/c/d", "b.jpg"], {})


def test_what_is_hidden_or_of_the_system_is_left_out_and_counted(top):
    system = ["@eaDir", "__MACOSX", "$RECYCLE.BIN", "System Volume Information", "#recycle", "lost+found"]
    files = ["Thumbs.db", "desktop.ini", "a/THUMBS.DB", "._b.jpg", ".DS_Store"]
    make(top, "b.jpg", "a/c.jpg", ".thumbnails/1.png", *(f"a/{name}/1.jpg" for name in system), *files)
    expected = sorted([".thumbnails", *(f"a/{name}" for name in system), *files])
    found, left_out = walk(top)
    assert found == ["a/c.jpg", "b.jpg"]
    assert {reason: sorted(names) for reason, names in left_out.items()} == {folders.HIDDEN: expected}


def test_a_folder_whose_own_path_is_hidden_is_looked_through(tmp_path):
    make(tmp_path / ".pictures", "a.jpg")
    assert walk(tmp_path / ".pictures") == (["a.jpg"], {})


def test_links_are_followed_to_each_real_folder_once(top, tmp_path):
    make(top, "z/1.jpg")
    make(tmp_path / "elsewhere", "2.jpg", "deep/3.jpg")
    (top / "a").symlink_to(top / "z")  # there itself, although the link comes first
    (top / "cats").symlink_to(tmp_path / "elsewhere")
    (top / "dogs").symlink_to(tmp_path / "elsewhere")
    (top / "single.jpg").symlink_to(tmp_path / "elsewhere/2.jpg")
    found, left_out = walk(top)
    assert found == ["cats/2.jpg", "cats/deep/3.jpg", "single.jpg", "z/1.jpg"]
    assert left_out == {folders.KNOWN: ["a", "dogs"]}


def test_links_do_not_go_round(top, tmp_path):
    make(top, "a/1.jpg")
    make(tmp_path / "other", "2.jpg")
    (top / "a/up").symlink_to(top)
    (top / "parent").symlink_to(tmp_path)  # holds the folder itself, and what else is there
    (tmp_path / "other/back").symlink_to(top / "a")
    found, left_out = walk(top)
    assert found == ["a/1.jpg", "parent/other/2.jpg"]
    assert left_out == {folders.KNOWN: ["a/up", "parent/other/back", "parent/top"]}


def test_broken_links_and_what_is_no_file_are_counted(top):
    make(top, "a.jpg")
    (top / "gone.jpg").symlink_to(top / "never.jpg")
    (top / "itself").symlink_to(top / "itself")
    os.mkfifo(top / "pipe.jpg")
    assert walk(top) == (["a.jpg"], {folders.BROKEN: ["gone.jpg", "itself"], folders.SPECIAL: ["pipe.jpg"]})


def test_a_subfolder_that_may_not_be_opened_is_counted_and_the_folder_itself_is_an_error(top, monkeypatch):
    make(top, "a.jpg", "secret/b.jpg")
    iterdir = Path.iterdir

    def refuse(place):
        if place == refused:
            raise PermissionError(13, "Permission denied", str(place))
        return iterdir(place)

    monkeypatch.setattr(Path, "iterdir", refuse)
    refused = top / "secret"
    assert walk(top) == (["a.jpg"], {folders.LOCKED: ["secret"]})
    refused = top
    with pytest.raises(PipelineError, match=rf"^{top}: Permission denied; "):
        folders.walk(top)


def test_names_that_are_no_utf_8_are_names_like_any_other(top):
    make(top, "a.jpg", os.fsdecode(b"\xe9t\xe9/1.jpg"), os.fsdecode(b"z\xff.jpg"))
    (top / os.fsdecode(b"gone\xff")).symlink_to("nowhere")
    found, left_out = folders.walk(top)
    assert [os.fsencode(path.relative_to(top)) for path in found] == [b"a.jpg", b"z\xff.jpg", b"\xe9t\xe9/1.jpg"]
    assert folders.listed(top, left_out) == r"broken links: 1 (gone\udcff)"


def test_the_first_of_a_kind_is_named(top):
    make(top, "a.jpg", ".b", ".c\n")
    (top / "gone").symlink_to("nowhere")
    assert (
        folders.listed(top, folders.walk(top).left_out) == "broken links: 1 (gone); hidden or of the system: 2 (.b, …)"
    )
