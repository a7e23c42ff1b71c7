"""The service: the page, and the REST service under ``/v1``."""

from __future__ import annotations

import asyncio
import importlib.resources
import os
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path as FilePath
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import FastAPI, Path, Request, WebSocket
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse

from kineme.errors import KinemeError
from kineme.prediction.model import Model
from kineme.serving import problem, schemas
from kineme.serving.describe import describe
from kineme.serving.guard import COOKIE, Guard, Rate, check_token, session_of
from kineme.serving.links import LinkError, check_link
from kineme.serving.live import Streams
from kineme.serving.metrics import make_registry
from kineme.serving.problem import ServiceError
from kineme.serving.runner import Runner, seconds_to_wait
from kineme.serving.settings import Settings
from kineme.serving.store import ANNOTATED, PICTURE, UPLOAD, Job, Store
from kineme.serving.upload import read_wish
from kineme.version import __version__

KINDS = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "mp4": "video/mp4",
    "png": "image/png",
    "curves": "application/json",
}
_PREDICTED = ("json", "csv", "srt", "vtt", "mp4", "curves")  # kinds of results
_EXPLAINED = ("json", "png", "mp4")
_FILES = {"mp4": ANNOTATED, "png": PICTURE}
_SCRIPTS = ("page.js", "dom.js", "result.js", "explain.js", "camera.js")
_STATIC = {"page.css": "text/css"} | dict.fromkeys(_SCRIPTS, "text/javascript")
_UPLOADS = 8  # at once
_LISTENERS = 200  # to events, at once
_EVENT_EVERY_S, _SIGN_OF_LIFE_S = 0.25, 15.0

JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", examples=[schemas.JOB_EXAMPLE["id"]])]


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": schemas.Error, "description": "refused"} for status in statuses}


