"""Where the page and the interface for programs listen."""

import errno
import socket
from urllib.parse import urlsplit

from pipeline.system.errors import PipelineError

WAYS_OUT = {
    errno.EADDRINUSE: "give another --port, as another program listens there",
    errno.EACCES: "give a --port of 1024 or more, as only an administrator may use those below",
    errno.EADDRNOTAVAIL: "give a --host of this computer's, or 0.0.0.0 for all that it has",
    errno.EAFNOSUPPORT: "give an IPv4 address, as this computer has no IPv6",
}


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: a name, or an address of IPv4 or IPv6, with brackets or without.
        port: from 1 to 65535.

    Raises:
        PipelineError: nothing can listen there.
    """
    try:
        # The first that the name stands for. What is no name at all is a UnicodeError, such as one of 64 letters.
        family, _, _, _, address = socket.getaddrinfo(bare(host), port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except (socket.gaierror, UnicodeError):
        reason, way_out = "no computer is known by this name", "give an address of this computer, such as 127.0.0.1"
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]
        way_out = WAYS_OUT.get(error.errno or 0, "give another --port, or a --host of this computer")
    raise PipelineError(f"--host {host} --port {port}: {reason}; {way_out}")


def bare(host: str) -> str:
    """An address as the system takes it, without the brackets that IPv6 has in a URL."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def in_url(host: str) -> str:
    """An address as a URL has it: IPv6 in brackets."""
    return f"[{bare(host)}]" if ":" in host else host


def as_sent(url: str) -> str:
    """The name in a URL as browsers send it: in ASCII letters, with a port only where it is not the usual one.

    Raises:
        ValueError: it has no name, or none that can be one, or no such port.
    """
    parts = urlsplit(url)
    name, usual = (parts.hostname or "").encode("idna").decode(), {"http": 80, "https": 443}.get(parts.scheme)
    if not name:
        raise ValueError("no name")
    return in_url(name) + (f":{parts.port}" if parts.port not in (None, usual) else "")
