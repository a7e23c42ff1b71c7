"""State shared by the routes of the labelling page: the folder, its labels, the helpers, and the proposing model."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kineme.dataset.labels import clean
from kineme.errors import KinemeError, VideoError
from kineme.files import user_cache_folder, write_json
from kineme.serving.labelling.changes import Change, LabelledSegment, VideoLabels
from kineme.serving.labelling.groups import suggestions, usual_groups
from kineme.serving.labelling.helpers import Helpers
from kineme.serving.labelling.store import LabelStore
from kineme.serving.labelling.videos import Video, VideoFolder
from kineme.serving.problem import ServiceError
from kineme.text import file_stem

STATE = ".kineme-label"
_CLASSES = "classes.json"
_MOST_COMPARED = 60  # videos whose places are compared with that of one
_SAME = 0.5  # of a proposal, covered by labelled segments: it is labelled already


@dataclass(frozen=True)
class LabelSettings:
    """Settings of ``kineme label``.

    Args:
        folder: of the videos.
        model: that proposes from the beginning: a model file, a run folder or a pretrained model.
        approach: the approach to train; None is the default of ``kineme train``.
        camera: whether the page opens where clips are recorded.
    """

    folder: Path
    model: str | None = None
    approach: str | None = None
    camera: bool = False


class LabelService:
    """The state of one labelling server.

    Args:
        settings: of the server.

    Raises:
        KinemeError: the folder cannot be used.
    """

    def __init__(self, settings: LabelSettings) -> None:
        self.settings, self.state = settings, settings.folder / STATE
        self.videos, self.helpers = VideoFolder(settings.folder), Helpers()
        self._usual: dict[str, str] = {}
        self.list_videos()
        self.store = LabelStore(settings.folder, self.state, lambda name: self._usual.get(name, name))
        self._lock = threading.Lock()
        self._model = settings.model or self._last_run()

    @property
    def model(self) -> str | None:
        """The model that proposes, or None."""
        return self._model

    def use_model(self, model: str | None) -> None:
        """Let another model propose."""
        if model != self._model:
            self.helpers.cancel("propose")
            self._model = model

    def list_videos(self) -> list[Video]:
        """All videos, looked for anew."""
        videos = self.videos.list()
        self._usual = usual_groups([video.name for video in videos])
        return videos

    def overview(self) -> dict[str, Any]:
        """What the page needs for its list."""
        rows = []
        for video in self.list_videos():
            labels = self.store.get(video.name)
            doubt = self._kept(video).get("doubt") if self._model else None
            left = len(self._open(video, labels)) if self._model else 0
            rows.append(
                {
                    "id": video.id,
                    "name": video.name,
                    "segments": len(labels.segments),
                    "state": "done" if labels.done else "begun" if labels.segments else "new",
                    "proposals": left,
                    "doubt": doubt,
                }
            )
        return {
            "folder": self.settings.folder.resolve().name,
            "videos": rows,
            "classes": self.classes(),
            "groups": self.store.groups(),
            "model": self._model and Path(self._model).name,
            "camera": self.settings.camera,
        }

    def classes(self) -> list[str]:
        """All classes in the order of their keys: as they were put, and then what else is in use."""
        try:
            kept = [str(one) for one in json.loads((self.state / _CLASSES).read_text(encoding="utf-8"))]
        except (OSError, ValueError, TypeError):
            kept = []
        return list(dict.fromkeys([*kept, *sorted(self.store.labels())]))

    def set_classes(self, classes: list[str]) -> list[str]:
        """Put the classes in an order."""
        write_json(self.state / _CLASSES, list(dict.fromkeys(filter(None, map(clean, classes)))))
        return self.classes()

    def document(self, video: Video) -> dict[str, Any]:
        """All about one video.

        Raises:
            ServiceError: 422, it cannot be read.
        """
        try:
            facts = self.videos.facts(video)
        except (VideoError, OSError) as error:
            raise ServiceError(422, "bad_video", str(error)) from error
        labels = self.store.get(video.name)
        alike = self.helpers.get("places", video.id)
        copy = self.helpers.get("copy", self.copy_path(video).stem)
        return {
            "id": video.id,
            "name": video.name,
            **facts,
            **labels.document(),
            "suggestions": suggestions(
                video.name,
                self._usual.get(video.name, video.name),
                self.store.groups(),
                alike.result if alike and alike.result else [],
            ),
            "proposals": self._open(video, labels) if self._model else [],
            "copy": {"state": "done"} if self.copy_path(video).is_file() else copy and copy.document(),
        }

    def copy_path(self, video: Video) -> Path:
        """Where the copy of a video is that browsers play."""
        stat = video.path.stat()
        key = f"{video.path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
        return user_cache_folder() / "label-copies" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.mp4"

    def make_copy(self, video: Video) -> None:
        """Have a copy made that browsers play."""
        path = self.copy_path(video)
        if not path.is_file():
            self.helpers.ask("copy", path.stem, str(video.path), str(path), first=True)

    def look_at_place(self, video: Video) -> None:
        """Have the place of a video compared with those of videos whose group is known."""
        known: dict[str, str] = {}
        for other in self.videos.list():
            group = self.store.get(other.name).group
            if group and other.id != video.id and len(known) < _MOST_COMPARED:
                known[str(other.path)] = group
        if known:
            self.helpers.ask("places", video.id, str(video.path), known, first=True)

    def propose(self, videos: list[Video], *, first: bool = False) -> None:
        """Have the model look at videos that it has not seen."""
        if self._model is None:
            raise ServiceError(422, "no_model", "there is no model yet: train one, or start with --model")
        for video in videos:
            if not self._kept(video):
                self.helpers.ask("propose", self._key(video), self._model, str(video.path), first=first)

    def take_unseen(self) -> int:
        """Make segments of all proposals that are left, marked as confirmed by nobody; gives how many."""
        taken = 0
        for video in self.list_videos():
            labels = self.store.get(video.name)
            left = self._open(video, labels) if self._model else []
            put = [
                LabelledSegment(
                    id=f"m-{one['id']}",
                    start_s=one["start_s"],
                    end_s=one["end_s"],
                    label=one["label"],
                    by="model",
                )
                for one in left
            ]
            if put:
                self.store.change(video.name, labels.revision, "change", Change(put=put))
                taken += len(put)
        return taken

    def train(self) -> str:
        """Have a model trained on the table; gives the name of the run.

        Raises:
            ServiceError: 409, one is being trained.
        """
        with self._lock:
            if self.helpers.count("train").get("running") or self.helpers.count("train").get("waiting"):
                raise ServiceError(409, "busy", "a model is being trained already")
            runs = self.state / "runs"
            taken = [int(one.name) for one in runs.glob("*") if one.name.isdecimal()] if runs.is_dir() else []
            name = f"{max(taken, default=0) + 1:03}"
            table = str(self.store.table)
            self.helpers.ask("train", name, table, str(runs / name), self.settings.approach)
            return name

    def training(self) -> dict[str, Any] | None:
        """How far the last training is; its model proposes once it is there."""
        numbered = self._runs()
        if not numbered:
            return None
        name = numbered[-1]
        task = self.helpers.get("train", name)
        if task is None:
            return None
        if task.state == "done" and task.result:
            self.use_model(str(self.state / "runs" / name))
        verdict = task.result["verdict"] if task.result else ""
        return {"run": name, **task.document(), "verdict": verdict}

    def run_report(self, name: str) -> Path:
        """The report of a run.

        Raises:
            ServiceError: 404, it does not exist.
        """
        path = self.state / "runs" / name / "report.html"
        if not re.fullmatch(r"\d{3,6}", name) or not path.is_file():
            raise ServiceError(404, "no_run", "there is no such training")
        return path

    def recording_path(self, label: str, person: str, session: str) -> Path:
        """A name for a new clip, which is not taken yet."""
        who = "-".join(filter(None, (file_stem(person), session and file_stem(session))))
        folder, stem, number = self.settings.folder / "recordings" / who, file_stem(label), 1
        while (path := folder / f"{stem}-{number:03}.mp4").exists():
            number += 1
        return path

    def _runs(self) -> list[str]:
        return sorted(self.helpers.keys("train"))

    def _last_run(self) -> str | None:
        runs = self.state / "runs"
        done = [one for one in runs.glob("*") if (one / "model.safetensors").is_file()] if runs.is_dir() else []
        return str(max(done, key=lambda one: one.name)) if done else None

    def _key(self, video: Video) -> str:
        """What a proposal depends on: the model and the file."""
        stat, model = video.path.stat(), Path(self._model or "")
        file = model / "model.safetensors" if model.is_dir() else model
        changed = file.stat().st_mtime_ns if file.is_file() else 0
        key = f"{self._model}|{changed}|{video.name}|{stat.st_size}|{stat.st_mtime_ns}"
        return hashlib.sha256(key.encode()).hexdigest()[:32]

    def _kept(self, video: Video) -> dict[str, Any]:
        """What the model has said of a video; kept on disk. Empty where it has not seen it."""
        try:
            key = self._key(video)
        except OSError:
            return {}
        path, task = self.state / "proposals" / f"{key}.json", self.helpers.get("propose", key)
        if task is not None and task.state == "done":
            if not path.is_file():
                with suppress(KinemeError):
                    write_json(path, task.result)
            return dict(task.result)
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def _open(self, video: Video, labels: VideoLabels) -> list[dict[str, Any]]:
        """The proposals that nobody has decided on, the least sure first."""
        proposals = self._kept(video).get("proposals", [])
        spans = [(one.start_s, one.end_s or 1e9) for one in labels.segments.values()]
        left = [
            one
            for one in proposals
            if one["id"] not in labels.rejected and _covered(one["start_s"], one["end_s"], spans) < _SAME
        ]
        return sorted(left, key=lambda one: one["confidence"])


def _covered(start_s: float, end_s: float, spans: list[tuple[float, float]]) -> float:
    """The largest share of a stretch of time that one of the spans covers."""
    overlaps = [min(end_s, end) - max(start_s, start) for start, end in spans]
    return max([0.0, *overlaps]) / max(end_s - start_s, 1e-6)


def check_model(model: str | None) -> None:
    """See that a model can be loaded before the page opens.

    Raises:
        KinemeError: it cannot.
    """
    if model is not None:
        from kineme import api

        api.load(model)
