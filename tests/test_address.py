import errno
import os
import socket

import pytest

from pipeline.serving import address
from pipeline.system.errors import PipelineError


def said(host, port):
    with pytest.raises(PipelineError) as raised:
        address.listen(host, port).close()
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1", "[::1]", "::"])
def test_it_listens_at_names_and_addresses_of_both_kinds(host):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        if ":" in host:
            pytest.skip("no IPv6 here")
    with address.listen(host, 0) as listening:
        to = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, address.bare(host))
        socket.create_connection((to, listening.getsockname()[1]), timeout=10).close()


def test_what_another_program_has_is_named_with_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = said("127.0.0.1", port)
    assert line == (
        f"--host 127.0.0.1 --port {port}: Address already in use; give another --port, as another program listens there"
    )


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64, "a..b", "127.0.0.1.1", "[::1", "http://localhost"])
def test_what_is_no_name_of_a_computer_is_called_so(host):
    assert "no computer is known by this name; give an address of this computer" in said(host, 7860)


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.EACCES, "give a --port of 1024 or more"),
        (errno.EADDRNOTAVAIL, "give a --host of this computer's"),
        (errno.EAFNOSUPPORT, "give an IPv4 address"),
        (errno.ENOBUFS, "give another --port, or a --host of this computer"),
    ],
)
def test_each_reason_has_a_way_out_of_its_own(monkeypatch, number, way_out):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "create_server", refuse)
    assert said("::1", 80).startswith(f"--host ::1 --port 80: {os.strerror(number)}; {way_out}")


def test_an_address_in_a_url_has_brackets_where_it_must():
    assert [address.in_url(host) for host in ("::1", "[::1]", "127.0.0.1", "localhost")] == [
        *("[::1]", "[::1]", "127.0.0.1", "localhost")
    ]


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://photos.example:443/a", "photos.example"),
        ("http://Photos.example:80", "photos.example"),
        ("https://photos.example:80", "photos.example:80"),
        ("https://m\u00fcnchen.example", "xn--mnchen-3ya.example"),
        ("http://[::1]:8080/", "[::1]:8080"),
    ],
)
def test_the_name_of_a_page_is_what_browsers_send(url, sent):
    assert address.as_sent(url) == sent
