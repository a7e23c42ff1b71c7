"""The routes of jobs: send a video, ask how far it is, fetch the results, have them explained."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from kineme.model import Model
from kineme.serving.changes import Changes
from kineme.serving.checks import Checks
from kineme.serving.links import LinkError, check_link
from kineme.serving.places import Places
from kineme.serving.problem import ErrorText, ServiceError, error_responses
from kineme.serving.runner import Runner, seconds_to_wait
from kineme.serving.settings import Settings
from kineme.serving.store import ANNOTATED, PICTURE, UPLOAD, JobRecord, JobStore
from kineme.serving.upload import PREDICT_BODY, display_name, parse_request
from kineme.serving.visitors import Rate, visitor_of

MEDIA_TYPES = {
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
_UPLOAD_S = 3600.0  # how long one may take
_LISTENERS, _LISTENERS_EACH, _LISTENING_S = 400, 100, 3600.0  # to events, at once; a browser comes again
_SIGN_OF_LIFE_S = 15.0
_ID = "5f0c2a9d7b3e41c8a6d2f4e80b1c9d37"


class Job(BaseModel):
    """A video that is, was, or will be looked at, or whose result is explained."""

    id: str = Field(examples=[_ID])
    state: Literal["waiting", "running", "done", "failed"]
    model: str = Field(examples=["my-model"])
    name: str = Field(examples=["clip.mp4"])
    created_s: float = Field(description="seconds since 1970", examples=[1767225600.0])
    before: int = Field(default=0, description="jobs that were sent before; visitors take turns", examples=[0])
    phase: str | None = Field(default=None, description="current phase", examples=["recognising"])
    share: float = Field(default=0.0, description="of all work, 0 to 1", examples=[0.42])
    left_s: float | None = Field(default=None, description="how long it may still take", examples=[7.5])
    error: ErrorText | None = None
    results: dict[str, str] | None = Field(
        default=None, description="where the results are, by kind", examples=[{"json": f"/v1/jobs/{_ID}/results/json"}]
    )
    explains: str | None = Field(default=None, description="the job whose result this one explains", examples=[None])
    explanations: list[str] = Field(default=[], description="the jobs that explain this one's result, the oldest first")


class Explain(BaseModel):
    """The explanation to compute."""

    label: str | None = Field(
        default=None,
        max_length=1000,
        description="a label of the model; by default the most probable",
        examples=["wave"],
    )


_EXAMPLE = Job(id=_ID, state="waiting", model="my-model", name="clip.mp4", created_s=1767225600.0).model_dump()


JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", examples=[_ID])]
Kind = Annotated[str, Path(pattern=f"^({'|'.join(MEDIA_TYPES)})$", examples=["json"])]

router = APIRouter(prefix="/v1", responses=error_responses(400, 401, 403, 421, 422))


@dataclass
class JobService:
    """What the routes share.

    Args:
        settings: of the server.
        models: by their names; the first one is the default.
        store: of the jobs.
        runner: who works on them.
        checks: who looks at uploads.
        changes: reports changes of jobs.
        rate: how often each visitor may begin a job.
        most_uploads: how many videos may be sent at once.
    """

    settings: Settings
    models: dict[str, Model]
    store: JobStore
    runner: Runner
    checks: Checks
    changes: Changes
    rate: Rate
    most_uploads: int

    def __post_init__(self) -> None:
        self.places = Places(self.most_uploads, self._share(self.most_uploads), _UPLOAD_S)
        self.listening: Counter[str] = Counter()
        free = shutil.disk_usage(self.settings.state).free
        self._quota = max(4 * self.settings.max_bytes, (free + self.store.bytes_kept()[0]) // 2)

    def _share(self, of_all: int) -> int:
        """How much of something one visitor may have."""
        return max(1, of_all // 2) if self.settings.is_public else of_all

    def job(self, job_id: str) -> JobRecord:
        """A job, or 404."""
        job = self.store.get(job_id)
        if job is None:
            raise ServiceError(404, "no_job", "there is no such job, or it is over and forgotten")
        return job

    def document(self, job: JobRecord) -> Job:
        """A job as visitors see it."""
        now = self.runner.progress(job.id) if job.state == "running" else None
        kinds = (_EXPLAINED if job.of else _PREDICTED) if job.state == "done" else ()
        return Job(
            id=job.id,
            state=job.state,
            model=job.model,
            name=job.name,
            created_s=job.created_s,
            before=self.store.waiting_before(job) if job.state == "waiting" else 0,
            phase=now.phase if now else None,
            share=now.share if now else float(job.is_over),
            left_s=now.left_s if now else None,
            error=ErrorText(code=job.code, message=job.message or "") if job.code else None,
            results={kind: f"/v1/jobs/{job.id}/results/{kind}" for kind in kinds} or None,
            explains=job.of,
            explanations=self.store.explanations(job.id),
        )

    def check_room(self, visitor: str) -> None:
        """Refuse a job where the queue or the disk is full, or the visitor's part of it."""
        waiting, own = self.store.waiting(visitor)
        if waiting >= self.settings.queue or own >= self._share(self.settings.queue):
            raise self._queue_full(own)
        kept, own = self.store.bytes_kept(visitor)
        if own >= self._share(self._quota):
            message = "your videos and results fill your part of the server's disk; remove some of them"
            raise ServiceError(429, "disk_full", message, retry_after_s=600)
        if kept >= self._quota or shutil.disk_usage(self.settings.state).free < 2 * self.settings.max_bytes:
            raise ServiceError(429, "disk_full", "the server's disk is nearly full", retry_after_s=600)

    def enqueue(
        self,
        job_id: str,
        model: str,
        name: str,
        url: str | None,
        *,
        visitor: str,
        of: str | None = None,
        label: str | None = None,
    ) -> JSONResponse:
        """Put a job into the queue, and answer with its document."""
        queue = self.settings.queue
        limits = {"most_waiting": queue, "most_each": self._share(queue)}
        if not self.store.add(job_id, model, name, url, of=of, label=label, visitor=visitor, **limits):
            raise self._queue_full(self.store.waiting(visitor)[1])
        self.runner.wake()
        document = self.document(self.job(job_id))
        return JSONResponse(document.model_dump(), 202, {"Location": f"/v1/jobs/{job_id}"})

    def _queue_full(self, own: int) -> ServiceError:
        wait_s = seconds_to_wait(self.store, self.settings.workers)
        message = f"{self.settings.queue} videos wait already"
        if own >= self._share(self.settings.queue):
            message = f"{own} videos of yours wait already"
        return ServiceError(429, "queue_full", message, retry_after_s=wait_s)


