"""Which requests are let in: of programs, and of the page to those who opened it here; and none that is too long."""

import asyncio
import base64
import hashlib
import ipaddress
import re
import sys
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, Field, ValidationError, computed_field
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.serving import address
from pipeline.serving.refusals import Refusal
from pipeline.system.errors import printable

MESSAGE = 64 * 1024  # bytes of a request, at most, unless it is an upload
PATIENCE = 10  # seconds for such a request to arrive
API = "/gradio_api"
UPLOAD, JOIN, ANSWERS = f"{API}/upload", f"{API}/queue/join", f"{API}/queue/data"
# All that the page needs. Gradio has more: it fetches addresses, processes videos, and runs functions past the queue.
READ = (  # and what begins so
    *("/assets/", "/static/", "/config", "/theme.css", "/manifest.json", "/favicon.ico"),
    *(f"{API}/file=", f"{API}/upload_progress", f"{API}/startup-events", ANSWERS),
)
COLOURISE, MODELS, HEALTH = "/api/colourise", "/api/models", "/health"  # for programs
MANUAL, SCHEMA = "/api/docs", "/api/openapi.json"
SCRIPT = "/page.js"
ASKED = {"/", SCRIPT, MODELS, HEALTH, MANUAL, SCHEMA}
SENT = {UPLOAD, COLOURISE}  # where photographs are
WRITTEN = {JOIN, *SENT}
POLICY = (
    "default-src 'none'; connect-src 'self'; font-src 'self' data:; img-src 'self' data: blob:; manifest-src 'self'; "
    "style-src 'self' 'unsafe-inline'; script-src 'self'{scripts}; base-uri 'self'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class _File(BaseModel):
    path: str
    orig_name: str | None = None

    @computed_field
    def meta(self) -> dict[str, str]:
        return {"_type": "gradio.FileData"}  # what Gradio knows a file by


class _Call(BaseModel):
    """What the page asks for. Whatever else a client sends, such as addresses to fetch, ends here."""

    data: list[list[_File] | str | int | float | None] = Field(max_length=4)
    fn_index: int
    session_hash: str = Field(pattern=r"^\w{1,64}$")
    trigger_id: int | None = None


class Guard:
    """Middleware around all that is served.

    Args:
        app: what is behind it.
        hosts: the names that the page has, beside localhost and numbers: host or host:port → http or https.
        root: the path below which a proxy puts all; whether it hands that on is all the same. See `root`.
        is_upload: whether a path is that of an upload.
        functions: what a page can ask for: id → for each value that it takes, whether that is files, or none.
        left: called with the session of a visitor who no longer waits for an answer.
        megabytes: of a photograph that a program sends, and of all that a page sends at once, at most.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Mapping[str, str],
        root: str,
        is_upload: Callable[[str], bool],
        functions: Mapping[int, list[bool]],
        left: Callable[[str], None],
        megabytes: tuple[int, int],
    ):
        self.app, self.hosts, self.root, self.is_upload, self.functions = app, hosts, root, is_upload, functions
        self.left, self.megabytes = left, megabytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if f"{scope['path']}/".startswith(f"{self.root}/"):
            scope = {**scope, "path": scope["path"].removeprefix(self.root) or "/"}
        send = _Answer(send, is_page=scope["path"] == "/")
        try:
            scope = self._checked(scope)
            if scope["method"] == "POST" and scope["path"] not in SENT:
                receive = _again(self._checked_body(await _body(receive)), receive)
        except Refusal as refusal:
            headers = {"allow": ", ".join(sorted(_methods(scope["path"])))} if refusal.status == 405 else None
            await PlainTextResponse(str(refusal), refusal.status, headers)(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            if isinstance(error.__cause__, HTTPException):  # a visitor's fault, found when the answer had begun
                await send({"type": "http.response.body"})
                return
            print(f"a request could not be answered: {printable(f'{type(error).__name__}: {error}')}", file=sys.stderr)
            if not send.start:
                await PlainTextResponse("Something went wrong here.", 500)(scope, receive, send)
        finally:
            if scope["path"] == ANSWERS:
                visitor = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
                if visitor:  # or it was refused
                    self.left(visitor)

    def _checked(self, scope: Scope) -> Scope:
        """The request, without what only a proxy could know, and anybody can claim."""
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        scheme = self._scheme(headers.getlist("host"))
        origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
        if any(origin != f"{scheme}://{headers['host']}" for origin in origins):
            raise Refusal(403, "Only the page itself may ask this.")
        if path != "/" and any(site not in ("same-origin", "none") for site in sites):
            raise Refusal(403, "Only the page itself may ask this.")
        if not (methods := _methods(path)):
            raise Refusal(404, "There is no such page here.")
        if method not in methods:
            raise Refusal(405, f"Only {' and '.join(sorted(methods))} are answered here.")
        if method == "POST":
            self._check_length(path, headers)
        kept = [(name, value) for name, value in scope["headers"] if not name.startswith((b"x-", b"forwarded"))]
        if path == "/":  # whose scripts are to be seen, not compressed
            kept = [(name, value) for name, value in kept if name != b"accept-encoding"]
        return {**scope, "scheme": scheme, "headers": kept}

    def _scheme(self, given: list[str]) -> str:
        """Of the host that a request names.

        A site can give its name the address of this computer, and so have its visitors' browsers read what is here; but
        numbers, and localhost, are no names that a site could have.
        """
        host = given[0].lower() if len(given) == 1 else ""
        if host in self.hosts:
            return self.hosts[host]
        name = re.sub(r":[0-9]{1,5}$", "", host)
        if name in self.hosts or name == "localhost" or _is_number(name):
            return "http"
        raise Refusal(421, "There is no page of that name here; ask whoever runs it for its address.")

    def _check_length(self, path: str, headers: Headers) -> None:
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal()) or "transfer-encoding" in headers:  # whose end nobody knows
            raise Refusal(411, "The request does not say how long it is; give its Content-Length.")
        megabytes = dict(zip((COLOURISE, UPLOAD), self.megabytes, strict=True)).get(path, 0)
        if int(length) > MESSAGE + (megabytes << 20):  # what surrounds a file in an upload is a message, too
            most = f"{megabytes} MB" if megabytes else f"{MESSAGE >> 10} kB"
            raise Refusal(413, f"Too large: at most {most} are allowed; give a smaller copy, or fewer at once.")

    def _checked_body(self, body: bytes) -> bytes:
        try:
            call = _Call.model_validate_json(body)
        except ValidationError:
            raise Refusal(422, "The page asks in another way.") from None
        if self.functions.get(call.fn_index) != [isinstance(value, list | None) for value in call.data]:
            raise Refusal(422, "The page asks in another way.")
        if not all(self.is_upload(file.path) for value in call.data if isinstance(value, list) for file in value):
            raise Refusal(422, "This photograph is no longer here, or never was; upload it again.")
        return call.model_dump_json().encode()


class _Answer:
    """Sends an answer with what a browser is to know: what the page may do and load."""

    def __init__(self, send: Send, is_page: bool):
        self.send, self.is_page = send, is_page
        self.start: Message = {}
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name in [name for name in headers if name.startswith("access-control-")]:
                del headers[name]
            headers.update({**HEADERS, "content-security-policy": POLICY.format(scripts="")})
            self.start = message
            if not self.is_page:
                await self.send(message)
        elif not self.is_page:
            await self.send(message)
        else:
            self.body += message.get("body", b"")
            if not message.get("more_body"):
                MutableHeaders(scope=self.start)["content-security-policy"] = POLICY.format(scripts=_hashes(self.body))
                await self.send(self.start)
                await self.send({"type": "http.response.body", "body": self.body})


def _hashes(page: bytes) -> str:
    """Which of the scripts in a page may run: those that it was sent with."""
    scripts = re.findall(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", page, re.DOTALL)
    digests = {base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts}
    return "".join(f" 'sha256-{digest}'" for digest in sorted(digests))


def _methods(path: str) -> set[str]:
    """Of which one may ask for a path; none where there is nothing."""
    if path in WRITTEN:
        return {"POST"}
    return {"GET", "HEAD"} if path in ASKED or path.startswith(READ) else set()


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


async def _body(receive: Receive) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(PATIENCE):
            while (message := await receive())["type"] == "http.request":
                body += message.get("body", b"")
                if not message.get("more_body"):
                    return body
    except TimeoutError:
        raise Refusal(408, f"The request took longer than {PATIENCE} seconds to arrive.") from None
    raise Refusal(400, "The request broke off.")


def _again(body: bytes, receive: Receive) -> Receive:
    """What receives a request that has arrived already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received


def hosts(host: str, url: str | None) -> dict[str, str]:
    """The names of a page: that on which it listens, and that of its address behind a proxy. See `Guard`."""
    return {host.lower(): "http"} | ({address.as_sent(url): urlsplit(url).scheme} if url else {})


def root(url: str | None) -> str:
    """The path below which a proxy puts a page, such as /photos; empty if that is the root."""
    return urlsplit(url or "").path.rstrip("/")
