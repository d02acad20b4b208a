import errno
import os
import subprocess
import sys

import pytest

from pipeline.system import files
from pipeline.system.files import UNFINISHED, write_all


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


def test_where_a_folder_has_the_name_of_one_all_stay_as_they_were(tmp_path):
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("before")
    two.mkdir()
    with pytest.raises(IsADirectoryError, match=r"two\.txt"):
        write_all({one: lambda path: path.write_text("after"), two: lambda path: path.write_text("after")})
    assert sorted(tmp_path.iterdir()) == [one, two]
    assert one.read_text() == "before"


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


def hold(folder, name):
    """Another process that is writing a file in a folder, and says so."""
    code = (
        "import sys; from pathlib import Path; from pipeline.system.files import write_all; "
        "write_all({Path(sys.argv[1]): lambda path: (path.write_text('whole'), print(path.name, flush=True), input())})"
    )
    command = (sys.executable, "-c", code, str(folder / name))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, folder / process.stdout.readline().strip()


def test_what_a_killed_run_left_is_deleted_by_the_next_and_what_is_being_written_is_not(tmp_path):
    killed, remains = hold(tmp_path, "one.txt")
    killed.kill()
    killed.communicate()
    alive, unfinished = hold(tmp_path, "two.txt")
    assert not remains.exists()  # the second is a next one, too
    remains.write_text("half")
    mine = [tmp_path / name for name in (".colourgan-notes", ".unfinished-thesis")]
    for path in mine:
        path.write_text("nobody's business")
    write_all({tmp_path / "three.txt": lambda path: path.write_text("whole")})
    assert sorted(tmp_path.iterdir()) == sorted([*mine, unfinished, tmp_path / "three.txt"])
    alive.communicate("go on\n")
    assert sorted(tmp_path.iterdir()) == sorted([*mine, tmp_path / "three.txt", tmp_path / "two.txt"])
    assert (tmp_path / "two.txt").read_text() == "whole"


def test_several_runs_that_write_the_same_files_do_not_disturb_each_other(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pipeline.system.files import write_all\n"
        "for number in range(100):\n"
        "    write_all({Path(sys.argv[1]) / f'{number}': lambda path: path.write_text('whole')})"
    )
    runs = [subprocess.Popen((sys.executable, "-c", code, str(tmp_path))) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(str, range(100)))


@pytest.mark.parametrize("name", ["a" * 255, "ü" * 127, b"\xff" * 255, "\n", "-rf", "a.", "a "])
def test_a_name_may_be_any_that_the_file_system_takes(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    write_all({path: lambda unfinished: unfinished.write_text("1")})
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_who_may_read_a_file_is_what_the_user_allows(tmp_path):
    before = os.umask(0o027)
    try:
        write_all({tmp_path / "a": lambda path: path.write_text("1")})
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_where_files_cannot_be_locked_they_are_written_and_nothing_is_swept(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files, "lock_descriptor", refuse)
    remains = tmp_path / (UNFINISHED + "0" * 16)
    remains.touch()
    write_all({tmp_path / "a": lambda path: path.write_text("1")})
    assert sorted(tmp_path.iterdir()) == [remains, tmp_path / "a"]


def test_a_file_that_is_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    lock, swept = files.lock_descriptor, []

    def late(number):
        if not swept:
            swept.extend(tmp_path.iterdir())
            swept[0].unlink()
        return lock(number)

    monkeypatch.setattr(files, "lock_descriptor", late)
    write_all({tmp_path / "a": lambda path: path.write_text("1")})
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "1")]
    assert len(swept) == 1
