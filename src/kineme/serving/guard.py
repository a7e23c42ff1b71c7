"""What stands before every request: who may ask, from where and how often; the headers of every answer; the count."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kineme.serving.problem import ServiceError
from kineme.serving.settings import Settings

COOKIE = "kineme_session"

_OPEN = ("/", "/healthz", "/readyz", "/v1/session")  # without a token; and what the page is made of
_STATIC = "/static/"
_CHANGES = ("POST", "DELETE", "PUT", "PATCH")
_MOST_ADDRESSES = 10_000

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


def session_of(token: str) -> str:
    """What the cookie of somebody who knows the token holds; the token cannot be had from it."""
    return hmac.new(token.encode(), b"kineme session", hashlib.sha256).hexdigest()


class Rate:
    """Lets each address begin so many things a minute, in bursts of as many.

    Args:
        per_minute: how many.
    """

    def __init__(self, per_minute: int) -> None:
        self._most, self._buckets = per_minute, OrderedDict[str, tuple[float, float]]()

    def take(self, address: str) -> None:
        """Count one.

        Raises:
            ServiceError: 429; it was too many.
        """
        now_s = time.monotonic()
        left, seen_s = self._buckets.pop(address, (float(self._most), now_s))
        left = min(self._most, left + (now_s - seen_s) * self._most / 60)
        is_allowed = left >= 1
        self._buckets[address] = (left - 1 if is_allowed else left, now_s)
        if len(self._buckets) > _MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        if not is_allowed:
            words = f"more than {self._most} requests of this kind a minute"
            raise ServiceError(429, "too_many", words, retry_after_s=(1 - left) * 60 / self._most)


class Guard:
    """ASGI middleware.

    Args:
        app: what it guards.
        settings: of the server.
        registry: where requests are counted.
    """

    def __init__(self, app: ASGIApp, settings: Settings, registry: CollectorRegistry) -> None:
        self._app, self._settings = app, settings
        self._public_name = settings.public_name and settings.public_name.lower()
        self._requests = Counter(
            "kineme_requests", "Requests answered", ["method", "path", "status"], registry=registry
        )
        self._seconds = Histogram("kineme_request_seconds", "Time to answer", ["path"], registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        started_s, status = time.perf_counter(), 0

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    if name not in headers:
                        headers[name] = value
            await send(message)

        try:
            self._check(scope)
        except ServiceError as problem:
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": problem.message})
            else:
                await problem.response()(scope, receive, send_guarded)
        else:
            await self._app(scope, receive, send_guarded)
        finally:
            if scope["type"] == "http":
                path = getattr(scope.get("route"), "path", "other")
                method = scope["method"] if scope["method"] in (*_CHANGES, "GET", "HEAD") else "other"
                self._requests.labels(method, path, str(status)).inc()
                self._seconds.labels(path).observe(time.perf_counter() - started_s)

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
        path = scope["path"]
        if self._settings.token and path not in _OPEN and not path.startswith(_STATIC):
            check_token(self._settings.token, headers)


def check_token(token: str, headers: Mapping[str, str]) -> None:
    """Hold what a request shows against the token.

    Raises:
        ServiceError: 401.
    """
    kind, _, shown = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), token.encode()):
        return
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        cookie = None
    if cookie and hmac.compare_digest(cookie.value.encode(), session_of(token).encode()):
        return
    raise ServiceError(401, "no_token", "a token is needed: Authorization: Bearer TOKEN")


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
