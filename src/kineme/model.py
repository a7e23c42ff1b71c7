"""A trained model, ready to recognise: what :func:`kineme.load` returns."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.keywords import suggest_keywords
from kineme.people.detector import require_detector
from kineme.prediction.predict import OnProgress, fetch_options, predict_file
from kineme.prediction.result import Prediction
from kineme.prediction.trained import TrainedModel
from kineme.prediction.windows import open_scorer, score_clip
from kineme.sources.local import for_each_video, one_video
from kineme.video.clips import Clip

if TYPE_CHECKING:
    from kineme.exporters.agreement import Export
    from kineme.prediction.explain.explain import Explanation
    from kineme.prediction.people_stream import PeopleStream
    from kineme.prediction.stream import Stream
    from kineme.prediction.watch import Event
    from kineme.video.reader import OnPacket


class Model(TrainedModel):
    """Predicts, streams, watches, explains and exports; made by :func:`kineme.load`.

    Arguments, attributes and errors are those of :class:`~kineme.prediction.trained.TrainedModel`.

    Example:
        >>> kineme.load("runs/first").predict("new.mp4").label in ("sit-down", "wave")
        True
    """

    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        source: str | os.PathLike[str],
        *,
        engine: str = "auto",
        start_s: float = 0.0,
        end_s: float | None = None,
        people: bool = False,
        cookies: str | os.PathLike[str] | None = None,
        cookies_from_browser: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        source: Iterable[str | os.PathLike[str]],
        *,
        engine: str = "auto",
        start_s: float = 0.0,
        end_s: float | None = None,
        people: bool = False,
        cookies: str | os.PathLike[str] | None = None,
        cookies_from_browser: str | None = None,
        on_progress: OnProgress | None = None,
        on_error: Callable[[str, KinemeError], None] | None = None,
    ) -> Iterator[Prediction]: ...
    @suggest_keywords
    def predict(
        self,
        source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        engine: str = "auto",
        start_s: float = 0.0,
        end_s: float | None = None,
        people: bool = False,
        cookies: str | os.PathLike[str] | None = None,
        cookies_from_browser: str | None = None,
        on_progress: OnProgress | None = None,
        on_error: Callable[[str, KinemeError], None] | None = None,
    ) -> Prediction | Iterator[Prediction]:
        """Recognise the action in a video, or in each of several.

        A video longer than a clip is covered by windows; the label of the whole is that of their mean scores. Where
        the backbone looks at frames one by one, so is each frame of the video, once, whatever the windows share.

        Args:
            source: a file, or what else ``kineme predict`` takes that is one video, such as a URL.
                In a list also folders, patterns and playlists; the results come one by one.
            engine: ``"keras"``; ``"litert"`` or ``"openvino"`` (compiled once, and kept in the user's cache folder);
                or ``"auto"``: the fastest of those installed.
            start_s: where the part begins that is used, in seconds; times of the result are those of the part.
            end_s: where it ends; None is the end of the video.
            people: also say what each person does, in ``result.people``: everybody is found and followed, and gets a
                timeline of their own. A model that was trained on whole frames is shown each person cut out, and a
                warning says so; one trained with ``region="person"`` is meant for this.
            cookies: a ``cookies.txt`` in Netscape's format, for what a site shows to you alone.
            cookies_from_browser: a browser of this machine that has them: ``NAME`` or ``NAME:PROFILE``.
            on_progress: called now and then with the progress in a video, from 0 to 1.
            on_error: called with a source in a list that cannot be used and the reason; the others follow; by
                default the error is raised.

        Raises:
            VideoError: the file cannot be used.
            UsageError: there is no such engine; a single source that stands for several, or for a live stream.
            KinemeError: the engine cannot run the model; a source cannot be fetched; the weights that find people are
                not on this machine.

        Example:
            >>> result = model.predict("new.mp4")
            >>> label, probability = result.top[0]
            >>> [one.source for one in model.predict(["new.mp4", "my-videos/wave"])][0]
            'new.mp4'
            >>> model.predict("new.mp4", people=True).people
            ()
        """
        open_scorer(self, engine)  # a fault of it is reported before a source is fetched
        if people:
            require_detector()
        options = fetch_options(
            self,
            people=people,
            start_s=start_s,
            end_s=end_s,
            cookies=cookies,
            cookies_from_browser=cookies_from_browser,
        )
        if not isinstance(source, str | os.PathLike):
            return for_each_video(
                source,
                lambda video: predict_file(self, video.file, engine, on_progress, people=people),
                options,
                on_error=on_error,
            )
        with one_video(
            os.fspath(source), options, advice="put it in a list, and read its predictions as they come"
        ) as video:
            return predict_file(self, video.file, engine, on_progress, people=people)

    @overload
    def stream(
        self, *, mode: str = "exact", engine: str = "auto", stride: int | None = None, people: Literal[False] = False
    ) -> Stream: ...
    @overload
    def stream(
        self, *, mode: str = "exact", engine: str = "auto", stride: int | None = None, people: Literal[True]
    ) -> PeopleStream: ...
    def stream(
        self, *, mode: str = "exact", engine: str = "auto", stride: int | None = None, people: bool = False
    ) -> Stream | PeopleStream:
        """Recognise while the frames come; one frame costs one frame where the approach allows it.

        Args:
            mode: ``"exact"`` answers as :meth:`predict` does of the window of the last T ticks, from features kept
                of each frame. ``"carried"`` keeps the network's state instead, for as long as the stream runs: still
                cheaper, and it answers from the first frame, but an LSTM remembers frames older than a window, so
                its answers drift from those of windows, often to another label: ``benchmarks/streaming.py`` measures
                how far. It is for ``lrcn`` (not bidirectional), ``pose-lstm``, ``convlstm``, ``single-frame``, and
                ``late-fusion`` with ``merge=mean``.
            engine: ``"keras"``; ``"litert"`` or ``"openvino"`` (compiled once, and kept in the user's cache folder);
                or ``"auto"``: the fastest of those installed.
            stride: ticks from one answer to the next in mode ``"exact"``; by default 1 where a window costs no more
                than its newest frame, otherwise (3D and early fusion on frames, ConvLSTM, I3D) as from one window
                of a file to the next.
            people: follow everybody, and say what each does: see
                :class:`~kineme.prediction.people_stream.PeopleStream`. One more frame costs one look at most, and one
                step for each person.

        Raises:
            UsageError: there is no such mode or engine, the approach cannot do it, or its clips are spread over
                whole videos.
            KinemeError: the engine cannot run the model; the weights that find people are not on this machine.

        Example:
            >>> from kineme.video.decode import read_frames
            >>> with model.stream() as stream:
            ...     for frame in read_frames("new.mp4"):
            ...         probabilities_K = stream.push(frame.pixels_HWC, frame.pts_s)
            >>> probabilities_K.shape
            (2,)
            >>> model.stream(people=True).push(frame.pixels_HWC, frame.pts_s)  # no person is visible
            ()
        """
        if people:
            from kineme.prediction.people_stream import PeopleStream

            return PeopleStream(self, mode=mode, engine=engine, stride=stride)
        from kineme.prediction.stream import Stream

        return Stream(self, mode=mode, engine=engine, stride=stride)

    @suggest_keywords
    def watch(
        self,
        source: str | int,
        *,
        mode: str = "exact",
        engine: str = "auto",
        stride: int | None = None,
        people: bool = False,
        max_seconds: float | None = None,
        timeout_s: float = 10.0,
        retry_s: float = 60.0,
        stop: threading.Event | None = None,
        on_packet: OnPacket | None = None,
    ) -> Generator[Event, None, None]:
        """Recognise what a camera or live stream shows, as it comes.

        The newest frame wins: where the model is slower than the source, frames are left out and counted, and the
        stream's ticks see the one before them (:class:`~kineme.prediction.stream.Stream`). A source that disconnects is
        opened again, with growing waits; the clip begins anew then.

        Args:
            source: a camera's number or device (``0``, ``"/dev/video0"``), or an address: ``rtsp://``, ``rtmp://``,
                ``udp://``, ``tcp://``, or http with Motion JPEG or live HLS.
            mode: see :meth:`stream`.
            engine: see :meth:`stream`.
            stride: see :meth:`stream`.
            people: also follow everybody, and say in each event what each does.
            max_seconds: end after so many seconds from the first frame.
            timeout_s: how long the source may be silent before it is treated as disconnected.
            retry_s: how long to retry a source that disconnected.
            stop: ends it when set, by another thread or a signal's handler.
            on_packet: see :class:`~kineme.video.reader.LiveReader`; for clips of events.

        Yields:
            An event for each frame that the model had time for, and at least one every half second.

        Raises:
            UsageError: as :meth:`stream`.
            VideoError: the source cannot be opened, or is gone for good; the last event comes before that.

        Example:
            >>> for event in model.watch("rtsp://camera/stream"):  # doctest: +SKIP
            ...     print(event.label, event.top, event.latency_s)
        """
        from kineme.prediction.watch import Watcher
        from kineme.video.reader import LiveReader

        # An error is raised at once.
        everybody = self.stream(mode=mode, engine=engine, stride=stride, people=True) if people else None
        watcher = Watcher(self, self.stream(mode=mode, engine=engine, stride=stride), everybody)
        spec = self.card.spec
        size = spec.height, spec.width
        reader = LiveReader(
            str(source), size=size, fit=spec.fit, timeout_s=timeout_s, retry_s=retry_s, on_packet=on_packet
        )
        return watcher.events(reader, max_seconds, stop or threading.Event())

    @suggest_keywords
    def explain(
        self,
        source: str | os.PathLike[str],
        *,
        label: str | None = None,
        engine: str = "auto",
        start_s: float = 0.0,
        end_s: float | None = None,
        cookies: str | os.PathLike[str] | None = None,
        cookies_from_browser: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Explanation:
        """Say where and when the model looked to name a video's action.

        It takes about ten times as long as :meth:`predict`. A model that is exported has no gradients, and only says
        when.

        Args:
            source: a video, as :meth:`predict` takes it.
            label: what to explain; by default the likeliest label.
            engine: as :meth:`predict`; gradients are always Keras'.
            start_s: where the part begins that is used, in seconds; times of the result are those of the part.
            end_s: where it ends; None is the end of the video.
            cookies: a ``cookies.txt`` in Netscape's format, for what a site shows to you alone.
            cookies_from_browser: a browser of this machine that has them: ``NAME`` or ``NAME:PROFILE``.
            on_progress: called now and then with the progress, from 0 to 1.

        Returns:
            The prediction, the explained label, attributions over time, and heat maps or joints; see
            :class:`kineme.prediction.explain.explain.Explanation`.

        Raises:
            UsageError: the model does not know the label; and as :meth:`predict`.
            VideoError: the file cannot be used.
            KinemeError: as :meth:`predict`.

        Example:
            >>> found = model.explain("new.mp4", label="wave")
            >>> sorted(found.attributions)
            ['gradient', 'occlusion']
        """
        from kineme.prediction.explain.explain import explain_file

        options = fetch_options(
            self, start_s=start_s, end_s=end_s, cookies=cookies, cookies_from_browser=cookies_from_browser
        )
        with one_video(os.fspath(source), options) as video:
            return explain_file(self, video.file, label=label, engine=engine, on_progress=on_progress)

    @suggest_keywords
    def export(
        self,
        to: str = "litert",
        out: str | os.PathLike[str] | None = None,
        *,
        check: str | os.PathLike[str] | None = None,
    ) -> Export:
        """Write the model for an engine that needs neither Keras nor TensorFlow, if it says there what Keras says.

        Args:
            to: the format: ``"litert"``, ``"onnx"``, ``"openvino"`` or ``"savedmodel"``.
            out: a name ending in ``.tflite``, for one file that :func:`kineme.load` reads again; or a folder for other
                programs, with the clip model, the step model and the model card. By default that file for
                ``"litert"``, else a folder named after the model and the format.
            check: a video to compare on, at least as long as a clip; by default drawn people.

        Raises:
            UsageError: there is no such format, the model is exported already, or the folder holds something else.
            KinemeError: tools are missing, the format cannot hold the network, or the scores differ.

        Example:
            >>> model.export(out="model.tflite").path.name
            'model.tflite'
        """
        from kineme.exporters.folder import export_folder
        from kineme.exporters.litert import export_litert
        from kineme.models.formats import check_format
        from kineme.prediction.exported import SUFFIX

        check_format(to)
        stem = Path(self.name).stem
        if to == "litert" and (out is None or Path(out).suffix):
            return export_litert(self, out or f"{stem}{SUFFIX}", check=check)
        return export_folder(self, to, out or f"{stem}-{to}", check=check)

    def score_clip(self, clip: Clip, *, engine: str = "auto") -> NDArray[np.float32]:
        """Logits_K of one clip.

        Example:
            >>> from kineme.video.clips import read_clips
            >>> clip = next(read_clips("new.mp4", model.card.spec))
            >>> model.score_clip(clip).shape
            (2,)
        """
        return score_clip(self, clip, engine)
