import asyncio
import io
import shutil
import signal
import socket
import sys
import tempfile
import time
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing, suppress
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import psutil
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from pipeline import __main__, serve
from pipeline.colourise import SIZE
from pipeline.model_files import saved
from pipeline.model_files.inference import INCLUDED
from pipeline.photographs import formats
from pipeline.serving import files, http, middleware, service
from pipeline.serving.refusals import Refusal
from pipeline.serving.uploads import PREFIX, Uploads
from pipeline.system.errors import PipelineError
from tests.painters import COLOURISER, random_unet, tinting
from tests.sites import ROOT, TINTS, Refused, Site, claiming, command, encoded, free_port, median_tint, stand_ins
from tests.waiting import until


def browser() -> str | None:
    """A Chromium: the system's, or that which `playwright install chromium` brought."""
    if found := next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None):
        return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


BROWSER = browser()


@pytest.mark.parametrize(
    ("name", "content", "written"),
    [
        ("photo.jpg", encoded(), ("photo-coloured.jpg", "JPEG", "RGB")),
        ("my photo.PNG", encoded("PNG", "L"), ("my photo-coloured.PNG", "PNG", "RGB")),
        ("photo.webp", encoded("WEBP", "RGBA"), ("photo-coloured.webp", "WEBP", "RGBA")),
        ("photo.tif", encoded("TIFF", "CMYK"), ("photo-coloured.tif", "TIFF", "RGB")),
        ("photo.gif", encoded("GIF"), ("photo-coloured.png", "PNG", "RGB")),
        ("photo.avif", encoded("AVIF"), ("photo-coloured.png", "PNG", "RGB")),
    ],
)
def test_a_photograph_comes_back_in_colour_in_its_own_format(site, name, content, written):
    slider, download, refusal = site.colour(site.upload(name, content))
    assert refusal is None
    assert download["orig_name"] == written[0]
    answer = site.fetch(download)
    with Image.open(io.BytesIO(answer.content)) as coloured:
        assert (coloured.format, coloured.mode, coloured.size) == (*written[1:], (60, 40))
    assert median_tint(answer.content) == pytest.approx(TINTS["unet"], abs=4)
    before, after = (site.fetch(picture).content for picture in slider)
    assert median_tint(before) == pytest.approx((0, 0), abs=2)
    assert median_tint(after)[0] > 10  # paler where it is transparent


def test_the_download_is_as_large_as_the_photograph_and_the_slider_is_quick(site):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    slider, download, _ = site.colour(site.upload("large.jpg", encoded(size=(2400, 1500), exif=exif)))
    with Image.open(io.BytesIO(site.fetch(download).content)) as coloured:
        assert coloured.size == (1500, 2400)
        kept = coloured.getexif()
        assert (kept[0x010F], kept.get(0x0112, 1)) == ("a camera", 1)
    for picture in slider:
        with Image.open(io.BytesIO(site.fetch(picture).content)) as shown:
            assert shown.size == (1000, 1600)


def test_the_model_that_was_chosen_paints(site):
    _, download, _ = site.colour(site.upload("photo.png", encoded("PNG")), "gan")
    assert median_tint(site.fetch(download).content) == pytest.approx(TINTS["gan"], abs=4)


def test_the_strength_that_was_chosen_is_that_of_the_colours(site):
    for strength in (0, 0.5):
        _, download, _ = site.colour(site.upload("photo.png", encoded("PNG")), "unet", SIZE, strength)
        assert median_tint(site.fetch(download).content) == pytest.approx(np.multiply(TINTS["unet"], strength), abs=4)


def test_several_photographs_come_back_as_a_zip_and_what_is_wrong_with_one_costs_no_other(site, painter):
    sent = {"a.jpg": encoded(), "bad.jpg": b"no photograph", "A.jpg": encoded(size=(30, 20)), "b.tif": encoded("GIF")}
    slider, download, told = site.colour(site.upload_all(*sent.items()))
    assert download["orig_name"] == "coloured.zip"
    with zipfile.ZipFile(io.BytesIO(site.fetch(download).content)) as packed:
        assert packed.testzip() is None
        content = {name: packed.read(name) for name in packed.namelist()}
    assert list(content) == ["a-coloured.jpg", "A-coloured-2.jpg", "b-coloured.tif"]
    for picture in content.values():
        assert median_tint(picture) == pytest.approx(TINTS["unet"], abs=4)
    with Image.open(io.BytesIO(content["A-coloured-2.jpg"])) as coloured:
        assert coloured.size == (30, 20)
    assert "bad.jpg: Not a picture that can be read here" in told
    assert len(slider) == 2
    assert len(painter.visitors) == 4


