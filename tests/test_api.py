"""The interface for programs."""

import io
import os
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from pipeline.photographs import writing
from pipeline.serving import middleware, service
from tests.painters import tinting
from tests.sites import TINTS, Site, claiming, command, encoded, median_tint
from tests.waiting import until

CURL = shutil.which("curl")
COLOURISE = "api/colourise"


@pytest.fixture(autouse=True)
def nothing_is_left(site):
    """Of what a program sends nothing stays longer than it takes to answer."""
    before = folders(site.folder)
    yield
    until(lambda: folders(site.folder) == before)


def folders(folder):
    return set(os.listdir(folder))  # not what is in them, which might just be deleted  # noqa: PTH208


def colourise(site, content, name=None, **parameters):
    """Send a photograph: under a name as a form, without one as it is."""
    sent = {"files": {"file": (name, content)}} if name else {"content": content}
    return site.client.post(COLOURISE, params=parameters, **sent)


def refused(answer):
    """The status and the words of a refusal."""
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    (line,) = answer.text.splitlines()
    return answer.status_code, line


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("photo.jpg", encoded(), "JPEG"),
        (None, encoded(), "JPEG"),
        (None, encoded("PNG", "L"), "PNG"),
        (None, encoded("WEBP", "RGBA"), "WEBP"),
        (None, encoded("TIFF", "CMYK"), "TIFF"),
        (None, encoded("GIF"), "PNG"),
        ("photo.jfif", encoded(), "JPEG"),
        ("photo.jpe", encoded(), "JPEG"),
        ("photo.apng", encoded("PNG"), "PNG"),
        ("my photo.PNG", encoded("PNG"), "PNG"),
        ("no suffix", encoded(), "JPEG"),
    ],
)
def test_a_photograph_comes_back_in_colour_in_its_own_format(site, name, content, kind):
    answer = colourise(site, content, name)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"image/{kind.lower()}"
    stem = Path(name or "photo").stem
    assert f"{stem}-coloured." in answer.headers["content-disposition"].replace("%20", " ")
    with Image.open(io.BytesIO(answer.content)) as coloured:
        assert (coloured.format, coloured.size) == (kind, (60, 40))
    assert median_tint(answer.content) == pytest.approx(TINTS["unet"], abs=4)


def test_model_size_and_strength_are_heeded_and_said_in_the_result(site, tmp_path):
    path = tmp_path / "result.jpg"
    path.write_bytes(colourise(site, encoded(), model="gan", size=32, strength=0.5).content)
    assert median_tint(path.read_bytes()) == pytest.approx(np.divide(TINTS["gan"], 2), abs=4)
    assert (writing.made(path).size, writing.made(path).strength) == (32, 0.5)
    assert median_tint(colourise(site, encoded(), strength=0).content) == pytest.approx((0, 0), abs=2)