def _service(request: Request) -> JobService:
    service: JobService = request.app.state.jobs
    return service


Service = Annotated[JobService, Depends(_service)]


def _accepted(**changed: str) -> dict[int | str, dict[str, Any]]:
    return {202: {"content": {"application/json": {"example": _EXAMPLE | changed}}}}


# Routes that are not ``async`` run in threads, so that SQLite never holds up the event loop.


@router.post(
    "/predict",
    status_code=202,
    response_model=Job,
    responses=error_responses(408, 413, 415, 429) | _accepted(),
    openapi_extra={"requestBody": PREDICT_BODY},
)
async def predict(request: Request, service: Service) -> Any:
    """Have a video looked at: send it as a form, or where links are allowed its address as JSON."""
    settings, store, visitor = service.settings, service.store, visitor_of(request)
    service.rate.check(visitor)
    await asyncio.to_thread(service.check_room, visitor)
    job_id = await asyncio.to_thread(store.new_id)
    try:
        async with service.places.take(visitor) as place:
            wanted = await parse_request(request, store.folder_of(job_id) / UPLOAD, settings.max_bytes, place)
        service.rate.take(visitor)
        model = wanted.model or next(iter(service.models))
        if model not in service.models:
            message = f"{display_name(model)}: there is no such model; /v1/models lists them"
            raise ServiceError(422, "no_model", message)
        if wanted.url is not None:
            await _check_url(wanted.url, settings)
        else:
            await service.checks.check(store.folder_of(job_id), wanted.name, visitor, place.count)
        return await asyncio.to_thread(service.enqueue, job_id, model, wanted.name, wanted.url, visitor=visitor)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(store.remove, job_id))
        raise


async def _check_url(url: str, settings: Settings) -> None:
    if not settings.allow_links:
        raise ServiceError(403, "links_off", "this server fetches nothing; send the video itself")
    try:
        await asyncio.wait_for(asyncio.to_thread(check_link, url, settings.link_networks), 10)
    except (LinkError, TimeoutError) as error:
        raise ServiceError(422, "link_refused", str(error) or "its name cannot be looked up") from error


@router.get("/jobs/{job_id}", response_model=Job, responses=error_responses(404))
def job(job_id: JobId, service: Service) -> Any:
    """How far a job is, and where its results are."""
    return service.document(service.job(job_id))


