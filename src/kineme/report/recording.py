"""Saves a live source: videos, tables and subtitles, written as it comes and complete however it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from kineme.errors import UsageError, VideoError
from kineme.files import atomic_write
from kineme.people.tracks import Track
from kineme.prediction.people_stream import LivePerson
from kineme.prediction.result import PersonPrediction, Prediction, Segment
from kineme.prediction.trained import TrainedModel
from kineme.prediction.watch import Event
from kineme.report import tables
from kineme.report.overlay import draw_prediction
from kineme.report.people_overlay import PeoplePainter, shown_live
from kineme.report.save import FORMATS, claimed_name, skeletons
from kineme.video.geometry import resize_geometry
from kineme.video.live import file_name, without_password
from kineme.video.write import VideoWriter

_SHOWN = 3
_KEY_FRAME_S = 2  # a recording can be entered that often


class Painter:
    """Draws what the model says on the frames of a live source.

    Args:
        model: the one that watches.
    """

    def __init__(self, model: TrainedModel) -> None:
        self._skeleton = skeletons(model.poses) if model.poses else None
        self._labels = model.labels
        self._size: tuple[int, int] | None = None
        self._paint_people = PeoplePainter()

    def __call__(self, event: Event) -> NDArray[np.uint8] | None:
        """The newest frame, RGB, with the most likely labels during a known action; None before the first.

        Where people are followed, each has a box with a label instead.

        All are of the size of the first.
        """
        if event.frame is None:
            return None
        frame_HWC = event.frame.pixels()
        people = [shown_live(one) for one in event.people if not one.has_left]
        if people:
            frame_HWC = self._paint_people(frame_HWC, people)
        self._size = self._size or (frame_HWC.shape[0], frame_HWC.shape[1])
        frame_HWC = _fitted(frame_HWC, self._size)
        if people:
            return frame_HWC
        if self._skeleton:
            frame_HWC = self._skeleton(frame_HWC, event.time_s)
        is_pause = event.current_segment is not None and event.current_segment.is_background
        return draw_prediction(frame_HWC, [] if is_pause else event.top[:_SHOWN], labels=self._labels)


class Recording:
    """Writes a watched source; use it in a ``with`` statement, whose end completes the files in any case.

    Memory does not grow with time but for the segments.

    Args:
        model: the one that watches.
        source: the live source.
        formats: some of ``FORMATS`` but ``html``.
        folder: where to. Files are called by the source and the time when it began.
        people: whether people are followed, so that rows say whose they are.
        write: takes the text of the only format instead, as it comes.

    Raises:
        UsageError: the format needs a finished video.
    """

    def __init__(
        self,
        model: TrainedModel,
        source: str,
        formats: tuple[str, ...],
        folder: Path,
        *,
        people: bool = False,
        write: Callable[[str], object] | None = None,
    ) -> None:
        if "html" in formats:
            raise UsageError("--save html: a page needs a finished video; use --save video, then predict that file")
        self.source, self.written = without_password(source), list[Path]()
        self._model, self._formats, self._folder, self._write = model, formats, folder, write
        self._has_people, self._newest_of = people, dict[int, float]()  # of each person: end of the newest window
        self._name = f"{file_name(source)}-{time.strftime('%Y%m%d-%H%M%S')}"
        self._files = ExitStack()
        self._texts: list[_Text] = []
        self._video: VideoWriter | None = None
        self._began_s: float | None = None
        self._last: Event | None = None
        self._segments: list[Segment] = []
        self._people: dict[int, LivePerson] = {}  # as first seen
        self._of_people: dict[int, list[Segment]] = {}
        self._notices: list[str] = []
        self._frames = self._windows = 0
        self._seconds = 0.0  # since the first frame
        self._sum_K = np.zeros(len(model.labels))
        self._most_latency_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.has_answer:
            result = self.result()
            for text in self._texts:
                text.end(result)
            if "parquet" in self._formats:
                tables.write_parquet(self._path("parquet"), result)
        self._files.__exit__(None, None, None)

    def add(self, event: Event, picture_HWC: NDArray[np.uint8] | None = None) -> None:
        """Take in an event.

        Args:
            event: the next one.
            picture_HWC: its frame as it is to appear in the video.
        """
        if event.frame:
            if self._began_s is None:
                self._began_s = time.monotonic()
                self._open()
            self._frames += 1
            self._most_latency_s = max(self._most_latency_s, event.latency_s)
            if picture_HWC is not None and "video" in self._formats:
                self._show(event, picture_HWC)
        is_answer = event.probabilities_K is not None and event.prediction_time_s is not None
        if is_answer and (self._last is None or event.prediction_time_s != self._last.prediction_time_s):
            self._answer(event)
        for segment in event.finished_segments:
            self._segments.append(segment)
            for text in self._texts:
                text.segment(segment)
        for person in event.people:
            self._people.setdefault(person.id, person)
            if person.probabilities_K is not None and person.prediction_time_s != self._newest_of.get(person.id):
                assert person.prediction_time_s is not None
                self._newest_of[person.id] = person.prediction_time_s
                self._row(person.prediction_time_s, person.probabilities_K, person.id)
            if person.has_left:
                self._newest_of.pop(person.id, None)
            for segment in person.finished_segments:
                self._of_people.setdefault(person.id, []).append(segment)
                for text in self._texts:
                    text.segment(segment, person.id)
        self._notices += event.notices
        self._seconds = time.monotonic() - self._began_s if self._began_s is not None else 0.0
        self._last = event

    @property
    def has_answer(self) -> bool:
        """Whether the model has answered yet."""
        return self._windows > 0

    def result(self) -> Prediction:
        """The result so far; its windows are not kept.

        Raises:
            VideoError: nothing that the model could answer to.
        """
        spec, last = self._model.card.spec, self._last
        if not self._windows or not last:
            needs_s, had_s = spec.frames * spec.step_s(0.0), last.time_s if last else 0.0
            raise VideoError(self.source, f"was watched for {had_s:.1f} s; the model needs {needs_s:.1f} s to answer")
        came = self._frames + last.dropped
        return Prediction(
            source=self.source,
            model=self._model.name,
            duration_s=last.time_s,
            fps=came / last.time_s if last.time_s else 0.0,
            labels=self._model.labels,
            probabilities_K=self._sum_K / self._windows,
            window_times_W2=np.zeros((0, 2)),
            window_probabilities_WK=np.zeros((0, len(self._model.labels))),
            segments=tuple(self._segments),
            timing={
                "seconds": round(self._seconds, 3),
                "windows": self._windows,
                "frames": self._frames,
                "dropped": last.dropped,
                "longest_delay_s": round(self._most_latency_s, 3),
            },
            warnings=tuple(self._notices),
            people=self._people_so_far() if self._has_people else None,
        )

    def _people_so_far(self) -> tuple[PersonPrediction, ...]:
        """The prediction for each person; only the first box is kept."""
        found = []
        for number, segments in sorted(self._of_people.items()):
            person, labels = self._people[number], self._model.labels
            track = Track(
                number,
                np.array([segments[0].start_s]),
                person.joints_JC[None],
                person.box_4[None],
                np.array([not person.is_hidden], np.float32),
            )
            windows = np.zeros((0, 2)), np.zeros((0, len(labels)))
            found.append(PersonPrediction(track, labels, np.zeros(len(labels)), *windows, tuple(segments)))
        return tuple(found)

    def _path(self, suffix: str) -> Path:
        path = self._folder / f"{self._name}.{suffix}"
        self.written.append(path)
        return path

    def _open(self) -> None:
        """Begin the files that grow."""
        if self._formats and self._write is None:
            endings = (".mp4", *(f".{one}" for one in FORMATS))
            self._name = self._files.enter_context(claimed_name(self._folder, self._name, endings))
        for text in (one for one in FORMATS if one in tables.TEXTS and one in self._formats):
            write = self._write
            if write is None:
                temporary = self._files.enter_context(atomic_write(self._path(text)))
                file = temporary.open("w", buffering=1, encoding="utf-8", newline="\n")
                write = self._files.enter_context(file).write
            self._texts.append(_Text(text, self._model.labels, write, has_people=self._has_people))

    def _show(self, event: Event, picture_HWC: NDArray[np.uint8]) -> None:
        if self._video is None:
            fps = min(max(event.fps or 25.0, 5.0), 60.0)
            height, width = picture_HWC.shape[:2]
            options = {"g": str(round(fps * _KEY_FRAME_S))}
            self._video = self._files.enter_context(
                VideoWriter(self._path("mp4"), width=width, height=height, fps=fps, options=options, in_fragments=True)
            )
        self._video.write(picture_HWC, pts_s=event.time_s)

    def _answer(self, event: Event) -> None:
        probabilities_K = np.asarray(event.probabilities_K)
        self._windows += 1
        self._sum_K += probabilities_K
        self._row(event.prediction_time_s or 0.0, probabilities_K)

    def _row(self, end_s: float, probabilities_K: NDArray[np.float64], person: int | None = None) -> None:
        """A window that ends there, of a person or of all."""
        spec = self._model.card.spec
        for text in self._texts:
            text.window(max(0.0, end_s - (spec.frames - 1) * spec.step_s(0.0)), end_s, probabilities_K, person)


class _Text:
    """One of the text formats, given in pieces."""

    def __init__(self, name: str, labels: tuple[str, ...], write: Callable[[str], object], *, has_people: bool) -> None:
        self._name, self._write, self._has_people = name, write, has_people
        self._actions = 0
        head = {"csv": tables.csv_head(labels, has_people), "vtt": tables.VTT_HEAD}.get(name)
        if head:
            write(head)

    def window(self, start_s: float, end_s: float, probabilities_K: NDArray[np.float64], person: int | None) -> None:
        if self._name == "csv":
            whose = ("" if person is None else person,) if self._has_people else ()
            self._write(tables.csv_row(start_s, end_s, probabilities_K, *whose))

    def segment(self, segment: Segment, person: int | None = None) -> None:
        cue = {"srt": tables.srt_cue, "vtt": tables.vtt_cue}.get(self._name)
        if cue and not segment.is_background:
            self._actions += 1
            self._write(cue(self._actions, segment, person))

    def end(self, result: Prediction) -> None:
        if self._name == "json":
            self._write(tables.to_json(result))


def _fitted(frame_HWC: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A frame of another size, as of a camera that has turned, between black bars."""
    if frame_HWC.shape[:2] == size:
        return frame_HWC
    spot = resize_geometry((frame_HWC.shape[0], frame_HWC.shape[1]), size, "letterbox")
    canvas = np.zeros((*size, 3), np.uint8)
    small = cv2.resize(frame_HWC, (spot.width, spot.height), interpolation=cv2.INTER_AREA)
    canvas[spot.top : spot.top + spot.height, spot.left : spot.left + spot.width] = small
    return canvas
