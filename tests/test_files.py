import os

import pytest

from pipeline.files import write_all


def test_files_are_written_into_folders_that_are_made(tmp_path):
    one, two = tmp_path / "a" / "one.txt", tmp_path / "b" / "two.txt"
    write_all({one: lambda path: path.write_text("1"), two: lambda path: path.write_text("2")})
    assert (one.read_text(), two.read_text()) == ("1", "2")
    assert sorted(path.name for path in tmp_path.rglob("*.txt")) == ["one.txt", "two.txt"]


def test_when_one_file_fails_all_stay_as_they_were(tmp_path):
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("before")

    def fail(path):
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_all({one: lambda path: path.write_text("after"), two: fail})
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("one.txt", "before")]


def test_a_copy_that_is_linked_to_the_old_file_does_not_change(tmp_path):
    file, cached = tmp_path / "file.txt", tmp_path / "cached.txt"
    file.write_text("old")
    cached.hardlink_to(file)
    write_all({file: lambda path: path.write_text("new")})
    assert (file.read_text(), cached.read_text()) == ("new", "old")


def test_the_content_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(os, "fsync", lambda file: kept.append((os.fstat(file).st_ino, (tmp_path / "a").exists())))
    write_all({tmp_path / "a": lambda path: path.write_text("1")})
    assert kept == [((tmp_path / "a").stat().st_ino, False)]