def test_of_several_photographs_those_that_fail_leave_one_that_is_no_zip(site):
    _, download, told = site.colour(site.upload_all(("bad.jpg", b"<b>"), ("a.jpg", encoded())))
    assert download["orig_name"] == "a-coloured.jpg"
    assert "bad.jpg: Not a picture" in told
    assert site.colour(site.upload_all(("bad.jpg", b""), ("worse.jpg", b"")))[:2] == [None, None]


def test_when_too_many_wait_it_is_said_which_of_several_are_not_done(tmp_path):
    from pipeline.serving import page  # which takes seconds

    class Full:
        uploads = SimpleNamespace(new=lambda host: tmp_path)

        async def paint(self, host, visitor, file, folder, **how):
            if file == "a.jpg":
                return {"result": "a-coloured.jpg", "told": ""}
            raise Refusal(429, "too many photographs wait just now")

    request = SimpleNamespace(client=SimpleNamespace(host="127.0.0.1"), session_hash="somebody")
    painted, told = asyncio.run(page._colour(Full(), request, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]))
    assert [each["result"] for each in painted] == ["a-coloured.jpg"]
    assert told == ["b.jpg and 2 more: Too many photographs wait just now."]


def test_who_leaves_has_none_of_the_others_painted(site, painter):
    painter.may_go_on.clear()
    session = site.join(site.upload_all(*(("a.jpg", encoded()) for _ in range(3))))
    with site.client.stream("GET", "gradio_api/queue/data", params={"session_hash": session}):
        until(lambda: painter.visitors)
    until(lambda: session in painter.left)
    painter.may_go_on.set()
    site.colour(site.upload("photo.jpg", encoded()))
    assert painter.visitors.count(session) == 1


def test_without_a_photograph_there_is_nothing_to_see(site):
    assert site.colour(None) == [None, None, None]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "An empty file", id="empty"),
        pytest.param(b"I am a photograph", "Not a picture that can be read here; give one of JPEG, PNG", id="text"),
        pytest.param(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript, which is not read", id="program"
        ),
        pytest.param(encoded(size=(300, 300))[:-900], "truncated", id="half a JPEG"),
        pytest.param(encoded("PNG", size=(300, 300))[:-90], "truncated", id="half a PNG"),
        pytest.param(claiming(0, 5), "PNG, broken", id="no pixels"),
        pytest.param(claiming(10_000, 6_000), "60 megapixels, of which 50 million are allowed", id="60 megapixels"),
        pytest.param(claiming(20_000, 20_000), "of which 50 million are allowed; give a smaller copy", id="bomb"),
        pytest.param(encoded("TIFF", "F"), "Floating-point pixels", id="floating point"),
    ],
)
def test_a_file_that_cannot_be_coloured_is_refused_with_its_reason(site, content, said):
    slider, download, refusal = site.colour(site.upload("photo.jpg", content))
    assert slider is download is None
    assert said in refusal
    assert str(site.folder) not in refusal
    assert refusal.count("\n") == 0


def test_a_file_name_is_no_html(site):
    file = site.upload("<img src=x onerror=alert(1)>.jpg", encoded())
    assert "<" not in Path(file["path"]).name


def test_too_many_bytes_are_refused_however_they_come(site):
    with pytest.raises(Refused, match="at most 30 MB are allowed"):
        site.upload("large.jpg", bytes((service.MEGABYTES << 20) + middleware.MESSAGE))
    with pytest.raises(Refused, match="at most 30 MB are allowed"):
        site.upload("large.jpg", bytes((service.MEGABYTES << 20) + 1))
    with pytest.raises(Refused, match="Too many files"):
        site.upload_all(*(("photo.jpg", encoded()) for _ in range(service.SEVERAL + 1)))
    address, length = httpx.URL(site.url), (service.TOGETHER << 20) + middleware.MESSAGE + 1
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    with socket.create_connection((address.host, address.port)) as visitor, visitor.makefile("rb") as answer:
        visitor.sendall(head.encode())
        assert any(b"at most 200 MB are allowed" in line for line in answer)
    assert site.client.post("gradio_api/upload", content=iter([b"chunk"])).status_code == 411
    assert site.client.post("gradio_api/queue/join", json={"data": ["long" * 20_000]}).status_code == 413


