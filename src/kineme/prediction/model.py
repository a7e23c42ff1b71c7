"""A trained model, ready to recognise: what :func:`kineme.load` returns."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError, UsageError
from kineme.models.encoder import Encoder, PoseEncoder, frozen_encoder
from kineme.models.model_file import ModelCard, load_model, named_weights, read_card, read_weights
from kineme.models.scoring import softmax
from kineme.prediction.engines.engine import fingerprint, open_engine
from kineme.prediction.engines.exported import SUFFIX as EXPORTED_SUFFIX
from kineme.prediction.engines.exported import Exported
from kineme.prediction.result import Prediction
from kineme.prediction.summary import summed_up
from kineme.prediction.windows import Tick, Windows, file_stride, is_heavy
from kineme.progress import track
from kineme.sources.local import FetchOptions, LocalVideo, local_videos, one_video
from kineme.video.clips import Clip, ticks
from kineme.video.prefetch import prefetch
from kineme.video.probe import probe

if TYPE_CHECKING:
    from kineme.prediction.explain.explain import Explanation
    from kineme.prediction.stream import Stream
    from kineme.prediction.watch import Event

MODEL_NAME = "model.safetensors"

OnProgress = Callable[[float], None]


class Model:
    """A network with the contract it was trained under.

    Args:
        network: a Keras model from uint8 clips_BTHWC to logits_BK; where there is none, that of the model file is
            built when first wanted, since much can be done without Keras.
        card: all else of the model.
        name: how the model is called in results.
        path: the file it was read from, if it was.
        stride: ticks from one window of a video to the next; half a clip by default, as in evaluation.
        exported: its parts, compiled, instead of a network.

    Attributes:
        poses: what finds landmarks in frames, for a model on poses.

    Raises:
        KinemeError: BlazePose's weights are not on this machine; a model on landmarks does not hold them.
    """

    def __init__(
        self,
        network: Any,
        card: ModelCard,
        name: str,
        path: Path | None = None,
        *,
        stride: int | None = None,
        exported: Exported | None = None,
    ) -> None:
        self.card, self.name, self.path, self.stride, self.exported = card, name, path, stride, exported
        self.poses: PoseEncoder | None = None
        if card.config.get("backbone") == "blazepose":
            self.poses = cast("PoseEncoder", frozen_encoder(network, "blazepose"))
        self._network = network
        self._ready = threading.local()

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Model:
        """Load a model that was trained here, or exported; its name is the run folder's, or the file's.

        Args:
            path: a model file, a run folder that holds one, or what ``kineme export`` wrote.

        Raises:
            KinemeError: it is missing, damaged, or of another version.
        """
        file = find_model_file(path)
        if file.suffix.lower() == EXPORTED_SUFFIX:
            exported = Exported(file)
            return cls(None, exported.card, exported.name, file, stride=exported.stride, exported=exported)
        return cls(None, read_card(file), file.parent.name if file.name == MODEL_NAME else file.name, file)

    @property
    def network(self) -> Any:
        """The Keras model.

        Raises:
            KinemeError: the model is exported, or Keras or a tensor of the file is missing.
        """
        if self._network is None:
            if self.exported or not self.path:
                raise KinemeError(f"{self.path}: an exported model only predicts; for all else use the one it is from")
            self._network, _ = load_model(self.path)
        return self._network

    @functools.cached_property
    def encoder(self) -> Encoder | None:
        """The encoder inside the network, if its backbone comes trained."""
        return self.poses or frozen_encoder(
            self.network, str(self.card.config.get("backbone")), finetuned=self.card.finetuned
        )

    @functools.cached_property
    def evidence(self) -> Any:
        """What says by gradient what spoke for a label; see :mod:`kineme.prediction.explain.gradients`."""
        from kineme.prediction.explain.gradients import HeatMaps, Joints

        return (Joints if self.poses else HeatMaps)(self.network, self.card)

    @property
    def classifier(self) -> Any:
        """What follows the encoder; the whole network where there is none."""
        return self.network.get_layer("head") if self.encoder else self.network

    def weights(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Name and values of every weight of the network, or of its file where it is not built."""
        if self._network is None and self.path:
            return read_weights(self.path)
        from kineme.models.backend import keras

        named = named_weights(self.network)
        return ((name, keras.ops.convert_to_numpy(weight)) for name, weight in named.items())

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of all probabilities."""
        return self.card.labels

    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        source: str | os.PathLike[str],
        *,
        engine: str = "auto",
        start_s: float = 0.0,
        end_s: float | None = None,
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
        on_progress: OnProgress | None = None,
        on_error: Callable[[str, KinemeError], None] | None = None,
    ) -> Iterator[Prediction]: ...
    def predict(
        self,
        source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        engine: str = "auto",
        start_s: float = 0.0,
        end_s: float | None = None,
        on_progress: OnProgress | None = None,
        on_error: Callable[[str, KinemeError], None] | None = None,
    ) -> Prediction | Iterator[Prediction]:
        """Recognise the action in a video, or in each of several.

        A video longer than a clip is covered by windows; the label of the whole is that of their mean scores. Where
        the backbone looks at frames one by one, so is each frame of the video, once, whatever the windows share.

        Args:
            source: a file, or what else ``kineme predict`` takes that is one video, such as an address of the web.
                In a list also folders, patterns and playlists; the results come one by one.
            engine: ``"keras"``; ``"litert"`` or ``"openvino"`` (compiled once, and kept in the user's cache folder);
                or ``"auto"``: what is fastest of what is installed.
            start_s: where the part begins that is used, in seconds; times of the result are those of the part.
            end_s: where it ends; None is the end of the video.
            on_progress: told how far a video is, from 0 to 1, now and then.
            on_error: told of a source in a list that cannot be used, with the reason, and the others follow; by
                default the error is raised.

        Raises:
            VideoError: the file cannot be used.
            UsageError: there is no such engine; a single source that stands for several, or for a live stream.
            KinemeError: the engine cannot run the model; a source cannot be fetched.
        """
        windows = self._windows(engine)
        options = FetchOptions(min_side=max(self.card.spec.height, self.card.spec.width), start_s=start_s, end_s=end_s)
        if not isinstance(source, str | os.PathLike):
            return self._predict_sources(source, options, windows, on_progress, on_error)
        with one_video(os.fspath(source), options, advice="put it in a list, and take what comes") as video:
            return self._predict_video(video, windows, on_progress)

    def stream(self, *, mode: str = "exact", engine: str = "auto", stride: int | None = None) -> Stream:
        """Recognise while the frames come; one frame costs one frame where the approach allows it.

        ::

            with model.stream() as stream:
                for frame_HWC, time_s in camera:
                    probabilities_K = stream.push(frame_HWC, time_s)

        Args:
            mode: ``"exact"`` answers as :meth:`predict` does of the window of the last T ticks, from features kept
                of each frame. ``"carried"`` keeps the network's state instead, for as long as the stream runs: still
                cheaper, and it answers from the first frame, but an LSTM remembers what is older than a window, so
                its answers drift from those of windows, often to another label: ``benchmarks/streaming.py`` measures
                how far. It is for ``lrcn`` (not bidirectional), ``pose-lstm``, ``convlstm``, ``single-frame``, and
                ``late-fusion`` with ``merge=mean``.
            engine: ``"keras"``; ``"litert"`` or ``"openvino"`` (compiled once, and kept in the user's cache folder);
                or ``"auto"``: what is fastest of what is installed.
            stride: ticks from one answer to the next in mode ``"exact"``; by default 1 where a window costs no more
                than its newest frame, otherwise (3D and early fusion on frames, ConvLSTM, I3D) as from one window
                of a file to the next.

        Raises:
            UsageError: there is no such mode or engine, the approach cannot do it, or its clips are spread over
                whole videos.
            KinemeError: the engine cannot run the model.
        """
        from kineme.prediction.stream import Stream

        return Stream(self, mode=mode, engine=engine, stride=stride)

    def watch(
        self,
        source: str | int,
        *,
        mode: str = "exact",
        engine: str = "auto",
        stride: int | None = None,
        max_seconds: float | None = None,
        timeout_s: float = 10.0,
        retry_s: float = 60.0,
        stop: threading.Event | None = None,
    ) -> Generator[Event, None, None]:
        """Recognise what a camera or live stream shows, as it comes.

        ::

            for event in model.watch("rtsp://camera/stream"):
                print(event.label, event.top, event.delay_s)

        The newest frame wins: where the model is slower than the source, frames are left out and counted, and the
        stream's ticks see the one before them (:class:`~kineme.prediction.stream.Stream`). A source that breaks off is
        opened again, with growing waits; the clip begins anew then.

        Args:
            source: a camera's number or device (``0``, ``"/dev/video0"``), or an address: ``rtsp://``, ``rtmp://``,
                ``udp://``, ``tcp://``, or http with Motion JPEG or live HLS.
            mode: see :meth:`stream`.
            engine: likewise.
            stride: likewise.
            max_seconds: end after so many seconds from the first frame.
            timeout_s: how long the source may be silent before it is taken for broken off.
            retry_s: how long a source that broke off is tried again.
            stop: ends it when set, by another thread or a signal's handler.

        Yields:
            An event for each frame that the model had time for, and at least one every half second.

        Raises:
            UsageError: as :meth:`stream`.
            VideoError: the source cannot be opened, or is gone for good; the last event comes before that.
        """
        from kineme.prediction.watch import watch

        return watch(
            self,
            source,
            mode=mode,
            engine=engine,
            stride=stride,
            max_seconds=max_seconds,
            timeout_s=timeout_s,
            retry_s=retry_s,
            stop=stop,
        )

    def explain(
        self,
        source: str | os.PathLike[str],
        *,
        label: str | None = None,
        engine: str = "auto",
        start_s: float = 0.0,
        end_s: float | None = None,
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
            on_progress: told how far it is, from 0 to 1, now and then.

        Returns:
            The prediction, what is explained, strips over time, and heat maps or joints; see
            :class:`kineme.prediction.explain.explain.Explanation`.

        Raises:
            UsageError: the model does not know the label; and as :meth:`predict`.
            VideoError: the file cannot be used.
            KinemeError: as :meth:`predict`.
        """
        from kineme.prediction.explain.explain import explain

        return explain(self, source, label=label, engine=engine, start_s=start_s, end_s=end_s, on_progress=on_progress)

    def probabilities(self, logits_NK: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities_NK of logits."""
        return softmax(logits_NK, self.card.temperature)

    def open_set_score(self, logits_NK: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Whether logits show a label at all, (N,): from 0 on they do.

        None where the model was not trained to tell. See :class:`~kineme.models.open_set.OpenSetDetector`.
        """
        return None if self.card.open_set is None else self.card.open_set.score(logits_NK)

    def score_clip(self, clip: Clip, *, engine: str = "auto") -> NDArray[np.float32]:
        """Logits_K of one clip."""
        of_ticks = zip(clip.times_s.tolist(), clip.frames_THWC, strict=True)
        ((_, logits_K),) = self._windows(engine).score(self.name, of_ticks)
        return logits_K

    def _windows(self, engine: str) -> Windows:
        """What scores windows in this thread; made anew when the network has other weights."""
        made: dict[Any, Windows] = self._ready.__dict__.setdefault("windows", {})
        key = engine, None if self.exported or engine == "keras" else fingerprint(self)
        if key not in made:
            made.clear()
            made[key] = Windows(self, open_engine(engine, self))
        return made[key]

    def _predict_sources(
        self,
        sources: Iterable[str | os.PathLike[str]],
        options: FetchOptions,
        windows: Windows,
        on_progress: OnProgress | None,
        on_error: Callable[[str, KinemeError], None] | None,
    ) -> Generator[Prediction, None, None]:
        for source in sources:
            try:
                with closing(local_videos([os.fspath(source)], options, on_error=on_error)) as videos:
                    for video in videos:
                        try:
                            with video.named():
                                result = self._predict_video(video, windows, on_progress)
                            yield result
                        except KinemeError as error:
                            if on_error is None:
                                raise
                            on_error(video.source, error)
            except KinemeError as error:
                if on_error is None or isinstance(error, UsageError):
                    raise
                on_error(os.fspath(source), error)

    def _predict_video(self, video: LocalVideo, windows: Windows, on_progress: OnProgress | None) -> Prediction:
        result = self._predict_file(video.path, windows, on_progress)
        return replace(result, source=video.source, warnings=tuple(map(video.in_words, result.warnings)))

    def _predict_file(self, source: Path, windows: Windows, on_progress: OnProgress | None) -> Prediction:
        started = time.perf_counter()
        info = probe(source)
        spec = self.card.spec
        warnings: list[str] = []
        stride = file_stride(self)
        shown = prefetch(ticks(source, spec, on_warning=warnings.append))
        if on_progress:
            shown = _telling(shown, info.duration_s, on_progress)
        scored = windows.score(source, shown, stride)
        if is_heavy(self.card):
            count = len(spec.window_starts(spec.tick_count(info.duration_s), stride))
            scored = track(scored, f"{Path(source).name}, windows", count)
        times, rows = zip(*((times_T, logits_K) for times_T, logits_K in scored), strict=True)
        return summed_up(
            self,
            os.fspath(source),
            np.array([(times_T[0], times_T[-1]) for times_T in times]),
            np.stack(rows),
            duration_s=info.duration_s,
            fps=float(info.fps),
            warnings=warnings,
            timing={"seconds": round(time.perf_counter() - started, 3), "windows": len(times)},
        )


def _telling(of_ticks: Iterable[Tick], duration_s: float, on_progress: OnProgress) -> Iterator[Tick]:
    """The same ticks; with each that is done with, how far the video is."""
    for tick in of_ticks:
        yield tick
        on_progress(min(1.0, tick[0] / duration_s) if duration_s else 1.0)


def find_model_file(path: str | os.PathLike[str]) -> Path:
    """The model file that ``path`` means: itself, or the one in a run folder.

    Raises:
        KinemeError: there is none.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / MODEL_NAME).is_file():
            raise KinemeError(f"{path}: no {MODEL_NAME} in this folder; is it a run folder of a finished training?")
        return path / MODEL_NAME
    if not path.is_file():
        raise KinemeError(f"{path}: there is no such model file")
    return path
