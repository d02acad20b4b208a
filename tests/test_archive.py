import gzip
import io
import os
import re
import ssl
import tarfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from pipeline.datasets import archive
from pipeline.params import Archive
from pipeline.system import environment
from pipeline.system.errors import PipelineError
from tests.archives import checksum, write_tar
from tests.certificate import CERTIFICATE


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


MEMBERS = {"a.bin": archive.Member(60_000), "b.bin": archive.Member(100), "c.bin": archive.Member(10)}
B = archive.Member(100, whole)


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
    urls = [
        closed_url,
        server.url("gone"),
        server.url(path.name),
        "ftp://host/file",
        "http://[::1/file",
        "/no/such/file",
        "D:/no/such/file",
    ]
    with pytest.raises(PipelineError) as raised:
        archive.fetch(asked.model_copy(update={"urls": urls}))
    said = message(raised)
    assert f"{urls[0]}: no connection;" in said
    assert f"{urls[1]}: 404 Not Found;" in said
    assert f"{urls[2]}: wrong checksum, given {checksum(path)[4:]}, expected {right};" in said
    assert f"{urls[3]}: ftp is not supported" in said
    assert f"{urls[4]}: no URL: Invalid IPv6 URL" in said
    for url in urls[5:]:
        assert f"{url}: No such file or directory" in said
    assert "-S case=photos" in said
    assert cached(server) == []


@pytest.mark.parametrize("fault", ["cut", "stall", "500", "503", "429"])
def test_a_server_in_trouble_is_asked_again_for_what_is_lacking(server, published, fault, monkeypatch):
    monkeypatch.setattr(archive, "TIMEOUT", 0.5)
    monkeypatch.setattr(archive, "BLOCK", 100)
    path, asked = published
    server.faults = [fault, fault]
    assert archive.fetch(asked).read_bytes() == path.read_bytes()
    size = path.stat().st_size
    came = [int(range_.removeprefix("bytes=").removesuffix("-")) for range_ in server.ranges if range_]
    assert len(server.ranges) == 3
    if fault in ("cut", "stall"):
        assert size // 2 - 100 < came[0] <= size // 2 < 3 * size // 4 - 200 < came[1] <= 3 * size // 4
    else:
        assert not came


def test_an_archive_is_kept_as_it_comes_whatever_the_server_calls_it(server, published):
    path, asked = published
    server.faults = ["encoded"]
    assert archive.fetch(asked).read_bytes() == path.read_bytes()