def forged(path, **more):
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}, **more}


def test_no_file_is_read_that_was_not_uploaded(site, painter, tmp_path, server, monkeypatch):
    fetched = []
    monkeypatch.setattr(
        "gradio.processing_utils.async_ssrf_protected_download", lambda url, *_, **__: fetched.append(url)
    )
    (tmp_path / "private.jpg").write_bytes(encoded())
    (server.folder / "a.jpg").write_bytes(encoded())
    uploaded = site.upload("photo.jpg", encoded())["path"]
    secrets = [
        "/etc/passwd",
        ROOT / "pyproject.toml",
        "pyproject.toml",
        tmp_path / "private.jpg",
        site.folder,
        f"{site.folder}/../{tmp_path.name}/private.jpg",
        f"{Path(uploaded).parent}/gone.jpg",
        server.url("a.jpg"),
        "http://photographs.example/a.jpg",
        "file:///etc/passwd",
    ]
    for secret in secrets:
        for data in (
            (forged(secret), "unet", SIZE),
            (None, forged(secret), SIZE),
            (None, [{"x": forged(secret)}], SIZE),
        ):
            with pytest.raises(Refused, match=r"upload it again|asks in another way"):
                site.colour(*data)
    site.colour(forged(uploaded, url=server.url("a.jpg")))  # its own photograph, wherever it says that would be
    with pytest.raises(Refused):
        site.colour({"url": server.url("a.jpg"), "meta": {"_type": "gradio.FileData"}})
    with pytest.raises(Refused):
        site.colour({"path": "/etc/passwd"})
    assert len(painter.visitors) == 1
    assert fetched == server.requested == []


def test_no_file_is_given_out_but_to_those_who_know_its_name(site, tmp_path, server):
    uploaded = Path(site.upload("photo.jpg", encoded())["path"])
    (tmp_path / "private.jpg").write_bytes(encoded())
    (server.folder / "a.jpg").write_bytes(encoded())
    assert site.fetch({"path": uploaded}).status_code == 200
    for path in (
        "/etc/passwd",
        ROOT / "pyproject.toml",
        "pyproject.toml",
        tmp_path / "private.jpg",
        f"{site.folder}/",
        f"{uploaded.parent}/",
        uploaded.parent,
        f"{site.folder}/%2e%2e/{tmp_path.name}/private.jpg",
        server.url("a.jpg"),
        "http://photographs.example/a.jpg",
    ):
        assert site.fetch({"path": path}).status_code == 404, path
    assert server.requested == []


def names(folder):
    return {path.name for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["notes.txt", "photo", "photo.jpg.exe", "\x1b[2J.svg", ".jpg", ""])
def test_a_name_of_another_kind_is_refused_in_words_and_nothing_is_kept_or_logged(site, name, capfd):
    before = names(site.folder)
    with pytest.raises(Refused, match=r"Not the name of a picture|no photograph"):
        site.upload(name, encoded())
    assert names(site.folder) == before
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "body", [b"", b"--x", b"--x\r\n\r\n\r\n--x--", b"--x\r\nContent-Disposition: form-data", b"\0" * 999]
)
def test_a_broken_upload_is_refused_in_words_and_nothing_is_kept_or_logged(site, body, capfd):
    before = names(site.folder)
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data", "application/json", "\xff"):
        answer = site.client.post("gradio_api/upload", content=body, headers={"Content-Type": kind.encode("latin-1")})
        assert answer.status_code == 400
        assert "Error" not in answer.text
    assert names(site.folder) == before
    assert capfd.readouterr().err == ""


