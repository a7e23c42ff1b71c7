"""The service under ``/v1/label``: videos, their labels, and background work."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from kineme.dataset.labels import clean
from kineme.errors import KinemeError
from kineme.serving.labelling.changes import Change, LabelledSegment
from kineme.serving.labelling.service import LabelService
from kineme.serving.labelling.store import StaleError
from kineme.serving.labelling.videos import Video
from kineme.serving.problem import ServiceError

RECORDINGS = "/v1/label/recordings"  # reads its body itself

_VideoId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
_Run = Annotated[str, Path(pattern=r"^\d{3,6}$")]
_MOST_RECORDED = 100 << 20  # bytes of a clip
_LONGEST_CLIP_S = 60.0
_CLIP_TIME_S = 120.0  # in which a clip must be made of what was recorded
_SILENCE_S = 20.0
# The report is a page of its own with its style and script inside; it may load nothing and reach nothing.
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; media-src data:; "
    "frame-ancestors 'none'; sandbox allow-scripts allow-popups"
)
_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm"}

router = APIRouter(prefix="/v1/label")


class Edit(BaseModel):
    """A change of the labels of a video, by somebody who has seen a revision of them."""

    model_config = ConfigDict(extra="forbid")

    revision: int = Field(ge=0)
    kind: Literal["change", "undo", "redo"] = "change"
    change: Change = Change()


class Classes(BaseModel):
    """The classes in the order of their keys."""

    classes: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(max_length=1000)


def _service(request: Request) -> LabelService:
    service: LabelService = request.app.state.labels
    return service


def _video(request: Request, video_id: str) -> Video:
    return _service(request).videos.get(video_id)


@router.get("")
def overview(request: Request) -> dict[str, Any]:
    """The videos and how far each is, the labels and groups in use, and the model that proposes."""
    return _service(request).overview()


@router.put("/classes")
def set_classes(request: Request, wanted: Classes) -> dict[str, Any]:
    """Put the classes in an order, or add some that no video has yet."""
    return {"classes": _service(request).set_classes(wanted.classes)}


@router.get("/videos/{video_id}")
def video_document(request: Request, video_id: _VideoId) -> dict[str, Any]:
    """A video: its frames, its labels, who or where it may be, and what the model proposes."""
    return _service(request).document(_video(request, video_id))


@router.post("/videos/{video_id}")
def edit(request: Request, video_id: _VideoId, edit: Edit) -> dict[str, Any]:
    """Change the labels of a video; 409 where they are of another revision than the change was made upon."""
    service, video = _service(request), _video(request, video_id)
    if edit.kind == "change" and edit.change.is_empty:
        raise ServiceError(422, "invalid", "the change changes nothing")
    try:
        service.store.change(video.name, edit.revision, edit.kind, edit.change if edit.kind == "change" else None)
    except StaleError as error:
        message = "another page has changed this video; its labels are shown now, and your last change was not saved"
        raise ServiceError(409, "stale", message) from error
    except KinemeError as error:
        raise ServiceError(507, "not_saved", str(error)) from error
    return service.document(video)


@router.get("/videos/{video_id}/file")
def video_file(request: Request, video_id: _VideoId) -> Response:
    """The video itself, or parts of it."""
    path = _video(request, video_id).path
    return FileResponse(path, media_type=_TYPES.get(path.suffix.lower(), "application/octet-stream"))


@router.post("/videos/{video_id}/copy")
def make_copy(request: Request, video_id: _VideoId) -> dict[str, Any]:
    """Have a copy made that every browser plays."""
    service, video = _service(request), _video(request, video_id)
    service.make_copy(video)
    return service.document(video)


@router.get("/videos/{video_id}/copy/file")
def copy_file(request: Request, video_id: _VideoId) -> Response:
    """The copy."""
    path = _service(request).copy_path(_video(request, video_id))
    if not path.is_file():
        raise ServiceError(404, "no_copy", "the copy is not made yet")
    return FileResponse(path, media_type="video/mp4")


@router.post("/videos/{video_id}/people")
def find_people(request: Request, video_id: _VideoId) -> dict[str, Any]:
    """Have the people in a video looked for."""
    service, video = _service(request), _video(request, video_id)
    return service.helpers.ask("people", video.id, str(video.path), first=True).document()


@router.get("/videos/{video_id}/people")
def people(request: Request, video_id: _VideoId) -> dict[str, Any]:
    """The boxes of the people in a video, or how far looking for them is."""
    task = _service(request).helpers.get("people", _video(request, video_id).id)
    if task is None:
        raise ServiceError(404, "not_asked", "nobody has asked for the people in this video")
    return {**task.document(), **(task.result or {})}


@router.post("/videos/{video_id}/place")
def look_at_place(request: Request, video_id: _VideoId) -> dict[str, Any]:
    """Compare the place of a video with others; the suggestions of the video tell more then."""
    service, video = _service(request), _video(request, video_id)
    service.look_at_place(video)
    task = service.helpers.get("places", video.id)
    return task.document() if task else {"state": "done"}


@router.get("/work")
def work(request: Request) -> dict[str, Any]:
    """How far the model is with looking at the videos, and the training with learning."""
    service = _service(request)
    training = service.training()
    return {"proposing": service.helpers.count("propose"), "training": training}


@router.post("/proposals")
def propose(request: Request, video_id: Annotated[str, Query(pattern="^([0-9a-f]{16})?$")] = "") -> dict[str, Any]:
    """Have the model look at all videos, or at one before the others."""
    service = _service(request)
    videos = [service.videos.get(video_id)] if video_id else service.list_videos()
    service.propose(videos, first=bool(video_id))
    return work(request)


@router.post("/proposals/unseen")
def take_unseen(request: Request) -> dict[str, Any]:
    """Take all proposals that are left, marked as confirmed by nobody: they are learned from, and never tested on."""
    return {"taken": _service(request).take_unseen()}


@router.post("/training")
def train(request: Request) -> dict[str, Any]:
    """Train a model on the labels so far."""
    return {"run": _service(request).train()}


@router.delete("/training")
def stop_training(request: Request) -> dict[str, Any]:
    """Stop it."""
    _service(request).helpers.cancel("train")
    return work(request)


@router.get("/runs/{run}/report")
def report(request: Request, run: _Run) -> Response:
    """The report of a training."""
    path = _service(request).run_report(run)
    headers = {"Content-Security-Policy": _REPORT_POLICY}
    return FileResponse(path, media_type="text/html; charset=utf-8", headers=headers)


@router.post("/recordings")
async def record(
    request: Request,
    label: Annotated[str, Query(min_length=1, max_length=120)],
    person: Annotated[str, Query(min_length=1, max_length=80)],
    seconds: Annotated[float, Query(ge=0.5, le=_LONGEST_CLIP_S)],
    session: Annotated[str, Query(max_length=80)] = "",
) -> dict[str, Any]:
    """Keep a clip that the browser's camera recorded: the body is the recording, cut to its length here."""
    service = _service(request)
    if not clean(label) or not clean(person):
        raise ServiceError(422, "invalid", "label and person: must show something")
    recorded = service.state / "recorded" / f"{secrets.token_hex(8)}.webm"
    try:
        await _receive(request, recorded)
        return await asyncio.to_thread(_keep, service, recorded, clean(label), clean(person), clean(session), seconds)
    finally:
        recorded.unlink(missing_ok=True)