def test_what_a_result_does_not_hold_is_told(site):
    answer = colourise(site, encoded()[:2] + b"\xff\xe1\x00\x10Exif\0\0garbage!" + encoded()[2:])
    assert answer.status_code == 200
    assert "EXIF" in answer.headers["colourgan-told"]
    assert "colourgan-told" not in colourise(site, encoded()).headers


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"", 415, "An empty file; give a picture."),
        (b"I am a photograph", 415, "Not a picture that can be read here; give one of JPEG, PNG"),
        (b"http://photographs.example/a.jpg", 415, "Not a picture"),
        (b'{"url": "http://photographs.example/a.jpg"}', 415, "Not a picture"),
        (b"%PDF-1.7 ", 415, "PDF, which is not read here; export it as PNG or TIFF."),
        (encoded(size=(300, 300))[:-900], 422, "truncated"),
        (claiming(0, 5), 422, "PNG, broken"),
        (claiming(20_000, 20_000), 422, "of which 50 million are allowed; give a smaller copy."),
        (encoded("TIFF", "F"), 422, "Floating-point pixels"),
        (bytes((service.MEGABYTES << 20) + 1), 413, "at most 30 MB are allowed; give a smaller copy"),
        (
            bytes((service.MEGABYTES << 20) + middleware.MESSAGE + 1),
            413,
            "at most 30 MB are allowed; give a smaller copy",
        ),
    ],
)
def test_what_cannot_be_coloured_is_refused_with_its_reason(site, content, status, said):
    for name in (None, "photo.jpg"):
        answered, line = refused(colourise(site, content, name))
        assert (answered, said in line) == (status, True), line
        assert str(site.folder) not in line


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"size": 15}, "size: given 15: Input should be greater than or equal to 16"),
        ({"size": 1 << 20}, "size: given 1048576: Input should be less than or equal to 256"),
        ({"size": "large"}, "size: given large: "),
        ({"strength": 2.01}, "strength: given 2.01: "),
        ({"strength": "nan"}, "strength: given nan: "),
        ({"model": "/etc/passwd"}, "model: given /etc/passwd: Input should be 'unet' or 'gan'"),
        ({"url": "http://photographs.example/a.jpg"}, "url: given http://photographs.example/a.jpg: "),
        ({"a\nb\x1b": 1}, r"a\nb\x1b: given 1: "),
    ],
)
def test_a_parameter_that_is_none_is_refused(site, painter, parameters, said):
    status, line = refused(colourise(site, encoded(), **parameters))
    assert (status, line[: len(said)]) == (422, said)
    assert painter.visitors == []


MULTIPART = "multipart/form-data; boundary=x"
UNREADABLE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\nabc\r\n--x--\r\n'


def test_a_form_without_one_photograph_is_refused(site, painter):
    file = ("photo.jpg", encoded())
    for status, said, form in (
        (422, "Given files in the form, allowed: one file named file", {"files": {"files": file}}),
        (422, "Given size in the form, allowed: ", {"files": {"file": file}, "data": {"size": "64"}}),
        (400, "give a file named file", {"files": {"file": (None, b"photo.jpg")}}),
        (400, "Too many files", {"files": [("file", file), ("file", file)]}),
        (400, "", {"content": b"--x", "headers": {"content-type": "multipart/form-data; boundary=x"}}),
        (400, "", {"content": b"--x", "headers": {"content-type": "multipart/form-data"}}),
        (
            400,
            "a form in UTF-8",
            {"content": UNREADABLE, "headers": {"content-type": f"{MULTIPART}; charset=undefined"}},
        ),
    ):
        answered, line = refused(site.client.post(COLOURISE, **form))
        assert (answered, said in line) == (status, True), line
    assert painter.visitors == []


def test_what_comes_without_its_length_is_refused(site):
    assert refused(site.client.post(COLOURISE, content=iter([encoded()])))[0] == 411


def test_other_methods_are_refused_and_it_is_said_which_are_answered(site):
    for path, allowed in ((COLOURISE, "POST"), ("api/models", "GET, HEAD"), ("health", "GET, HEAD")):
        for method in {"GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"} - set(allowed.split(", ")):
            answer = site.client.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert site.client.get("api/nothing").status_code == 404


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_site_that_a_visitor_is_on_can_ask_nothing(site, painter, headers):
    answer = site.client.post(COLOURISE, content=encoded(), headers=headers)
    assert refused(answer)[0] in (403, 421)
    assert "access-control-allow-origin" not in answer.headers
    for path in ("api/models", "health", "api/docs", "api/openapi.json"):
        assert site.client.get(path, headers=headers).status_code in (403, 421)
    assert painter.visitors == []


def test_models_and_health(site):
    assert site.client.get("api/models").json() == {"default": "unet", "models": ["unet", "gan"]}
    assert site.client.get("health").json() == {"status": "ok"}
    assert site.client.head("health").status_code == 200


def test_the_manual_says_all_that_can_be_asked_and_runs_and_loads_nothing(site):
    manual, schema = site.client.get("api/docs"), site.client.get("api/openapi.json").json()
    assert set(schema["paths"]) == {"/api/colourise", "/api/models", "/health"}
    for path, methods in schema["paths"].items():
        assert path in manual.text
        for operation in methods.values():
            assert all(parameter["name"] in manual.text for parameter in operation.get("parameters", ()))
    assert "<script" not in manual.text
    assert "src=" not in manual.text