def test_an_upload_that_breaks_off_leaves_nothing(site, capfd):
    before = names(site.folder)
    address = httpx.URL(site.url)
    head = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    part = '--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    with socket.create_connection((address.host, address.port)) as visitor:
        visitor.sendall(f"{head}Content-Length: 9000000\r\n\r\n{part}".encode() + bytes(5_000_000))
    kept = Path(site.upload("photo.jpg", encoded())["path"])  # the server goes on
    assert names(site.folder) - before <= {kept.name, kept.parent.name}
    assert capfd.readouterr().err == ""


def test_who_sends_many_at_once_leaves_room_for_another(site, monkeypatch):
    monkeypatch.setattr(files, "AT_ONCE", 4)
    address = httpx.URL(site.url)
    head = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    sender, another = "127.0.0.3", Site(site.url, address="127.0.0.2")  # of whom no upload may be ending yet
    with ExitStack() as opened:
        for _ in range(2):
            place = (address.host, address.port)
            visitor = opened.enter_context(socket.create_connection(place, timeout=60, source_address=(sender, 0)))
            visitor.sendall(f"{head}Expect: 100-continue\r\nContent-Length: 9000000\r\n\r\n".encode())
            assert b"100 Continue" in visitor.recv(1 << 16)  # it is being received
        with pytest.raises(Refused, match="again in a minute"):
            Site(site.url, address=sender).upload("photo.jpg", encoded())
        assert another.upload("photo.jpg", encoded())


def test_connections_that_ask_nothing_leave_some_for_another(site, monkeypatch):
    monkeypatch.setattr(http, "CONNECTIONS", 8)
    place, sender = (httpx.URL(site.url).host, httpx.URL(site.url).port), "127.0.0.4"
    with ExitStack() as opened:
        silent = [
            opened.enter_context(socket.create_connection(place, timeout=60, source_address=(sender, 0)))
            for _ in range(6)
        ]
        for visitor in silent[4:]:
            with suppress(ConnectionError):
                assert visitor.recv(1) == b""  # it was closed at once
        another = Site(site.url, address="127.0.0.5")
        assert another.client.get("health").json() == {"status": "ok"}
        silent[0].sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in silent[0].recv(1 << 16)


def test_an_upload_that_dawdles_is_cut_off(site, monkeypatch):
    monkeypatch.setattr(files, "FIRST", 0)
    monkeypatch.setattr(files, "SLOWEST", 1 << 60)
    assert site.client.post("gradio_api/upload", files={"files": ("a.jpg", bytes(1 << 20))}).status_code == 408


def test_a_request_that_does_not_come_to_the_point_is_cut_off(site, monkeypatch):
    monkeypatch.setattr(http, "PATIENCE", 0.1)
    address = httpx.URL(site.url)
    for head in (b"", b"GET / HTTP/1.1\r\nHost: localh", b"GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\n\r\nGET"):
        with socket.create_connection((address.host, address.port), timeout=60) as visitor:
            visitor.sendall(head)
            while visitor.recv(1 << 16):
                pass  # until the server closes the connection


def test_an_answer_that_nobody_takes_is_given_up(site, monkeypatch):
    monkeypatch.setattr(http, "PATIENCE", 0.1)
    address, late = httpx.URL(site.url), time.monotonic() + 60
    with socket.socket() as visitor:
        visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        visitor.settimeout(60)
        visitor.connect((address.host, address.port))
        visitor.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        with suppress(ConnectionError):  # until the server takes the connection away
            while time.monotonic() < late:
                visitor.send(b"\n")
                time.sleep(0.05)
    assert time.monotonic() < late


