"""The service as an ASGI application: the page, the REST service under ``/v1``, and what those who run it ask for."""

from __future__ import annotations

import asyncio
import importlib.resources
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import Response
from pydantic import BaseModel, Field

from kineme.errors import KinemeError
from kineme.model import Model
from kineme.serving import describe, jobs, problem
from kineme.serving.changes import Changes
from kineme.serving.checks import Checks
from kineme.serving.connections import Connections
from kineme.serving.guard import COOKIE, Guard, Token
from kineme.serving.live import Streams
from kineme.serving.metrics import make_registry
from kineme.serving.problem import ServiceError, error_responses
from kineme.serving.runner import Runner
from kineme.serving.settings import Settings
from kineme.serving.store import JobStore
from kineme.serving.visitors import Rate, visitor_of
from kineme.text import printable
from kineme.triggers.alarm import Alarm
from kineme.version import __version__

_SCRIPTS = ("page.js", "dom.js", "player.js", "result.js", "explain.js", "camera.js")
_STATIC = {"page.css": "text/css"} | dict.fromkeys(_SCRIPTS, "text/javascript")
_THREADS = 48
_MOST_UPLOADS = 192  # at once


class Limits(BaseModel):
    """Limits of an upload."""

    max_bytes: int = Field(examples=[209715200])
    max_duration_s: float = Field(examples=[600])
    max_pixels: int = Field(examples=[9437184])
    links: bool = Field(description="whether the server fetches videos from links")


class Models(BaseModel):
    """The models of this server, the default first, and its limits."""

    models: list[describe.Model]
    limits: Limits


class ShownToken(BaseModel):
    """What the page's visitor typed."""

    token: str = Field(max_length=1000)


class Health(BaseModel):
    """Whether all is well."""

    status: str = Field(examples=["ok"])


def make_app(
    settings: Settings,
    models: dict[str, Model],
    locations: dict[str, str],
    connections: Connections,
    alarm: Alarm | None = None,
) -> FastAPI:
    """The service as an ASGI application.

    Args:
        settings: of the server.
        models: by the names they are asked for; the first one is the default.
        locations: for each name, what :func:`kineme.load` takes.
        connections: of the server; those that wait too long are closed as long as the application runs.
        alarm: reports the actions that cameras show.

    Raises:
        KinemeError: the state folder cannot be used.
    """
    store = JobStore(settings.state)
    changes, checks, streams, rate = Changes(), Checks(settings), Streams(settings, alarm), Rate(settings.rate)
    runner = Runner(settings, store, locations, changes)
    registry = make_registry(store, runner, checks, streams)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Uploads, checks and looking up of names run in threads, and a slow one must not hold up the others.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
        runner.start()
        watching = asyncio.create_task(connections.watch())
        yield
        watching.cancel()
        await asyncio.to_thread(runner.stop)
        checks.stop()
        store.close()

    app = FastAPI(
        title="Kineme",
        version=__version__,
        description="Recognises human actions in videos: what happens when. Long work is a job; ask for it, or listen.",
        docs_url=None,  # these load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        responses=error_responses(400, 401, 403, 421, 422),
    )
    problem.install(app)
    token = Token(settings.token) if settings.token else None
    app.add_middleware(Guard, settings=settings, token=token, registry=registry)
    app.state.jobs = jobs.JobService(
        settings, models, store, runner, checks, changes, rate, min(_MOST_UPLOADS, connections.most // 2)
    )
    app.router.routes.extend(jobs.router.routes)  # an included router hides which methods a path takes
    _add_models(app, settings, models)
    _add_session(app, token)
    _add_page(app)

    @app.websocket("/v1/stream")
    async def stream(socket: WebSocket, model: str = "") -> None:
        """Follow a camera."""
        name = model or next(iter(models))
        chosen = models.get(name)
        try:
            if chosen is None:
                raise ServiceError(422, "no_model", "there is no such model; /v1/models lists them")
            rate.take(visitor_of(socket))
        except ServiceError as refused:
            await socket.send_denial_response(refused.response())
            return
        await streams.follow(socket, chosen, name)

    @app.get("/healthz", response_model=Health)
    async def healthz() -> Any:
        """Whether the server is alive."""
        return {"status": "ok"}

    @app.get("/readyz", response_model=Health, responses={503: {"model": problem.Error}})
    async def readyz() -> Any:
        """Whether its models are loaded and jobs are worked on."""
        if not runner.is_ready:
            raise ServiceError(503, "not_ready", "the models are not loaded yet", retry_after_s=2)
        return {"status": "ready"}

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def metrics() -> Response:
        """Figures for Prometheus."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return app


def _add_models(app: FastAPI, settings: Settings, models: dict[str, Model]) -> None:
    limits = Limits(
        max_bytes=settings.max_bytes,
        max_duration_s=settings.max_duration_s,
        max_pixels=settings.max_pixels,
        links=settings.allow_links,
    )
    described = [
        describe.describe(name, model.card, exported=model.exported is not None) for name, model in models.items()
    ]
    document = Models(models=described, limits=limits)

    @app.get("/v1/models", response_model=Models)
    async def list_models() -> Models:
        """The models, the default first: labels, training data, accuracy; and the accepted inputs."""
        return document


def _add_session(app: FastAPI, token: Token | None) -> None:
    @app.post("/v1/session", status_code=204, response_class=Response, responses=error_responses(429))
    async def session(request: Request, shown: ShownToken) -> Response:
        """Show the token once; a cookie stands for it from then on. For the page."""
        answer = Response(status_code=204)
        if token:
            token.check(shown.token, visitor_of(request))
            secure = request.url.scheme == "https"
            answer.set_cookie(COOKIE, token.new_session(), httponly=True, samesite="strict", secure=secure)
        return answer


def _add_page(app: FastAPI) -> None:
    """The page and its parts; nothing else can be asked for."""
    folder = importlib.resources.files("kineme.serving") / "static"
    page = (folder / "page.html").read_text(encoding="utf-8")
    parts = {name: (folder / name).read_text(encoding="utf-8") for name in _STATIC}

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return Response(page, media_type="text/html; charset=utf-8")

    @app.get("/static/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        if name not in parts:
            raise ServiceError(404, "not_found", "there is nothing under this address")
        return Response(parts[name], media_type=f"{_STATIC[name]}; charset=utf-8")


def names_of(models: list[Model]) -> list[str]:
    """A name for each model, no two alike.

    Raises:
        KinemeError: no model is given.
    """
    if not models:
        raise KinemeError("there is no model to serve")
    names: list[str] = []
    for model in models:
        base, number = printable(model.name), 1
        while (name := base if number == 1 else f"{base}-{number}") in names:
            number += 1
        names.append(name)
    return names
