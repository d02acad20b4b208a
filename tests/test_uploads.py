import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.serving import uploads
from pipeline.serving.uploads import Uploads
from pipeline.system.errors import PipelineError
from tests.sites import stand_ins
from tests.waiting import until


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where temporary files are."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def kept():
    with closing(Uploads()) as kept:
        yield kept


def upload(kept, age=0, size=3, host=""):
    """An upload of that many seconds ago."""
    path = kept.new(host) / "photo.jpg"
    path.write_bytes(bytes(size))
    then = time.time() - age
    os.utime(path.parent, (then, then))
    return path


def test_nobody_else_can_look_into_the_folder(kept):
    for folder in (kept.folder, kept.new()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_it_is_gone_in_the_end(temporary):
    with closing(Uploads()) as kept:
        upload(kept)
    assert list(temporary.iterdir()) == []


def test_what_is_old_is_deleted_and_nothing_else(kept):
    example = upload(kept, age=2 * uploads.KEPT)
    kept.spare()
    old, new = upload(kept, age=uploads.KEPT + 1), upload(kept)
    (kept.folder / "old file").write_text("")
    os.utime(kept.folder / "old file", (0, 0))
    kept.sweep()
    assert set(kept.folder.iterdir()) == {example.parent, new.parent, kept.folder / uploads.LOCK}
    assert not old.exists()


def test_what_is_old_is_deleted_while_the_page_is_served(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "SWEPT", 0.01)
    with stand_ins(tmp_path) as site:
        old = site.folder / "old file"
        old.write_text("")
        os.utime(old, (0, 0))
        until(lambda: not old.exists())


def test_a_folder_that_vanishes_is_made_anew_and_swept_as_before(kept):
    upload(kept)
    shutil.rmtree(kept.folder)
    kept.sweep()  # finds nothing, and goes on
    with kept.room(1):
        old = upload(kept, age=uploads.KEPT + 1)
    assert stat.S_IMODE(kept.folder.stat().st_mode) == 0o700
    kept.sweep()
    assert not old.exists()
    with closing(Uploads()):
        assert kept.folder.exists()  # and is known to be in use


def test_a_link_in_the_place_of_the_folder_is_not_followed(kept, tmp_path):
    other = tmp_path / "others"
    other.mkdir()
    shutil.rmtree(kept.folder)
    kept.folder.symlink_to(other)
    with pytest.raises(OSError, match=r"."):
        kept.new()
    assert list(other.iterdir()) == []
    kept.folder.unlink()


def test_only_uploads_are_files_to_read(kept, tmp_path):
    path = upload(kept)
    secret = tmp_path / "secret.jpg"
    secret.write_text("")
    link = path.with_name("link.jpg")
    link.symlink_to(secret)
    pipe = path.with_name("pipe.jpg")
    os.mkfifo(pipe)
    linked = kept.folder / "linked"
    linked.symlink_to(tmp_path)
    assert kept.has(str(path))
    for no in (
        *(
            secret,
            link,
            pipe,
            linked / "secret.jpg",
            path.parent,
            kept.folder,
            path.with_name("gone.jpg"),
            "",
            "/",
            ".",
        ),
        f"{path.parent}/../../secret.jpg",
        f"{path.parent}/../{path.parent.name}/photo.jpg",
        f"{path}/",
        f"{path}\0",
        f"file://{path}",
    ):
        assert not kept.has(str(no)), no


def test_there_is_only_so_much_room_and_the_oldest_go_first(kept, monkeypatch):
    monkeypatch.setattr(uploads, "ROOM", 10 << 20)
    oldest, old, new = (upload(kept, age, 3 << 20, f"10.0.0.{age}") for age in (250, 200, 0))
    with kept.room(1 << 20, "10.0.0.1"):  # fits
        assert oldest.exists()
    with kept.room(3 << 20, "10.0.0.1"):
        assert not oldest.exists()
        with pytest.raises(PipelineError, match="no room for more photographs now"), kept.room(5 << 20, "10.0.0.2"):
            pass  # where one arrives already
        assert old.exists()  # which would not have done
        assert new.exists()  # which its owner is looking at
    with kept.room(5 << 20, "10.0.0.1"):
        assert not old.exists()


def test_nobody_takes_more_than_half_of_the_room(kept, monkeypatch):
    monkeypatch.setattr(uploads, "ROOM", 10 << 20)
    others = upload(kept, 900, 4 << 20, "10.0.0.1")
    own = upload(kept, 600, 3 << 20, "10.0.0.2")
    with kept.room(3 << 20, "10.0.0.2"):  # for which his own goes, though another is older
        assert others.exists()
        assert not own.exists()
        with pytest.raises(PipelineError, match="no room"), kept.room(3 << 20, "10.0.0.2"):
            pass
        with kept.room(3 << 20, "10.0.0.3"):
            assert others.exists()


def test_nobody_waits_for_what_is_deleted_to_make_room(kept, monkeypatch):
    monkeypatch.setattr(uploads, "ROOM", 4 << 20)
    upload(kept, 900, 3 << 20, "10.0.0.1")
    made = []
    monkeypatch.setattr(uploads, "_delete", lambda _: made.append(upload(kept, host="10.0.0.2")))
    with kept.room(2 << 20, "10.0.0.3"):
        assert made


def test_many_small_files_take_room_too(kept, monkeypatch):
    monkeypatch.setattr(uploads, "ROOM", 5 << 20)
    for number in range(4):
        with kept.room(3, f"10.0.0.{number}"):
            upload(kept, host=f"10.0.0.{number}")
    with pytest.raises(PipelineError), kept.room(2 << 20, "10.0.0.9"):
        pass


def test_room_is_given_back_when_an_upload_breaks_off(kept, monkeypatch):
    monkeypatch.setattr(uploads, "ROOM", 10 << 20)
    for _ in range(3):
        with pytest.raises(OSError, match="gone"), kept.room(4 << 20):
            raise OSError("gone")


KILLED = """
import os, signal
from pipeline.serving.uploads import Uploads
kept = Uploads()
(kept.new() / "photo.jpg").write_text("")
print(kept.folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_server_left_is_deleted_by_the_next_and_what_a_live_one_has_is_not(kept, temporary):
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(Path.cwd())}
    result = subprocess.run([sys.executable, "-c", KILLED], env=environment, stdout=subprocess.PIPE, text=True)
    left = temporary / result.stdout.strip().rpartition("/")[2]
    assert len(list(left.glob("*/photo.jpg"))) == 1
    photo = upload(kept)
    others = temporary / "others"
    others.mkdir()
    (others / "photo.jpg").write_text("")
    (temporary / f"{uploads.PREFIX}trap").symlink_to(others)
    (temporary / f"{uploads.PREFIX}file").write_text("")
    with closing(Uploads()):
        assert not left.exists()
    assert photo.exists()
    assert (others / "photo.jpg").exists()


def test_servers_that_start_at_once_do_not_delete_each_other(temporary):
    made = []
    threads = [threading.Thread(target=lambda: made.append(Uploads())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({kept.folder for kept in made}) == 8
    assert all(upload(kept).exists() for kept in made)
    for kept in made:
        kept.close()