def test_what_is_asked_in_another_way_is_refused_and_not_logged(site, painter, capfd):
    session = uuid.uuid4().hex
    usual = {"data": [None, "unet", SIZE, 1], "fn_index": site.colours, "session_hash": session}
    for change in (
        {"data": []},
        {"data": [None] * 5},
        {"data": None},
        {"data": [None, ["unet"], SIZE, 1]},
        {"data": [None, None, SIZE, 1]},
        {"data": [None, "unet", SIZE, [1]]},
        {"data": ["photo.jpg", "unet", SIZE, 1]},
        {"data": [["photo.jpg"], "unet", SIZE, 1]},
        {"data": [{"path": "photo.jpg"}, "unet", SIZE, 1]},
        {"data": [7, "unet", SIZE, 1]},
        {"fn_index": 999},
        {"fn_index": "colour"},
        {"session_hash": None},
        {"session_hash": "../" * 9},
    ):
        assert site.client.post("gradio_api/queue/join", json=usual | change).status_code == 422, change
    for body in (b"", b"{", b"[" * 9_000, b"\xff"):
        assert site.client.post("gradio_api/queue/join", content=body).status_code == 422
    assert painter.visitors == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example:7860"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_site_that_a_visitor_is_on_can_upload_and_ask_nothing(site, painter, headers):
    before = names(site.folder)
    upload = site.client.post("gradio_api/upload", files={"files": ("a.jpg", encoded())}, headers=headers)
    ask = site.client.post("gradio_api/queue/join", json={}, headers=headers)
    assert {upload.status_code, ask.status_code} <= {403, 421}
    assert "access-control-allow-origin" not in upload.headers
    preflight = {"Access-Control-Request-Method": "POST"} | headers
    assert site.client.options("gradio_api/upload", headers=preflight).status_code in (403, 405, 421)
    assert names(site.folder) == before


def test_the_page_itself_may_ask_by_each_of_its_names(site):
    port = httpx.URL(site.url).port
    for scheme, host in (
        ("http", f"127.0.0.1:{port}"),
        ("http", f"localhost:{port}"),
        ("http", f"[::1]:{port}"),
        ("http", "192.168.0.7:8080"),
        ("https", "photos.example"),
    ):
        headers = {"Host": host, "Origin": f"{scheme}://{host}", "Sec-Fetch-Site": "same-origin"}
        answer = site.client.post("gradio_api/upload", files={"files": ("a.jpg", encoded())}, headers=headers)
        assert answer.status_code == 200
        assert site.client.get("config", headers={"Host": host}).json()["root"] == f"{scheme}://{host}"


@pytest.fixture(scope="module")
def below(tmp_path_factory):
    """A page on IPv6, behind a proxy that puts it below a path."""
    with stand_ins(tmp_path_factory.mktemp("below"), host="::1", url="https://photos.example/old/colours/") as site:
        yield site


def test_a_page_below_a_path_is_found_whether_or_not_the_proxy_hands_that_on(below):
    for path in ("", "old/colours/", "old/colours"):
        assert "old/colours/page.js" in below.client.get(path, headers={"Host": "photos.example"}).text
        root = below.client.get(f"{path.rstrip('/')}/config", headers={"Host": "photos.example"}).json()["root"]
        assert root == "https://photos.example/old/colours"
    assert below.client.get("old/colours/api/openapi.json").json()["servers"] == [{"url": "/old/colours"}]
    assert below.client.post("old/colours/api/colourise", content=encoded()).status_code == 200
    for path in ("old/", "old/coloursapi/models", "old/colours/old/colours/api/models", "oldcolours/"):
        assert below.client.get(path).status_code == 404
    assert below.client.post("old/colours/api/colourise", headers={"Origin": "https://evil.example"}).status_code == 403


def test_what_a_proxy_alone_could_know_is_not_believed(site):
    lies = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Gradio-Server": "http://evil.example"}
    lies |= {"Forwarded": "host=evil.example"}
    for path in ("", "config"):
        assert "evil.example" not in site.client.get(path, headers=lies).text


def test_files_are_given_out_as_what_they_are_and_to_be_kept(site):
    slider, download, _ = site.colour(site.upload("photo.jpg", encoded()))
    answer = site.fetch(download)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"] == 'attachment; filename="photo-coloured.jpg"'
    assert site.fetch(slider[0]).headers["content-type"] == "image/webp"
    page_ = site.upload("<html>.tif", b"<script>alert(1)</script>")
    assert site.fetch(page_).headers["content-type"] == "application/octet-stream"
    for path in ("", "config", "gradio_api/nothing", f"gradio_api/file={download['path']}"):
        headers = site.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe-eval" not in headers["content-security-policy"]
        assert "script-src 'self' 'unsafe-inline'" not in headers["content-security-policy"]


@pytest.mark.parametrize(
    "route",
    [
        "run/colour",
        "api/0",
        "call/colour",
        "cancel",
        "reset",
        "component_server",
        "process_recording",
        "proxy=http://a.example",
        "info",
    ],
)
def test_nothing_is_open_but_what_the_page_needs(site, route):
    for method in ("GET", "POST"):
        assert site.client.request(method, f"gradio_api/{route}", json={"data": []}).status_code == 404


