"""Runs the service until it is stopped."""

from __future__ import annotations

import importlib.util
import logging
import socket
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from kineme import api
from kineme.errors import KinemeError
from kineme.serving.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kineme.model import Model
    from kineme.serving.connections import Connections
    from kineme.triggers.alarm import Alarm

log = logging.getLogger("kineme.serving")

_GRACE_S = 3
_MOST_HEAD = 1 << 14  # bytes of a request's line and headers


def serve(
    settings: Settings, on_start: Callable[[str, list[str]], None], on_warning: Callable[[str], None] = log.warning
) -> None:
    """Load the models, listen, and answer until SIGINT or SIGTERM.

    Args:
        settings: how.
        on_start: called with the address and the models' names once requests are accepted.
        on_warning: called with one line about what will not work.

    Raises:
        KinemeError: a model, the folder or the port cannot be used, or the extra is not installed.
    """
    try:
        import uvicorn  # noqa: F401 - seen to be there before models are loaded

        from kineme.serving.app import make_app, names_of
        from kineme.serving.connections import BACKLOG, Connections, connections_that_fit
    except ModuleNotFoundError as error:
        raise KinemeError(f'serve needs {error.name}: pip install "kineme[serve]"') from error

    if settings.allow_links:
        _check_links(settings, on_warning)
    models = [api.load(where) for where in settings.models]
    names = names_of(models)
    connections = Connections(connections_that_fit())
    served, locations = dict(zip(names, models, strict=True)), dict(zip(names, settings.models, strict=True))
    alarm = _alarm(settings, served, on_warning)
    app = make_app(settings, served, locations, connections, alarm)
    listening = listen(settings.host, settings.port, BACKLOG)
    with alarm or nullcontext():
        answer(app, settings, connections, listening, lambda address: on_start(address, names))


def answer(
    app: FastAPI,
    settings: Settings,
    connections: Connections,
    listening: socket.socket,
    on_start: Callable[[str], None],
) -> None:
    """Answer requests until SIGINT or SIGTERM.

    Args:
        app: who answers.
        settings: of the server.
        connections: of the server.
        listening: where requests come.
        on_start: called with the address as soon as requests are accepted.
    """
    import uvicorn

    from kineme.serving.connections import Config
    from kineme.serving.live import MOST_MESSAGE

    config = Config(
        app,
        connections,
        log_level="error",  # whoever sends no HTTP could fill the log
        access_log=False,
        server_header=False,
        proxy_headers=settings.public_name is not None,
        forwarded_allow_ips="127.0.0.1,::1",
        h11_max_incomplete_event_size=_MOST_HEAD,
        ws_max_size=MOST_MESSAGE,
        ws_per_message_deflate=False,  # pictures are packed already
        timeout_graceful_shutdown=_GRACE_S,
    )
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    on_start(f"http://{host}:{listening.getsockname()[1]}")
    with listening, suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


def listen(host: str, port: int, backlog: int = 64) -> socket.socket:
    """A socket that takes connections.

    Raises:
        KinemeError: the address is not of this machine, or taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=backlog)
    except OSError as error:
        raise KinemeError(
            f"--host {host} --port {port}: cannot listen there ({error.strerror or error}); choose another"
        ) from error


def _alarm(settings: Settings, models: dict[str, Model], on_warning: Callable[[str], None]) -> Alarm | None:
    """The receivers of camera events, if any."""
    if settings.alarm is None:
        return None
    from kineme.triggers.alarm import Alarm

    labels = {name: model.labels for name, model in models.items()}
    return Alarm(settings.alarm, labels, "kineme serve", on_warning)


def _check_links(settings: Settings, on_warning: Callable[[str], None]) -> None:
    """Look for what links need before a visitor does.

    Raises:
        KinemeError: there is no yt-dlp.
        UsageError: the file of cookies cannot be read.
    """
    if not importlib.util.find_spec("yt_dlp"):
        raise KinemeError('--allow-links needs yt-dlp: pip install "kineme[web]"')
    from kineme.sources.cookies import check_cookies
    from kineme.sources.javascript import javascript_support
    from kineme.sources.local_video import FetchOptions

    check_cookies(FetchOptions(cookies=settings.cookies))
    if problem := javascript_support().problem:
        on_warning(f"--allow-links: {problem}; other sites work without")
