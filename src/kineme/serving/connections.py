"""Limits of connections: how many there may be, how long each may be silent, and how slowly it may read.

uvicorn waits for ever for the head of a request and for a reader, and takes as many connections as there are. Here a
newcomer takes the place of whoever has most connections where all places are taken. That builds on uvicorn's own
protocols, from version 0.53 on.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from kineme.serving.problem import error_document
from kineme.serving.visitors import visitor_at

BACKLOG = 64  # connections that the system takes before we do; each needs a file descriptor at once

_MOST = 1024
_OTHER_FILES = 96  # file descriptors that are neither connections nor uploads: results, processes, the database
_HEAD_S = 10.0  # for the head of a request, and between requests
_STALLED_S = 30.0  # for a reader that takes nothing
_EVERY_S = 1.0
_FRAMES_A_SECOND = 100  # of a WebSocket: pings, pongs, and pieces of messages
_LINGER_S = 5.0  # for a client to read why its WebSocket is closed
_TOO_MUCH = 1008  # a WebSocket's code for a client that breaks the rules

_NO_REQUEST_TEXT = json.dumps(
    error_document("bad_request", "this is no HTTP request, or its head is too large")
).encode()
_NO_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
    % (len(_NO_REQUEST_TEXT), _NO_REQUEST_TEXT)
)


class Connections:
    """The connections that are open.

    Args:
        most: how many there may be.
    """

    def __init__(self, most: int = _MOST) -> None:
        self.most = most
        self._open: dict[asyncio.BaseTransport, _Connection] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, transport: asyncio.BaseTransport, protocol: _Limited) -> None:
        """Count a connection, or note that it became a WebSocket; the worst one is closed if there are too many."""
        if transport not in self._open and len(self._open) >= self.most:
            self._close_worst()
        peer = transport.get_extra_info("peername") or ("",)
        self._open[transport] = _Connection(protocol, visitor_at(str(peer[0])))

    def remove(self, transport: asyncio.BaseTransport) -> None:
        """Forget a connection that is closed."""
        self._open.pop(transport, None)

    async def watch(self) -> None:
        """Close what waits too long, for ever."""
        while True:
            await asyncio.sleep(_EVERY_S)
            now_s = time.monotonic()
            for transport, one in list(self._open.items()):
                quiet_s, stalled_s = now_s - one.protocol.idle_since_s, now_s - one.protocol.stalled_since_s
                if (one.protocol.is_idle and quiet_s > _HEAD_S) or stalled_s > _STALLED_S:
                    self._close(transport)

    def _close_worst(self) -> None:
        """Of the visitor with most connections, the one that waits for a request, and has waited longest."""
        counts = Counter(one.visitor for one in self._open.values())
        most = max(counts.values())
        heavy = [transport for transport, one in self._open.items() if counts[one.visitor] == most]
        self._close(min(heavy, key=lambda one: self._open[one].rank))

    def _close(self, transport: asyncio.BaseTransport) -> None:
        self.remove(transport)
        cast(asyncio.Transport, transport).abort()


class _Connection:
    def __init__(self, protocol: _Limited, visitor: str) -> None:
        self.protocol, self.visitor = protocol, visitor

    @property
    def rank(self) -> tuple[bool, float]:
        """The lowest is closed first."""
        return not self.protocol.is_idle, self.protocol.idle_since_s


class Config(uvicorn.Config):
    """uvicorn's, with the connections that its protocols count themselves in."""

    def __init__(self, app: Any, connections: Connections, **options: Any) -> None:
        super().__init__(app, http=HttpProtocol, ws=WebSocketProtocol, backlog=BACKLOG, **options)
        self.connections = connections


class _Limited(asyncio.Protocol):
    """What both protocols have in common.

    Attributes:
        idle_since_s: when it last began to wait for a request.
        stalled_since_s: when the other side ceased to read; infinite while it reads.
    """

    config: uvicorn.Config

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.idle_since_s, self.stalled_since_s = time.monotonic(), float("inf")

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request."""
        return False

    @property
    def _connections(self) -> Connections:
        return cast(Config, self.config).connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.add(transport, self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.remove(cast(Any, self).transport)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        self.stalled_since_s = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.stalled_since_s = float("inf")
        super().resume_writing()


class HttpProtocol(_Limited, H11Protocol):
    """HTTP, one connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_refused = False

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: what follows a refused request is passed over until the other side has read why."""
        if not self._is_refused:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for input that is not HTTP, or has too large a head; a mere close would lose the answer."""
        self._is_refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        self.transport.write(_NO_REQUEST)
        self.transport.write_eof()
        self.idle_since_s = time.monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether it waits for the head of a request."""
        return self._is_refused or self.cycle is None or self.cycle.response_complete

    def on_response_complete(self) -> None:
        """Called by uvicorn at the end of a response."""
        self.idle_since_s = time.monotonic()
        super().on_response_complete()


class WebSocketProtocol(_Limited, WebSocketsSansIOProtocol):
    """A WebSocket, one connection; what uvicorn answers by itself is limited here, messages where they are read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._left, self._counted_s = float(_FRAMES_A_SECOND), time.monotonic()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: what a client sends that broke the rules is passed over until it has read so."""
        if not self.disconnected:
            super().data_received(data)

    def pause_writing(self) -> None:
        """Called by asyncio: the other side does not read, so its pings are not read either."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Called by asyncio: the other side reads again."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def handle_ping(self) -> None:
        """Called by uvicorn."""
        self._count()
        super().handle_ping()

    def handle_pong(self, event: Any) -> None:
        """Called by uvicorn."""
        self._count()
        super().handle_pong(event)

    def handle_cont(self, event: Any) -> None:
        """Called by uvicorn: a further piece of a message."""
        self._count()
        super().handle_cont(event)

    def _count(self) -> None:
        now_s = time.monotonic()
        self._left = min(_FRAMES_A_SECOND, self._left + (now_s - self._counted_s) * _FRAMES_A_SECOND) - 1
        self._counted_s = now_s
        if self._left < 0 and not self.disconnected:
            self.conn.fail(_TOO_MUCH, "too many frames")
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.disconnected = True  # who still sends is told so
            self.queue.put_nowait({"type": "websocket.disconnect", "code": _TOO_MUCH})
            self.close_timer = self.loop.call_later(_LINGER_S, self.transport.abort)


def connections_that_fit() -> int:
    """How many connections the system's limit of open files leaves; the limit is raised as far as it may be."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return 400  # but cannot wait for more than 512 sockets
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _MOST + BACKLOG + _OTHER_FILES  # every connection may send or fetch a file
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return _MOST
    return max(16, min(_MOST, (soft - BACKLOG - _OTHER_FILES) // 2))