@pytest.mark.parametrize("query", ["", "?session_hash=", "?session_hash=nobody", "?session_hash=a&session_hash=b"])
def test_who_asked_nothing_gets_no_answer_and_nothing_is_logged(site, painter, query, capfd):
    assert "process_completed" not in site.client.get(f"gradio_api/queue/data{query}").text
    assert "" not in painter.left  # for whom models are loaded
    assert capfd.readouterr().err == ""


def asked_for_none(site, *asked):
    try:
        return "There is no such model, size or strength" in site.colour(*asked)[2]
    except Refused as refused:
        return "asks in another way" in str(refused)


def test_a_choice_that_is_none_is_refused(site, painter):
    file = site.upload("photo.jpg", encoded())
    for model, size in (("/etc/passwd", SIZE), ("unet", 1 << 20), ("unet", "64"), (["unet"], SIZE)):
        assert asked_for_none(site, file, model, size)
    for strength in (-0.1, 2.1, "1", None):
        assert asked_for_none(site, file, "unet", SIZE, strength)
    assert "21 photographs, of which 20 are allowed at once" in site.colour([file] * 21)[2]
    assert painter.visitors == []


def test_of_fifty_at_once_each_is_answered_or_told_why_not_and_one_is_coloured_at_a_time(site, painter):
    file = site.upload("photo.jpg", encoded())
    painter.may_go_on.clear()
    with ThreadPoolExecutor(50) as pool:
        try:
            asked = list(pool.map(lambda _: site.join(file, "unet", SIZE), range(50)))
            answering = [pool.submit(site.answer, session) for session in asked]
            # Gradio lets them in one by one; until all have come to their turn, the first goes on being coloured.
            list(islice(as_completed(answering, timeout=60), 50 - service.WAITING - 1))
        finally:
            painter.may_go_on.set()
        answers = [future.result() for future in answering]
    coloured = [answer for answer in answers if answer[1]]
    assert all("Too many photographs wait just now" in reason for _, download, reason in answers if not download)
    assert len(coloured) == service.WAITING + 1  # one of them is being coloured
    assert (len(painter.visitors), painter.most) == (len(coloured), 1)


def test_nobody_waits_for_all_that_another_visitor_sent(site, painter):
    another = Site(site.url, address="127.0.0.2")
    file = site.upload("photo.jpg", encoded())
    painter.may_go_on.clear()
    try:
        many = [site.join(file, "unet", SIZE) for _ in range(service.WAITING + 5)]
        one = another.join(another.upload("photo.jpg", encoded()), "gan", SIZE)
    finally:
        painter.may_go_on.set()
    assert another.answer(one)[1]
    for session in many:
        site.answer(session)
    assert painter.visitors.index(one) == 1  # the first was being coloured already


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A folder with models in it, to work in, and where temporary files are."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    saved.save(Path("models/unet.safetensors"), random_unet(), **COLOURISER)
    Path("mine.onnx").write_bytes(tinting(*TINTS["unet"]))
    return tmp_path


def test_without_torch_the_models_are_those_that_need_none(trained, monkeypatch):
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    assert serve.find("photograph") == INCLUDED


