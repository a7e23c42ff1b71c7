"""The labelling page and its service as an ASGI application."""

from __future__ import annotations

import asyncio
import importlib.resources
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI, WebSocket
from fastapi.responses import Response
from prometheus_client import CollectorRegistry

from kineme import api
from kineme.errors import KinemeError
from kineme.serving import problem
from kineme.serving.connections import Connections
from kineme.serving.guard import Guard
from kineme.serving.labelling.routes import RECORDINGS, router
from kineme.serving.labelling.service import LabelService
from kineme.serving.live import Streams
from kineme.serving.problem import ServiceError
from kineme.serving.settings import Settings
from kineme.version import __version__

if TYPE_CHECKING:
    from kineme.model import Model

_TYPES = {".css": "text/css", ".js": "text/javascript"}
_SHARED = ("page.css", "dom.js", "camera.js")  # with the page of kineme serve


def make_app(settings: Settings, service: LabelService, connections: Connections) -> FastAPI:
    """The application.

    Args:
        settings: where it listens; on loopback.
        service: of the folder.
        connections: of the server.
    """
    streams = Streams(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(connections.watch())
        yield
        watching.cancel()
        await asyncio.to_thread(service.helpers.stop)

    app = FastAPI(
        title="Kineme: labelling",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
    )
    problem.install(app)
    registry = CollectorRegistry()
    app.add_middleware(Guard, settings=settings, token=None, registry=registry, reads_its_body=RECORDINGS)
    app.state.labels = service
    app.router.routes.extend(router.routes)
    _add_page(app)
    loaded: dict[str, Model] = {}

    @app.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        """Follow a camera with the model that proposes."""
        name = service.model
        try:
            if name is None:
                raise ServiceError(422, "no_model", "there is no model yet: train one first")
            if name not in loaded:
                loaded.clear()
                loaded[name] = await asyncio.to_thread(api.load, name)
        except KinemeError as error:
            await socket.send_denial_response(ServiceError(422, "bad_model", str(error)).response())
        except ServiceError as refused:
            await socket.send_denial_response(refused.response())
        else:
            await streams.follow(socket, loaded[name], name)

    return app


def _add_page(app: FastAPI) -> None:
    """The page and its parts; nothing else can be asked for."""
    shared = importlib.resources.files("kineme.serving") / "static"
    own = shared / "label"
    page = (own / "label.html").read_text(encoding="utf-8")
    parts = {one.name: one for one in own.iterdir() if one.name.endswith(tuple(_TYPES))}
    texts = {f"label/{name}": one.read_text(encoding="utf-8") for name, one in parts.items()}
    texts |= {name: (shared / name).read_text(encoding="utf-8") for name in _SHARED}

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return Response(page, media_type="text/html; charset=utf-8")

    @app.get("/static/{name:path}", include_in_schema=False)
    async def part(name: str) -> Response:
        if name not in texts:
            raise ServiceError(404, "not_found", "there is nothing under this address")
        kind = _TYPES["." + name.rpartition(".")[2]]
        return Response(texts[name], media_type=f"{kind}; charset=utf-8")