async def _receive(request: Request, path: FilePath) -> None:
    """Write the body to a file as it comes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, blocks = 0, request.stream()
    with path.open("xb") as file:
        while True:
            try:
                block = await asyncio.wait_for(anext(blocks), _SILENCE_S)
            except StopAsyncIteration:
                break
            except TimeoutError as error:
                raise ServiceError(408, "too_slow", f"nothing came for {_SILENCE_S:g} s") from error
            count += len(block)
            if count > _MOST_RECORDED:
                raise ServiceError(413, "too_large", f"a clip may have {_MOST_RECORDED >> 20} MB")
            file.write(block)


def _keep(
    service: LabelService, recorded: FilePath, label: str, person: str, session: str, seconds: float
) -> dict[str, Any]:
    """Make the clip, and label it."""
    path = service.recording_path(label, person, session)
    path.parent.mkdir(parents=True, exist_ok=True)
    task = service.helpers.ask("clip", recorded.stem, str(recorded), str(path), seconds)
    service.helpers.wait(task, timeout_s=_CLIP_TIME_S)
    if task.state != "done":
        raise ServiceError(422, "bad_recording", task.message or "the recording took too long to read")
    video = next(one for one in service.list_videos() if one.path == path)
    whole = LabelledSegment(id="recorded", start_s=0.0, end_s=task.result["duration_s"], label=label)
    change = Change(put=[whole], group=person, done=True)
    service.store.change(video.name, service.store.get(video.name).revision, "change", change)
    return {"id": video.id, "name": video.name, **task.result}