@router.delete("/jobs/{job_id}", status_code=204, response_class=Response, responses=error_responses(404))
def forget(job_id: JobId, service: Service) -> Response:
    """End a job, and remove its video and results."""
    if not service.runner.remove(job_id):
        raise ServiceError(404, "no_job", "there is no such job, or it is over and forgotten")
    return Response(status_code=204)


@router.post(
    "/jobs/{job_id}/explain",
    status_code=202,
    response_model=Job,
    responses=error_responses(404, 409, 429) | _accepted(explains=_ID),
)
def explain(request: Request, job_id: JobId, service: Service, wanted: Explain | None = None) -> Any:
    """Have a finished result explained: where and when the model looked. That is a job of its own.

    Its results are ``json`` (attributions over time, the spans that decided), ``png`` (the frames that decided, with
    heat maps) and ``mp4`` (heat maps on the whole video). A model that is exported only says when.
    """
    visitor = visitor_of(request)
    service.rate.take(visitor)
    store, done, label = service.store, service.job(job_id), wanted.label if wanted else None
    if done.of or done.state != "done":
        raise ServiceError(409, "not_done", "explain a result: this job has none that can be explained")
    if done.model not in service.models:
        raise ServiceError(409, "no_model", f"{done.model}: this model is not served any more")
    if label is not None and label not in service.models[done.model].labels:
        raise ServiceError(422, "no_label", "label: the model does not know it; /v1/models lists its labels")
    service.check_room(visitor)
    new_id = store.new_id()
    try:
        _link_or_copy(store.folder_of(done.id) / UPLOAD, store.folder_of(new_id) / UPLOAD)
        return service.enqueue(new_id, done.model, done.name, done.url, visitor=visitor, of=done.id, label=label)
    except BaseException:
        store.remove(new_id)
        raise


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses=error_responses(404, 429) | {200: {"content": {"text/event-stream": {}}}},
)
async def events(request: Request, job_id: JobId, service: Service) -> StreamingResponse:
    """The job's document whenever it changes, as server-sent events called ``job``, until it is over."""
    await asyncio.to_thread(service.job, job_id)
    visitor = visitor_of(request)
    if service.listening.total() >= _LISTENERS or service.listening[visitor] >= _LISTENERS_EACH:
        raise ServiceError(429, "too_many_listeners", "too many listen already", retry_after_s=5)
    return StreamingResponse(_events(job_id, service, visitor), media_type="text/event-stream")


async def _events(job_id: str, service: JobService, visitor: str) -> AsyncIterator[str]:
    service.listening[visitor] += 1
    try:
        with service.changes.listen(job_id) as changed, suppress(TimeoutError):
            async with asyncio.timeout(_LISTENING_S):
                last = ""
                while True:
                    changed.clear()
                    job = await asyncio.to_thread(service.store.get, job_id)
                    if job is None:
                        yield "event: gone\ndata: {}\n\n"
                        return
                    text = (await asyncio.to_thread(service.document, job)).model_dump_json()
                    if text != last:
                        yield f"event: job\ndata: {text}\n\n"
                    if job.is_over:
                        return
                    last = text
                    try:
                        await asyncio.wait_for(changed.wait(), _SIGN_OF_LIFE_S)
                    except TimeoutError:
                        yield ": waiting\n\n"
    finally:
        service.listening[visitor] -= 1
        service.listening += Counter()  # forget who has none


@router.get(
    "/jobs/{job_id}/results/{kind}",
    response_class=Response,
    responses=error_responses(404, 409)
    | {200: {"content": {kind.partition(";")[0]: {} for kind in MEDIA_TYPES.values()}}},
)
def result(job_id: JobId, kind: Kind, service: Service) -> Response:
    """A result: ``json``, ``csv``, ``srt``, ``vtt``, the annotated video ``mp4``, or ``curves`` for the page.

    Of an explanation: ``json``, ``png``, ``mp4``.
    """
    one = service.job(job_id)
    if one.state != "done":
        raise ServiceError(409, "not_done", f"this job is {one.state}")
    name = f"{one.name.rpartition('.')[0] or one.name}.{kind}"
    if kind in _FILES:
        path = service.store.folder_of(job_id) / _FILES[kind]
        if path.is_file():
            return FileResponse(path, media_type=MEDIA_TYPES[kind], filename=name, content_disposition_type="inline")
    elif (text := service.store.result(job_id, kind)) is not None:
        headers = {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}"}
        return Response(text, media_type=MEDIA_TYPES[kind], headers=headers if kind != "curves" else None)
    raise ServiceError(404, "no_result", "this result is gone")


def _link_or_copy(video: FilePath, to: FilePath) -> None:
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
