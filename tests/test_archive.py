import gzip
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.datasets import archive
from pipeline.errors import PipelineError
from pipeline.params import Archive
from tests.archives import checksum, write_tar


@pytest.fixture
def published(server):
    """A served file, and the Archive that asks for it."""
    path = server.folder / "pictures.tar.gz"
    write_tar(path, {"folder/a.bin": os.urandom(50_000), "folder/b.bin": b"content of b", "folder/c.bin": b"c"})
    return path, Archive(urls=[server.url(path.name)], checksum=checksum(path))


def cached(server):
    """Files in the cache, but for the locks."""
    cache = server.folder.parent / "cache"
    return sorted(path for path in cache.rglob("*") if path.is_file() and path.name != "lock")


def whole(file, size):
    return file.read(size)


def refuse(file, size):
    raise ValueError("is not what it should be")


def message(raised):
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_download_is_the_published_file_and_is_done_once(server, published):
    path, asked = published
    assert archive.fetch(asked).read_bytes() == path.read_bytes()
    archive.fetch(asked)
    archive.fetch(asked.model_copy(update={"urls": ["http://example.invalid/elsewhere.tar.gz"]}))
    assert server.requested == ["pictures.tar.gz"]
    assert cached(server) == [archive.fetch(asked)]


def test_urls_are_tried_in_order(server, published, closed_url):
    path, asked = published
    (server.folder / "other.tar.gz").write_bytes(b"something else")
    names = ["missing.tar.gz", "other.tar.gz", "pictures.tar.gz", "never.tar.gz"]
    asked = asked.model_copy(update={"urls": [closed_url, *map(server.url, names)]})
    assert archive.fetch(asked).read_bytes() == path.read_bytes()
    assert server.requested == names[:3]


def test_when_all_urls_fail_one_line_gives_each_reason_and_the_way_out(server, published, closed_url):
    path, asked = published
    right, path = asked.checksum.removeprefix("md5:"), path.rename(path.with_name("moved.tar.gz"))
    path.write_bytes(b"something else")
    urls = [closed_url, server.url("gone"), server.url(path.name), "ftp://host/file", "/no/such/file"]
    with pytest.raises(PipelineError) as raised:
        archive.fetch(asked.model_copy(update={"urls": urls}))
    said = message(raised)
    assert f"{urls[0]}: no connection;" in said
    assert f"{urls[1]}: 404 Not Found;" in said
    assert f"{urls[2]}: wrong checksum, given {checksum(path)[4:]}, expected {right};" in said
    assert f"{urls[3]}: ftp is not supported" in said
    assert f"{urls[4]}: No such file or directory" in said
    assert "-S case=photos" in said
    assert cached(server) == []


def test_a_download_that_breaks_off_leaves_nothing_behind(server, published):
    path, asked = published
    server.breaks_off.add(path.name)
    with pytest.raises(PipelineError, match="connection broke off"):
        archive.fetch(asked)
    assert cached(server) == []
    server.breaks_off.clear()
    assert archive.fetch(asked).read_bytes() == path.read_bytes()


def test_a_damaged_file_in_the_cache_is_downloaded_again(server, published):
    path, asked = published
    archive.fetch(asked).write_bytes(b"damaged")
    assert archive.fetch(asked).read_bytes() == path.read_bytes()
    assert len(server.requested) == 2


def test_remains_of_a_killed_download_are_removed(server, published):
    _, asked = published
    stored = archive.fetch(asked)
    stored.rename(stored.with_name("tmpabcdef"))
    archive.fetch(asked)
    assert cached(server) == [stored]


def test_two_at_once_download_once(server, published):
    path, asked = published
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(archive.fetch, [asked, asked])
    assert first == second
    assert first.read_bytes() == path.read_bytes()
    assert server.requested == [path.name]


@pytest.mark.parametrize("as_url", [True, False])
def test_a_local_file_is_checked_and_used_in_place(server, published, as_url):
    path, asked = published
    path = path.rename(path.with_name("with a space.tar.gz"))
    asked = asked.model_copy(update={"urls": [path.as_uri() if as_url else str(path)]})
    assert archive.fetch(asked) == path
    assert cached(server) == []
    path.write_bytes(b"something else")
    with pytest.raises(PipelineError, match=f"wrong checksum, given {checksum(path)[4:]}"):
        archive.fetch(asked)


def test_a_cache_that_cannot_be_written_is_named(server, published, monkeypatch):
    path, asked = published
    monkeypatch.setenv("COLOURGAN_CACHE", str(path))  # a file, not a folder
    with pytest.raises(PipelineError) as raised:
        archive.fetch(asked)
    assert "set COLOURGAN_CACHE" in message(raised)


def test_members_are_read_by_name_and_nothing_behind_them(published):
    path, _ = published
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(content[: content.index(b"content of b") + 512])  # uncompressed, and without c.bin or an end
    assert archive.read(path, {"b.bin": whole}) == {"b.bin": b"content of b"}


@pytest.mark.parametrize(
    "damage", [lambda content: content[:20_000], lambda content: b"no archive", lambda content: b""]
)
def test_a_damaged_archive_is_one_line(published, damage):
    path, _ = published
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(PipelineError) as raised:
        archive.read(path, {"a.bin": whole, "c.bin": whole})
    assert message(raised).startswith(f"{path}: ")


def test_missing_and_wrong_members_are_named(published):
    path, _ = published
    with pytest.raises(PipelineError, match=r"d\.bin, e\.bin missing"):
        archive.read(path, {"a.bin": whole, "d.bin": whole, "e.bin": whole})
    with pytest.raises(PipelineError, match=r"b\.bin is not what it should be"):
        archive.read(path, {"b.bin": refuse})