@pytest.fixture
def unknown_signer(server, tmp_path, monkeypatch):
    """Makes the server one of HTTPS, with a certificate that it has signed itself; its file."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "certificate.pem"
    path.write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # a client that goes away
    return path


def test_a_certificate_that_is_not_trusted_is_named_with_the_ways_out_and_they_work(
    server, published, unknown_signer, monkeypatch
):
    path, asked = published
    asked = asked.model_copy(update={"urls": [url.replace("http:", "https:") for url in asked.urls]})
    with pytest.raises(PipelineError) as raised:
        archive.fetch(asked)
    assert "no trusted connection (self-signed certificate); " in message(raised)
    assert "set REQUESTS_CA_BUNDLE to a file" in message(raised)
    assert cached(server) == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    with pytest.raises(PipelineError, match=r"/no/such/file\.pem; set REQUESTS_CA_BUNDLE to a file of certificates"):
        archive.fetch(asked)
    local = asked.model_copy(update={"urls": [path.as_uri()]})
    assert archive.fetch(local) == path
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(unknown_signer))
    assert archive.fetch(asked).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("proxy", ["closed", "socks5://127.0.0.1:1", "nonsense://", "http://[", "http://", "no proxy"])
def test_a_proxy_that_does_not_do_is_one_line_with_the_way_out(server, published, closed_url, monkeypatch, proxy):
    path, asked = published
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", closed_url.rpartition("/")[0] if proxy == "closed" else proxy)
    with pytest.raises(PipelineError) as raised:
        archive.fetch(asked)
    assert ", by way of a proxy; set HTTPS_PROXY and HTTP_PROXY to http://NAME:PORT" in message(raised)
    assert server.requested == []
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert archive.fetch(asked).read_bytes() == path.read_bytes()


def test_a_cache_that_is_no_folder_or_nobodys_is_one_line(server, published, tmp_path, monkeypatch):
    _, asked = published
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COLOURGAN_CACHE", str(tmp_path / "file"))
    with pytest.raises(PipelineError, match="set COLOURGAN_CACHE to a folder"):
        archive.fetch(asked)
    monkeypatch.setenv("COLOURGAN_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(PipelineError, match="no such home; set COLOURGAN_CACHE to a folder"):
        archive.fetch(asked)
    monkeypatch.setenv("COLOURGAN_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home/.cache"))
    monkeypatch.setattr(environment, "stand_in", tmp_path / "home")
    with pytest.raises(PipelineError, match="no home folder to keep downloads in; set COLOURGAN_CACHE"):
        archive.fetch(asked)
    nobodys = asked.model_copy(update={"urls": ["~nobody-of-this-name/archive.tar.gz"]})
    with pytest.raises(PipelineError, match="home directory"):
        archive.fetch(nobodys)


@pytest.mark.parametrize(
    ("fault", "said"), [("cut", "connection broke off"), ("500", "500 Internal"), ("429", "429 Too")]
)
def test_a_server_in_trouble_for_good_is_left_for_the_next(server, published, fault, said):
    path, asked = published
    server.faults = [fault] * archive.ATTEMPTS
    with pytest.raises(PipelineError, match=said):
        archive.fetch(asked)
    assert len(server.requested) == archive.ATTEMPTS
    server.faults = [fault] * archive.ATTEMPTS
    mirrored = asked.model_copy(update={"urls": [*asked.urls, server.url("mirror")]})
    (server.folder / "mirror").write_bytes(path.read_bytes())
    assert archive.fetch(mirrored).read_bytes() == path.read_bytes()
    assert server.requested[-1] == "mirror"


def test_what_will_not_change_is_not_asked_for_again(server, published):
    _, asked = published
    for status in ("404", "403", "410"):
        server.faults = [status]
        with pytest.raises(PipelineError, match=status):
            archive.fetch(asked)
    assert len(server.requested) == 3


@pytest.mark.parametrize(("said", "waited"), [("7", 7), ("86400", archive.LONGEST_WAIT)])
def test_when_to_come_back_is_heeded_within_reason(server, published, monkeypatch, said, waited):
    slept = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", slept.append)
    server.retry_after, server.faults = said, ["429"]
    archive.fetch(published[1])
    assert slept == [waited]


def test_a_download_that_was_killed_goes_on_from_what_is_there(server, published):
    path, asked = published
    part = archive.fetch(asked).with_name("part")
    part.with_name("archive").unlink()
    part.write_bytes(path.read_bytes()[:1234])
    assert archive.fetch(asked).read_bytes() == path.read_bytes()
    assert server.ranges == [None, "bytes=1234-"]
    assert cached(server) == [part.with_name("archive")]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("remains", [b"of another file", b"x" * 1_000_000, b""])
def test_what_is_there_may_be_of_another_file_or_the_server_know_no_ranges(server, published, remains, ranges):
    path, asked = published
    part = archive.fetch(asked).with_name("part")
    part.with_name("archive").unlink()
    part.write_bytes(remains)
    server.knows_ranges = ranges
    assert archive.fetch(asked).read_bytes() == path.read_bytes()
    assert cached(server) == [part.with_name("archive")]


def test_a_page_in_the_place_of_what_is_lacking_costs_nothing_of_what_is_there(server, published):
    """As a network gives it that wants a password first, with a status that says that all is well."""
    path, asked = published
    part = archive.fetch(asked).with_name("part")
    part.with_name("archive").unlink()
    content = path.read_bytes()
    part.write_bytes(content[:1234])
    path.write_bytes(b"<html>Who are you?</html>")
    server.knows_ranges = False
    with pytest.raises(PipelineError, match="wrong checksum"):
        archive.fetch(asked)
    assert part.read_bytes() == content[:1234]
    path.write_bytes(content)
    server.knows_ranges = True
    assert archive.fetch(asked).read_bytes() == content
    assert server.ranges[-1] == "bytes=1234-"


def test_a_download_that_was_killed_when_all_was_there_needs_no_more(server, published):
    path, asked = published
    stored = archive.fetch(asked)
    stored.rename(stored.with_name("part"))
    assert archive.fetch(asked).read_bytes() == path.read_bytes()
    assert server.ranges == [None, f"bytes={path.stat().st_size}-"]


def test_a_redirection_is_followed(server, published):
    path, asked = published
    (server.folder / "moved").write_bytes(path.read_bytes())
    server.faults = ["to " + server.url("moved")]
    assert archive.fetch(asked).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("wrong", [lambda content: b"<html>Moved</html>", lambda content: content[:-1] + b"!"])
def test_other_bytes_are_never_kept_and_the_next_url_is_asked(server, published, wrong):
    path, asked = published
    content = path.read_bytes()
    (server.folder / "mirror").write_bytes(content)
    path.write_bytes(wrong(content))
    with pytest.raises(PipelineError, match="wrong checksum"):
        archive.fetch(asked)
    assert cached(server) == []
    assert archive.fetch(asked.model_copy(update={"urls": [*asked.urls, server.url("mirror")]})).read_bytes() == content


def test_a_download_without_end_is_given_up(server, published, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 10_000)
    monkeypatch.setattr(archive, "BLOCK", 1000)
    with pytest.raises(PipelineError, match="gives more than 10,000 bytes"):
        archive.fetch(published[1])
    assert cached(server) == []


def test_a_damaged_file_in_the_cache_is_downloaded_again(server, published):
    path, asked = published
    archive.fetch(asked).write_bytes(b"damaged")
    assert archive.fetch(asked).read_bytes() == path.read_bytes()
    assert len(server.requested) == 2


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
    assert archive.read(path, "folder", MEMBERS | {"b.bin": B}) == {"b.bin": b"content of b"}


@pytest.mark.parametrize(
    "damage", [lambda content: content[:20_000], lambda content: b"no archive", lambda content: b""]
)
def test_a_damaged_archive_is_one_line(published, damage):
    path, _ = published
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(PipelineError) as raised:
        archive.read(path, "folder", MEMBERS | {"c.bin": archive.Member(1, whole)})
    assert message(raised).startswith(f"{path}: ")


def test_a_damaged_header_is_not_the_end(tmp_path):
    path = tmp_path / "files.tar"
    with tarfile.open(path, "w") as written:
        for number in range(3):
            info, content = member(f"folder/{number}.bin", b"content")
            written.addfile(info, io.BytesIO(content))
    content = path.read_bytes()
    for damaged in (content.replace(b"folder/1.bin", b"folder/X.bin"), content[: 2 * 1024 + 100]):
        path.write_bytes(damaged)
        with pytest.raises(PipelineError, match="damaged, or no tar archive"):
            list(archive.files(path, "folder", re.compile(r"\d\.bin"), archive.Member(100), 10))


def test_missing_and_wrong_members_are_named(published):
    path, _ = published
    more = {name: archive.Member(1, whole) for name in ("d.bin", "e.bin")}
    with pytest.raises(PipelineError, match=r"d\.bin, e\.bin missing"):
        archive.read(path, "folder", MEMBERS | more)
    with pytest.raises(PipelineError, match=r"b\.bin is not what it should be"):
        archive.read(path, "folder", MEMBERS | {"b.bin": archive.Member(100, refuse)})


def member(name: str, content: bytes = b"", **about) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in about.items():
        setattr(info, key, value)
    return info, content


GOOD = member("folder/b.bin", b"content of b")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (member("folder/evil.sh", b"rm"), "given 'folder/evil.sh', allowed: in folder/, each once"),
        (member("elsewhere/b.bin", b"b"), "given 'elsewhere/b.bin'"),
        (member("b.bin", b"b"), "given 'b.bin'"),
        (member("/folder/b.bin", b"b"), "given '/folder/b.bin'"),
        (member("folder/../folder/b.bin", b"b"), "given 'folder/../folder/b.bin'"),
        (member("folder/../../b.bin", b"b"), "given 'folder/../../b.bin'"),
        (member("elsewhere", type=tarfile.DIRTYPE), "given 'elsewhere'"),
        (member("folder/b.bin", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "b.bin is no plain file"),
        (member("folder/b.bin", type=tarfile.LNKTYPE, linkname="folder/a.bin"), "b.bin is no plain file"),
        (member("folder/b.bin", type=tarfile.CHRTYPE), "b.bin is no plain file"),
        (member("folder/b.bin", type=tarfile.FIFOTYPE), "b.bin is no plain file"),
        (member("folder/b.bin", b"b" * 101), "b.bin has 101 bytes, allowed: up to 100"),
        (member("folder/a.bin", b"a" * 60_001), "a.bin has 60,001 bytes, allowed: up to 60,000"),
        (member("folder/two\nlines"), r"given 'folder/two\nlines'"),
    ],
)
def test_an_archive_with_anything_else_in_it_is_refused(tmp_path, bad, said, monkeypatch):
    path = tmp_path / "hostile.tar.gz"
    with tarfile.open(path, "w:gz") as hostile:
        for info, content in (bad, GOOD):
            hostile.addfile(info, io.BytesIO(content))
    with pytest.raises(PipelineError) as raised:
        archive.read(path, "folder", MEMBERS | {"b.bin": B})
    assert said in message(raised)
    assert list(tmp_path.iterdir()) == [path]


def test_a_member_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "twice.tar.gz"
    with tarfile.open(path, "w:gz") as hostile:
        for info, content in (GOOD, GOOD, member("folder/c.bin", b"c")):
            hostile.addfile(info, io.BytesIO(content))
    with pytest.raises(PipelineError, match=r"given 'folder/b\.bin', allowed: in folder/, each once"):
        archive.read(path, "folder", MEMBERS | {"b.bin": B, "c.bin": archive.Member(1, whole)})


def test_a_member_of_less_than_nothing_is_refused(tmp_path):
    path = tmp_path / "negative.tar"
    info, _ = member("folder/b.bin")
    info.size = -100
    path.write_bytes(info.tobuf() + bytes(1024))
    with pytest.raises(PipelineError, match=r"b\.bin has -100 bytes, allowed: up to 100"):
        archive.read(path, "folder", MEMBERS | {"b.bin": B})


@contextmanager
def little_memory():
    tracemalloc.start()
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20 << 20


def test_a_bomb_is_refused_before_it_takes_time_or_memory(tmp_path):
    path = tmp_path / "bomb.tar.gz"
    folder = tarfile.TarInfo("folder")
    folder.type = tarfile.DIRTYPE
    path.write_bytes(gzip.compress(folder.tobuf() * 2048) * 1024)  # a gigabyte of nothing else
    with pytest.raises(PipelineError, match="unzips to more than 1,108,686 bytes"), little_memory():
        archive.read(path, "folder", MEMBERS | {"c.bin": archive.Member(10, whole)})


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_of_no_end_is_refused_before_it_takes_memory(tmp_path, kind):
    path = tmp_path / "bomb.tar.gz"
    huge = tarfile.TarInfo("long")
    huge.type, huge.size = kind, 1 << 30
    path.write_bytes(gzip.compress(huge.tobuf()) + gzip.compress(bytes(1 << 20)) * 1024)
    with pytest.raises(PipelineError, match="a header has 1,073,741,824 bytes, allowed: up to"), little_memory():
        archive.read(path, "folder", {"a.bin": archive.Member(2 << 30, whole)})


def sparse(parts: int) -> bytes:
    """A header that says that a file has holes, and ever more headers that list its parts (tar's GNU format)."""
    first = tarfile.TarInfo("folder/a.bin")
    first.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(first.tobuf(tarfile.GNU_FORMAT))
    header[482] = 1  # more of them follow
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:512]))
    return bytes(header) + (b"\0" * 504 + b"\1" + b"\0" * 7) * parts


def test_a_file_with_holes_is_refused_before_its_list_of_parts_is_read(tmp_path):
    path = tmp_path / "holes.tar.gz"
    path.write_bytes(gzip.compress(sparse(200_000)))
    with pytest.raises(PipelineError, match=r"folder/a\.bin is no plain file"), little_memory():
        archive.read(path, "folder", {"a.bin": archive.Member(2 << 30, whole)})
    info, content = member("folder/a.bin", b"1000000\n" + b"0\n1\n" * 1_000_000)
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1"}
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as hostile:
        hostile.addfile(info, io.BytesIO(content))
    with pytest.raises(PipelineError, match=r"folder/a\.bin is no plain file"), little_memory():
        archive.read(path, "folder", {"a.bin": archive.Member(2 << 30, whole)})


def test_headers_of_headers_without_end_are_one_line(tmp_path):
    path = tmp_path / "deep.tar"
    name = tarfile.TarInfo("long")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 1
    path.write_bytes((name.tobuf() + bytes(512)) * 2000)
    with pytest.raises(PipelineError, match="damaged, or no tar archive") as raised:
        archive.read(path, "folder", MEMBERS)
    message(raised)
