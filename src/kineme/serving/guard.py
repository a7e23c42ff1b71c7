"""What looks at every request first: who may ask, from where and how often; how large and how slow a body may be.

It also sets the headers of every answer, counts them, and sees that a refusal reaches its sender.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from kineme.serving.problem import ServiceError
from kineme.serving.settings import Settings
from kineme.serving.visitors import Rate, visitor_of

COOKIE = "kineme_session"

_OPEN = ("/", "/healthz", "/readyz", "/v1/session")  # without a token; and what the page is made of
_STATIC = "/static/"
_CHANGES = ("POST", "DELETE", "PUT", "PATCH")
_MOST_BODY, _BODY_S = 1 << 16, 10.0  # of all other requests
# A body that is refused is read on, so that its sender reads why: not one that came too slowly, or broke off.
_HEARD_OUT = frozenset(range(401, 600)) - {408}
_HEARD_OUT_S, _HEARD_OUT_BYTES, _HEARD_OUT_BYTES_S = 20.0, 1 << 28, 1 << 16  # for how long, how much, how slow
_MOST_HEARD_OUT = 64  # at once
_REQUESTS = 6000  # a minute, of a visitor
_GUESSES, _GUESSES_OF_ALL = 10, 600  # of the token, a minute
_SESSION_S = 30 * 86400.0

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class Token:
    """The token of a server, sessions that stand for it, and how often each visitor may guess.

    A session is drawn from a key that lives as long as this process, so it is no way to guess the token.
    """

    def __init__(self, token: str) -> None:
        self._token, self._key = token.encode(), secrets.token_bytes(32)
        self._guesses, self._lost_sessions = Rate(_GUESSES, for_all=_GUESSES_OF_ALL), Rate(_GUESSES)

    def check(self, shown: str, visitor: str) -> None:
        """Compare what a visitor shows.

        Raises:
            ServiceError: 401, the token is wrong; 429, the visitor guessed too often.
        """
        self._guesses.check(visitor)
        if not hmac.compare_digest(shown.encode(errors="surrogatepass"), self._token):
            self._guesses.take(visitor)
            raise ServiceError(401, "no_token", "the token is wrong")

    def check_request(self, headers: Headers, visitor: str) -> None:
        """Look for the token or a session in a request.

        Raises:
            ServiceError: 401, no valid token; 429, the visitor guessed too often.
        """
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            self.check(shown.strip(), visitor)
            return
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        if cookie is None:
            raise ServiceError(401, "no_token", "a token is needed: Authorization: Bearer TOKEN")
        if not self._is_session(cookie.value):
            self._lost_sessions.take(visitor)
            raise ServiceError(401, "no_token", "this session is over; show the token again")

    def new_session(self) -> str:
        """What the cookie of somebody holds who has shown the token."""
        until = f"{time.time() + _SESSION_S:.0f}"
        return f"{until}.{self._sign(until)}"

    def _is_session(self, session: str) -> bool:
        until, _, signature = session.partition(".")
        signed = hmac.compare_digest(signature.encode(), self._sign(until).encode())
        return signed and float(until) > time.time()

    def _sign(self, until: str) -> str:
        return hmac.new(self._key, until.encode(), hashlib.sha256).hexdigest()


class Guard:
    """ASGI middleware.

    Args:
        app: the guarded application.
        settings: of the server.
        token: what visitors must know, if anything.
        registry: where requests are counted.
        reads_its_body: the address whose body goes to disk as it comes; those of all others are small.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        token: Token | None,
        registry: CollectorRegistry,
        reads_its_body: str = "/v1/predict",
    ) -> None:
        self._app, self._settings, self._token = app, settings, token
        self._reads_its_body = reads_its_body
        self._public_name = settings.public_name and settings.public_name.lower()
        self._rate, self._heard_out = Rate(_REQUESTS), 0
        self._requests = Counter(
            "kineme_requests", "Requests answered", ["method", "path", "status"], registry=registry
        )
        self._seconds = Histogram("kineme_request_seconds", "Time to answer", ["path"], registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            await self._guard_http(scope, receive, send)
        elif scope["type"] == "websocket":
            try:
                self._check(scope)
            except ServiceError as refused:
                await WebSocket(scope, receive, send).send_denial_response(refused.response())
            else:
                await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _guard_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_s, status, is_read = time.perf_counter(), 0, False

        async def receive_noted() -> Message:
            nonlocal is_read
            message = await receive()
            is_read = is_read or not message.get("more_body", False)
            return message

        async def send_guarded(message: Message) -> None:
            nonlocal status
            is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if not is_read and _has_body(scope):
                    headers["Connection"] = "close"
            elif is_last and not is_read and status in _HEARD_OUT and _has_body(scope):
                await send({**message, "more_body": True})
                await self._hear_out(receive_noted)
                message = {"type": "http.response.body"}
            await send(message)

        try:
            self._check(scope)
            passed_on = (
                receive_noted if scope["path"] == self._reads_its_body else await _small_body(scope, receive_noted)
            )
        except ServiceError as refused:
            await refused.response()(scope, receive_noted, send_guarded)
        else:
            await self._app(scope, passed_on, send_guarded)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in (*_CHANGES, "GET", "HEAD") else "other"
            self._requests.labels(method, path, str(status)).inc()
            self._seconds.labels(path).observe(time.perf_counter() - started_s)

    async def _hear_out(self, receive: Receive) -> None:
        """Let more of a refused body come: many senders read no answer before they have sent all."""
        if self._heard_out >= _MOST_HEARD_OUT:
            return
        self._heard_out += 1
        began_s, count = time.monotonic(), 0
        try:
            async with asyncio.timeout(_HEARD_OUT_S):
                while (message := await receive()).get("more_body", False):
                    count += len(message.get("body", b""))
                    slowest = (time.monotonic() - began_s - 1) * _HEARD_OUT_BYTES_S
                    if not slowest <= count <= _HEARD_OUT_BYTES:
                        return
        except TimeoutError:
            pass
        finally:
            self._heard_out -= 1

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._settings.hosts is not None and _name(host) not in self._settings.hosts:
            raise ServiceError(421, "wrong_host", "this server does not answer to that name")
        # A page of another site can send forms here, and open sockets; the browser says where it is from.
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] in _CHANGES
        if origin and changes and _origin_host(origin) not in (host.lower(), self._public_name):
            raise ServiceError(403, "wrong_origin", "pages of other sites may not ask this server")
        visitor, path = visitor_of(HTTPConnection(scope)), scope["path"]
        self._rate.take(visitor)
        if self._token and path not in _OPEN and not path.startswith(_STATIC):
            self._token.check_request(headers, visitor)
        if "," in headers.get("range", ""):  # many ranges of one file cost more than the file
            scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"range"]


async def _small_body(scope: Scope, receive: Receive) -> Receive:
    """Read the body of a request that is no upload; gives what to call in place of ``receive``.

    Raises:
        ServiceError: it is too large, too slow or cut off.
    """
    if not _has_body(scope):
        return receive
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ServiceError(400, "cut_off", "the connection was lost")
                body += message.get("body", b"")
                if len(body) > _MOST_BODY:
                    raise ServiceError(413, "too_large", f"the body is larger than {_MOST_BODY >> 10} kB")
                if not message.get("more_body", False):
                    break
    except TimeoutError as error:
        raise ServiceError(408, "too_slow", f"the body took longer than {_BODY_S:g} s") from error
    messages: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _has_body(scope: Scope) -> bool:
    names = {name for name, _ in scope["headers"]}
    return b"content-length" in names or b"transfer-encoding" in names


def _name(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def _origin_host(origin: str) -> str:
    """Name and port of an Origin header, "" where it says nothing ("null")."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