def test_when_too_many_wait_it_is_said_and_nobody_waits_for_all_that_another_sent(site, painter):
    another = Site(site.url, address="127.0.0.2")
    painter.may_go_on.clear()
    many = service.WAITING + 3
    with ThreadPoolExecutor(many + 1) as pool:
        asked = [pool.submit(colourise, site, encoded()) for _ in range(many)]
        until(lambda: sum(answer.done() for answer in asked) == 2)  # of those that wait, and the one that is painted
        refusals = [refused(answer.result()) for answer in asked if answer.done()]
        another_one = pool.submit(colourise, another, encoded())
        until(lambda: sum(answer.done() for answer in asked) == 3)  # who has most makes room
        painter.may_go_on.set()
        assert another_one.result().status_code == 200
        statuses = [answer.result().status_code for answer in asked]
    assert (429, "Too many photographs wait just now; come back in a few minutes.") in refusals
    assert (statuses.count(200), statuses.count(429)) == (service.WAITING, 3)
    assert painter.most == 1


def test_who_breaks_off_no_longer_waits(site, painter):
    painter.may_go_on.clear()
    address, content = httpx.URL(site.url), encoded()
    head = f"POST /{COLOURISE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(colourise, site, content)
        until(lambda: painter.visitors)
        before = folders(site.folder)
        with socket.create_connection((address.host, address.port)) as visitor:
            visitor.sendall(head.encode() + content)
            until(lambda: folders(site.folder) != before)
        until(lambda: folders(site.folder) == before)  # what the other sent is deleted before it is its turn
        painter.may_go_on.set()
        assert first.result().status_code == 200
    assert len(painter.visitors) == 1


def test_an_upload_that_breaks_off_leaves_nothing(site, painter, capfd):
    address = httpx.URL(site.url)
    with socket.create_connection((address.host, address.port)) as visitor:
        visitor.sendall(f"POST /{COLOURISE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n".encode())
        visitor.sendall(encoded())
    assert colourise(site, encoded()).status_code == 200
    assert len(painter.visitors) == 1
    assert capfd.readouterr().err == ""


def test_what_is_answered_is_what_the_openapi_document_says(site, tmp_path):
    options = ["--max-examples", "50", "--seed", "1", "--generation-database", "none", "--no-color"]
    options += ["--exclude-checks", "positive_data_acceptance"]  # for random bytes are no photograph
    address = f"{site.url}api/openapi.json"
    run = [sys.executable, "-m", "schemathesis.cli", "run", address, *options]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 3" in done.stdout


@pytest.mark.skipif(CURL is None, reason="there is no curl")
def test_curl_colours_a_photograph_on_ipv6_whatever_proxy_the_environment_names(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    Path("mine.onnx").write_bytes(tinting(*TINTS["unet"]))
    Path("photo.jpg").write_bytes(encoded())

    def curl(*arguments):
        return subprocess.check_output((CURL, "-sS", "-g", "--noproxy", "*", *arguments), text=True)

    with command(tmp_path, "--model", "mine.onnx", host="::1") as (_, site):
        address = f"{site.url}{COLOURISE}"
        curl("-F", "file=@photo.jpg", "-o", "form.jpg", f"{address}?size=32&strength=0.5")
        curl("--data-binary", "@photo.jpg", "-OJ", address)
        assert median_tint(Path("form.jpg").read_bytes()) == pytest.approx(np.divide(TINTS["unet"], 2), abs=4)
        assert median_tint(Path("photo-coloured.jpg").read_bytes()) == pytest.approx(TINTS["unet"], abs=4)
        Path("large.jpg").write_bytes(bytes((service.MEGABYTES << 20) + 1))
        assert curl("-F", "file=@large.jpg", "-w", "%{http_code}", address).endswith("copy.413")
        assert curl(f"{site.url}api/models") == '{"default":"mine","models":["mine","photograph"]}'