def make_app(settings: Settings, models: dict[str, Model], where: dict[str, str]) -> FastAPI:
    """The service as an ASGI application.

    Args:
        settings: of the server.
        models: by the names they are asked for; the first one is the default.
        where: for each name, what :func:`kineme.load` takes.

    Raises:
        KinemeError: the state folder cannot be used.
    """
    store = Store(settings.state)
    runner, streams, rate = Runner(settings, store, where), Streams(settings.streams), Rate(settings.rate)
    tries = Rate(10)
    registry = make_registry(store, runner, streams)
    busy = {"uploads": 0, "listeners": 0}

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        # Uploads, checks and looking up of names run in threads, and a slow one must not hold up the others.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(4 * _UPLOADS))
        runner.start()
        yield
        await asyncio.to_thread(runner.stop)
        store.close()

    app = FastAPI(
        title="Kineme",
        version=__version__,
        description="Recognises human actions in videos: what happens when. Long work is a job; ask for it, or listen.",
        docs_url=None,  # these load scripts from elsewhere
        redoc_url=None,
        lifespan=life,
        responses=_errors(400, 401, 403, 421, 422),
    )
    problem.install(app)
    app.add_middleware(Guard, settings=settings, registry=registry)

    def address(request: Request | WebSocket) -> str:
        return request.client.host if request.client else ""

    def job_of(job_id: str) -> Job:
        job = store.get(job_id)
        if job is None:
            raise ServiceError(404, "no_job", "there is no such job, or it is over and forgotten")
        return job

    def document(job: Job) -> dict[str, Any]:
        now = runner.progress(job.id) if job.state == "running" else None
        return {
            "id": job.id,
            "state": job.state,
            "model": job.model,
            "name": job.name,
            "created_s": job.created_s,
            "before": store.waiting_before(job) if job.state == "waiting" else 0,
            "phase": now and now.phase,
            "share": now.share if now else float(job.is_over),
            "left_s": now and now.left_s,
            "error": {"code": job.code, "message": job.message} if job.code else None,
            "results": {kind: f"/v1/jobs/{job.id}/results/{kind}" for kind in (_EXPLAINED if job.of else _PREDICTED)}
            if job.state == "done"
            else None,
            "explains": job.of,
            "explanations": store.explanations(job.id),
        }

    def check_room() -> None:
        if store.waiting() >= settings.queue:
            wait_s = seconds_to_wait(store, settings.workers)
            raise ServiceError(429, "queue_full", f"{settings.queue} videos wait already", retry_after_s=wait_s)
        if shutil.disk_usage(settings.state).free < 2 * settings.max_bytes:
            raise ServiceError(429, "disk_full", "the server's disk is nearly full", retry_after_s=600)

    @app.post(
        "/v1/predict",
        status_code=202,
        response_model=schemas.Job,
        responses=_errors(408, 413, 415, 429)
        | {202: {"content": {"application/json": {"example": schemas.JOB_EXAMPLE}}}},
        openapi_extra={"requestBody": schemas.PREDICT_BODY},
    )
    async def predict(request: Request) -> Any:
        """Have a video looked at: send it as a form, or where links are allowed its address as JSON."""
        rate.take(address(request))
        check_room()
        if busy["uploads"] >= _UPLOADS:
            raise ServiceError(429, "too_many_uploads", "too many videos are being sent", retry_after_s=5)
        busy["uploads"] += 1
        job_id = store.new_id()
        try:
            wish = await read_wish(request, store.folder_of(job_id) / UPLOAD, settings.max_bytes)
            model = wish.model or next(iter(models))
            if model not in models:
                raise ServiceError(422, "no_model", f"{model[:80]}: there is no such model; /v1/models lists them")
            if wish.url is not None:
                await look_at_link(wish.url)
            else:
                await asyncio.to_thread(runner.check, job_id, wish.name)
            if not store.add(job_id, model, wish.name, wish.url, most_waiting=settings.queue):
                check_room()
                raise ServiceError(429, "queue_full", "the queue is full", retry_after_s=5)
        except BaseException:
            store.remove(job_id)
            raise
        finally:
            busy["uploads"] -= 1
        runner.wake()
        return JSONResponse(document(job_of(job_id)), 202, {"Location": f"/v1/jobs/{job_id}"})

    async def look_at_link(url: str) -> None:
        if not settings.allow_links:
            raise ServiceError(403, "links_off", "this server fetches nothing; send the video itself")
        try:
            await asyncio.wait_for(asyncio.to_thread(check_link, url, settings.link_networks), 10)
        except (LinkError, TimeoutError) as error:
            raise ServiceError(422, "link_refused", str(error) or "its name cannot be looked up") from error

    @app.get("/v1/jobs/{job_id}", response_model=schemas.Job, responses=_errors(404))
    async def job(job_id: JobId) -> Any:
        """How far a job is, and where its results are."""
        return document(job_of(job_id))

    @app.delete("/v1/jobs/{job_id}", status_code=204, response_class=Response, responses=_errors(404))
    async def forget(job_id: JobId) -> Response:
        """End a job, and remove all that is of it."""
        if not await asyncio.to_thread(runner.remove, job_id):
            raise ServiceError(404, "no_job", "there is no such job, or it is over and forgotten")
        return Response(status_code=204)

    @app.post(
        "/v1/jobs/{job_id}/explain",
        status_code=202,
        response_model=schemas.Job,
        responses=_errors(404, 409, 429)
        | {
            202: {
                "content": {
                    "application/json": {"example": schemas.JOB_EXAMPLE | {"explains": schemas.JOB_EXAMPLE["id"]}}
                }
            }
        },
    )
    async def explain(request: Request, job_id: JobId, wish: schemas.Explain | None = None) -> Any:
        """Have a finished result explained: where and when the model looked. That is a job of its own.

        Its results are ``json`` (strips over time, the spans that decided), ``png`` (the frames that decided, with heat
        maps) and ``mp4`` (heat maps on the whole video). A model that is exported only says when.
        """
        rate.take(address(request))
        done, label = job_of(job_id), wish.label if wish else None
        if done.of or done.state != "done":
            raise ServiceError(409, "not_done", "explain a result: this job has none that can be explained")
        if done.model not in models:
            raise ServiceError(409, "no_model", f"{done.model}: this model is not served any more")
        if label is not None and label not in models[done.model].labels:
            raise ServiceError(422, "no_label", "label: the model does not know it; /v1/models lists its labels")
        check_room()
        new_id = store.new_id()
        try:
            await asyncio.to_thread(_share, store.folder_of(done.id) / UPLOAD, store.folder_of(new_id) / UPLOAD)
            queued = store.add(
                new_id, done.model, done.name, done.url, of=done.id, label=label, most_waiting=settings.queue
            )
            if not queued:
                raise ServiceError(429, "queue_full", "the queue is full", retry_after_s=5)
        except BaseException:
            store.remove(new_id)
            raise
        runner.wake()
        return JSONResponse(document(job_of(new_id)), 202, {"Location": f"/v1/jobs/{new_id}"})

    @app.get(
        "/v1/jobs/{job_id}/events",
        response_class=StreamingResponse,
        responses=_errors(404, 429) | {200: {"content": {"text/event-stream": {}}}},
    )
    async def events(job_id: JobId) -> StreamingResponse:
        """The job's document whenever it changes, as server-sent events called ``job``, until it is over."""
        job_of(job_id)
        if busy["listeners"] >= _LISTENERS:
            raise ServiceError(429, "too_many_listeners", "too many listen already", retry_after_s=5)

        async def tell() -> AsyncIterator[str]:
            busy["listeners"] += 1
            try:
                last, quiet_s = "", 0.0
                while True:
                    one = store.get(job_id)
                    if one is None:
                        yield "event: gone\ndata: {}\n\n"
                        return
                    text = schemas.Job.model_validate(document(one)).model_dump_json()
                    if text != last:
                        yield f"event: job\ndata: {text}\n\n"
                        last, quiet_s = text, 0.0
                    elif quiet_s > _SIGN_OF_LIFE_S:
                        yield ": waiting\n\n"
                        quiet_s = 0.0
                    if one.is_over:
                        return
                    await asyncio.sleep(_EVENT_EVERY_S)
                    quiet_s += _EVENT_EVERY_S
            finally:
                busy["listeners"] -= 1

        return StreamingResponse(tell(), media_type="text/event-stream")

    @app.get(
        "/v1/jobs/{job_id}/results/{kind}",
        response_class=Response,
        responses=_errors(404, 409) | {200: {"content": {kind.partition(";")[0]: {} for kind in KINDS.values()}}},
    )
    async def result(
        job_id: JobId, kind: Annotated[str, Path(pattern=f"^({'|'.join(KINDS)})$", examples=["json"])]
    ) -> Response:
        """A result: ``json``, ``csv``, ``srt``, ``vtt``, the annotated video ``mp4``, or ``curves`` for the page.

        Of an explanation: ``json``, ``png``, ``mp4``.
        """
        one = job_of(job_id)
        if one.state != "done":
            raise ServiceError(409, "not_done", f"this job is {one.state}")
        name = f"{one.name.rpartition('.')[0] or one.name}.{kind}"
        if kind in _FILES:
            path = store.folder_of(job_id) / _FILES[kind]
            if not path.is_file():
                raise ServiceError(404, "no_result", "this result is gone")
            return FileResponse(path, media_type=KINDS[kind], filename=name, content_disposition_type="inline")
        text = store.result(job_id, kind)
        if text is None:
            raise ServiceError(404, "no_result", "this result is gone")
        headers = {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}"}
        return Response(text, media_type=KINDS[kind], headers=headers if kind != "curves" else None)

    @app.get("/v1/models", response_model=schemas.Models)
    async def list_models() -> Any:
        """The models, the default first: labels, what each was trained on, how good it is; and what is taken."""
        limits = {
            "max_bytes": settings.max_bytes,
            "max_duration_s": settings.max_duration_s,
            "max_pixels": settings.max_pixels,
            "links": settings.allow_links,
        }
        told = [describe(name, model.card, exported=model.exported is not None) for name, model in models.items()]
        return {"models": told, "limits": limits}

    @app.websocket("/v1/stream")
    async def stream(socket: WebSocket, model: str = "") -> None:
        chosen = models.get(model or next(iter(models)))
        try:
            if chosen is None:
                raise ServiceError(422, "no_model", "there is no such model; /v1/models lists them")
            rate.take(address(socket))
        except ServiceError as refused:
            await socket.close(1008, refused.message)
            return
        await streams.follow(socket, chosen)

    @app.post("/v1/session", status_code=204, response_class=Response, responses=_errors(429))
    async def session(request: Request, given: schemas.Token) -> Response:
        """Trade the token for a cookie; for the page."""
        tries.take(address(request))
        answer = Response(status_code=204)
        if settings.token:
            check_token(settings.token, {"authorization": f"Bearer {given.token}"})
            secure = request.url.scheme == "https"
            answer.set_cookie(COOKIE, session_of(settings.token), httponly=True, samesite="strict", secure=secure)
        return answer

    @app.get("/healthz", response_model=schemas.Health)
    async def healthz() -> Any:
        """Whether the server is alive."""
        return {"status": "ok"}

    @app.get("/readyz", response_model=schemas.Health, responses={503: {"model": schemas.Error}})
    async def readyz() -> Any:
        """Whether its models are loaded and jobs are worked on."""
        if not runner.is_ready:
            raise ServiceError(503, "not_ready", "the models are not loaded yet", retry_after_s=2)
        return {"status": "ready"}

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Figures for Prometheus."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    _add_page(app)
    return app


def _share(video: FilePath, to: FilePath) -> None:
    """Give a video a second name, so that each job has its own; a copy where the disk knows no second names.

    Raises:
        ServiceError: it is not there any more.
    """
    try:
        try:
            os.link(video, to)
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copyfile(video, to)
    except FileNotFoundError as error:
        raise ServiceError(409, "no_video", "the video itself is gone; send it again") from error


def _add_page(app: FastAPI) -> None:
    """The page and what it is made of; nothing else can be asked for."""
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
        KinemeError: there is none.
    """
    if not models:
        raise KinemeError("there is no model to serve")
    names: list[str] = []
    for model in models:
        base, number = model.name, 1
        while (name := base if number == 1 else f"{base}-{number}") in names:
            number += 1
        names.append(name)
    return names