def test_the_models_that_there_are_can_be_chosen_and_the_one_named_comes_first(trained):
    unet, gan = (Path(f"models/{name}.safetensors") for name in ("unet", "gan"))
    assert serve.find(None) == {"unet": unet} | INCLUDED
    shutil.copy(unet, gan)
    assert list(serve.find(None)) == ["unet", "gan", "photograph"]
    assert list(serve.find("gan")) == ["gan", "unet", "photograph"]
    assert list(serve.find("mine.onnx")) == ["mine", "unet", "gan", "photograph"]
    shutil.copy("mine.onnx", "unet.onnx")
    assert serve.find("unet.onnx") == {"unet": Path("unet.onnx"), "gan": gan} | INCLUDED
    shutil.rmtree("models")
    assert serve.find(None) == INCLUDED
    with pytest.raises(PipelineError, match="there is no gone"):
        serve.find("gone")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder; returns its exit code and errors."""
    monkeypatch.chdir(tmp_path)

    def serve(*arguments):
        monkeypatch.setattr(sys, "argv", ["pipeline", "serve", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            __main__.main()
        return left.value.code, capsys.readouterr().err.splitlines()

    return serve


def test_without_the_model_that_is_named_the_command_says_how_to_train_it(run):
    message = "error: --model unet: there is no models/unet.safetensors; run `dvc repro` to train it"
    assert run("--port", free_port(), "--model", "unet") == (1, [message])


def test_where_nothing_can_listen_is_one_line(run):
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        code, errors = run("--port", port)
    assert (code, len(errors)) == (1, 1)
    assert errors[0].startswith(f"error: --host 127.0.0.1 --port {port}: Address already in use; give another --port")


@pytest.mark.parametrize(
    "url",
    [
        "photos.example",
        "ftp://photos.example",
        "https://",
        "https://a.example/?b",
        "https://a.example/b c",
        "",
        "https://a:99999",
        "https://[::1",
    ],
)
def test_what_is_no_address_of_a_page_is_refused(run, url):
    message = f"error: --url {url}: not an address, allowed: http(s)://NAME, with :PORT and /PATH if need be"
    assert run("--url", url) == (1, [message])


def folders(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(PREFIX)]


@pytest.fixture(params=[getattr(signal, name) for name in serve.ENDINGS if hasattr(signal, name)])
def ending(request):
    """A signal that is not ignored, as nohup has it and processes inherit it."""
    before = signal.getsignal(request.param)
    if before == signal.SIG_IGN:
        signal.signal(request.param, signal.SIG_DFL)
    yield request.param
    signal.signal(request.param, before)


def test_the_command_serves_the_page_until_it_is_ended_and_leaves_nothing(trained, ending):
    shutil.rmtree("models")  # for torch takes long to load
    with command(trained, "--model", "mine.onnx") as (serving, site):
        _, download, _ = site.colour(site.upload("photo.jpg", encoded()), "mine")
        assert site.fetch(download).status_code == 200
        serving.send_signal(ending)
        assert serving.wait(60) == 0
        assert serving.stderr.read() == ""
    assert folders(trained) == []


def test_the_processes_of_a_server_that_is_killed_end_and_the_next_one_deletes_what_it_left(trained):
    shutil.rmtree("models")  # for torch takes long to load
    with command(trained, "--model", "mine.onnx") as (serving, site):
        site.upload("photo.jpg", encoded())
        (painting,) = psutil.Process(serving.pid).children()
        serving.kill()
        serving.wait()
        painting.wait(60)
        assert len(folders(trained)) == 1
    with closing(Uploads(trained / "another")) as uploads:
        assert folders(trained) == []
        assert uploads.folder.exists()


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(site, chromium):
    """The page in a browser, of a phone's width; no request may leave this computer."""
    tab = chromium.new_page(viewport={"width": 390, "height": 844})
    tab.set_default_timeout(60_000)
    tab.requested, tab.errors = [], []
    tab.on("request", lambda request: tab.requested.append(request.url))
    tab.on("console", lambda message: tab.errors.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.goto(site.url)
    yield tab
    tab.close()
    assert [url for url in tab.requested if not url.startswith((site.url, "data:", "blob:"))] == []


expect.set_options(timeout=60_000)  # a computer may have a lot to do
in_a_browser = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")


def give(tab, name, content):
    tab.locator("input[type=file]").set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": content})


def downloaded(tab, words="Download in full size"):
    with tab.expect_download() as download:
        tab.get_by_role("button", name=words).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


@in_a_browser
def test_a_visitor_uploads_slides_chooses_and_downloads(tab):
    give(tab, "photo.jpg", encoded(size=(600, 400)))
    expect(tab.get_by_test_id("imageslider-image")).to_have_count(2)
    name, content = downloaded(tab)
    assert name == "photo-coloured.jpg"
    assert median_tint(content) == pytest.approx(TINTS["unet"], abs=4)

    before = tab.get_by_test_id("imageslider-image").last.get_attribute("src")
    tab.get_by_role("radio", name="GAN").check()
    expect(tab.get_by_test_id("imageslider-image").last).not_to_have_attribute("src", before)
    assert median_tint(downloaded(tab)[1]) == pytest.approx(TINTS["gan"], abs=4)

    tab.get_by_role("button", name="Clear").click()
    expect(tab.get_by_role("button", name="Download in full size")).to_be_hidden()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390  # all of it can be seen on a phone
    assert tab.errors == []


@in_a_browser
def test_all_that_a_page_below_a_path_asks_is_below_it(below, chromium):
    place = f"{below.url}old/colours/"
    with closing(chromium.new_page()) as tab:
        requested, errors = [], []
        tab.on("request", lambda request: requested.append(request.url))
        tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        tab.goto(place)
        tab.get_by_role("button", name="chelsea").click()
        assert downloaded(tab)[0] == "chelsea-coloured.png"
        assert [url for url in requested if not url.startswith((place, "data:", "blob:"))] == []
        assert errors == []


@in_a_browser
def test_a_visitor_sends_several_and_takes_home_a_zip(tab, tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded())
    (tmp_path / "b.png").write_bytes(encoded("PNG"))
    tab.locator("input[type=file]").set_input_files([tmp_path / "a.jpg", tmp_path / "b.png"])
    name, content = downloaded(tab, "Download all 2 in full size, as a ZIP")
    assert name == "coloured.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert packed.namelist() == ["a-coloured.jpg", "b-coloured.png"]
    assert tab.errors == []


@in_a_browser
def test_a_visitor_slides_and_chooses_the_strength_by_keyboard(tab):
    give(tab, "photo.jpg", encoded(size=(600, 400)))
    slider = tab.get_by_role("slider", name="Grey on its left, coloured on its right")
    expect(slider).to_have_attribute("aria-valuenow", "50")
    for key, place in (("ArrowRight", "55"), ("Home", "0"), ("ArrowLeft", "0"), ("PageUp", "20"), ("End", "100")):
        slider.press(key)
        expect(slider).to_have_attribute("aria-valuenow", place)
    coloured = tab.get_by_role("img", name="The photograph in colour")
    assert coloured.evaluate("picture => picture.style.clipPath") == "inset(0px 0px 0px 100%)"
    before = coloured.get_attribute("src")
    tab.get_by_role("slider", name="range slider for Strength").press("Home")
    expect(coloured).not_to_have_attribute("src", before)
    assert median_tint(downloaded(tab)[1]) == pytest.approx((0, 0), abs=2)
    assert tab.errors == []


@in_a_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screen_readers_have_words_for_all_and_everybody_can_read_it(site, tab, scheme):
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": 360, "height": 640})
    tab.reload()
    expect(tab.get_by_role("button", name="chelsea")).to_be_visible()
    assert Axe().run(tab).response["violations"] == []
    tab.locator("input[type=file]").set_input_files(
        [{"name": f"{content[:1]}.jpg", "mimeType": "image/jpeg", "buffer": content} for content in (encoded(), b"b")]
    )
    expect(tab.get_by_role("alert")).to_be_visible()
    expect(tab.get_by_role("slider", name="Grey on its left")).to_be_visible()
    assert Axe().run(tab).response["violations"] == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    tab.goto(f"{site.url}api/docs")
    assert Axe().run(tab).response["violations"] == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360


@in_a_browser
def test_a_visitor_tries_an_example(tab):
    tab.get_by_role("button", name="chelsea").click()
    expect(tab.get_by_test_id("imageslider-image")).to_have_count(2)
    name, content = downloaded(tab)
    assert name == "chelsea-coloured.png"
    assert median_tint(content) == pytest.approx(TINTS["unet"], abs=4)
    assert tab.errors == []


@in_a_browser
def test_a_visitor_is_told_what_is_wrong_and_goes_on(tab, tmp_path):
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate((service.MEGABYTES << 20) + 1)
    give(tab, "photo.jpg", b"I am a photograph")
    expect(tab.get_by_role("alert")).to_have_text(f"Not a picture that can be read here; give one of {formats.NAMES}.")
    tab.get_by_role("button", name="Clear").click()
    tab.locator("input[type=file]").set_input_files(large)
    expect(tab.get_by_text("exceed the maximum allowed size of 30.0 Mb")).to_be_visible()
    give(tab, "photo.jpg", encoded())
    expect(tab.get_by_test_id("imageslider-image")).to_have_count(2)
    expect(tab.get_by_text("Not a picture")).to_be_hidden()
