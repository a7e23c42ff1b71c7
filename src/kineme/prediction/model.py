"""A trained model, ready to recognise: what :func:`kineme.load` returns."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.models.encoder import FrameEncoder, PoseEncoder, WindowEncoder, encoder_of
from kineme.models.model_file import ModelCard, load_model
from kineme.models.scoring import is_heavy, score_clips
from kineme.prediction.result import Prediction
from kineme.prediction.timeline import segments
from kineme.progress import track
from kineme.training.known import energy
from kineme.training.metrics import softmax
from kineme.video.clips import Clip, cut_clips, ticks
from kineme.video.probe import probe

if TYPE_CHECKING:
    from kineme.prediction.stream import Stream

MODEL_NAME = "model.safetensors"


class Model:
    """A network with the contract it was trained under.

    Args:
        network: a Keras model from uint8 clips_BTHWC to logits_BK.
        card: all else of the model.
        name: how the model is called in results.
        path: the file it was read from, if it was.
        stride: ticks from one window of a video to the next; half a clip by default, as in evaluation.
    """

    def __init__(
        self, network: Any, card: ModelCard, name: str, path: Path | None = None, *, stride: int | None = None
    ) -> None:
        self.network, self.card, self.name, self.path, self.stride = network, card, name, path, stride
        self.encoder = encoder_of(network, str(card.config.get("backbone")), finetuned=card.finetuned)
        self.classifier = network.get_layer("head") if self.encoder else network

    @property
    def heavy(self) -> bool:
        """Whether a window takes seconds, so that progress within a video is worth showing."""
        return isinstance(self.encoder, WindowEncoder) or is_heavy(self.classifier)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Model:
        """Load a model that was trained here; its name is the run folder's, or the file's.

        Args:
            path: a model file, or a run folder that holds one.

        Raises:
            KinemeError: it is missing, damaged, or of another version.
        """
        file = find_model_file(path)
        network, card = load_model(file)
        return cls(network, card, file.parent.name if file.name == MODEL_NAME else file.name, file)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of all probabilities."""
        return self.card.labels

    @overload
    def predict(self, source: str | os.PathLike[str]) -> Prediction: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, source: Iterable[str | os.PathLike[str]]) -> Iterator[Prediction]: ...
    def predict(
        self, source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
    ) -> Prediction | Iterator[Prediction]:
        """Recognise the action in a video file, or in each of several.

        A video longer than a clip is covered by windows; the label of the whole is that of their mean scores.

        Args:
            source: a path, or several (the results then come one by one).

        Raises:
            VideoError: the file cannot be used.
        """
        if isinstance(source, str | os.PathLike):
            return self._predict_file(source)
        return (self._predict_file(one) for one in source)

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
            engine: ``"keras"``, ``"litert"`` (compiled once, and kept in the user's cache folder), or ``"auto"``:
                LiteRT where it helps and can.
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

    def probabilities(self, logits_NK: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities_NK of logits."""
        return softmax(logits_NK, self.card.temperature)

    def knownness(self, logits_NK: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """How far the energy of logits lies above the model's threshold, (N,): from 0 on they show one of the labels.

        None where the model has no threshold.
        """
        return None if self.card.threshold is None else energy(logits_NK) - self.card.threshold

    def score_clip(self, clip: Clip) -> NDArray[np.float32]:
        """Logits_K of one clip."""
        records: NDArray[Any] = clip.frames_THWC
        if isinstance(self.encoder, WindowEncoder):
            records = self.encoder.window(clip.frames_THWC)
        elif self.encoder:
            of_ticks = zip(clip.times_s.tolist(), clip.frames_THWC, strict=True)
            records = np.stack([record for _, record in self.encoder(of_ticks)])
        logits_K: NDArray[np.float32] = score_clips(self.classifier, [records])[0]
        return logits_K

    def _predict_file(self, source: str | os.PathLike[str]) -> Prediction:
        started = time.perf_counter()
        info = probe(source)
        spec = self.card.spec
        warnings: list[str] = []
        times: list[tuple[float, float]] = []

        def clips() -> Iterator[NDArray[Any]]:
            of_ticks = ticks(source, spec, on_warning=warnings.append)
            encoder = self.encoder
            records = encoder(of_ticks) if isinstance(encoder, FrameEncoder | PoseEncoder) else of_ticks
            for clip in cut_clips(source, records, spec, self.stride):
                times.append((float(clip.times_s[0]), float(clip.times_s[-1])))
                yield encoder.window(clip.frames_THWC) if isinstance(encoder, WindowEncoder) else clip.frames_THWC

        if self.heavy:
            windows = len(spec.window_starts(spec.tick_count(info.duration_s), self.stride))
            logits_WK = score_clips(self.classifier, track(clips(), f"{Path(source).name}, windows", windows))
        else:
            logits_WK = score_clips(self.classifier, clips())
        seconds = time.perf_counter() - started
        windows_WK, known_W = self.probabilities(logits_WK), self.knownness(logits_WK)
        return Prediction(
            source=os.fspath(source),
            model=self.name,
            duration_s=info.duration_s,
            fps=float(info.fps),
            labels=self.labels,
            probabilities_K=self.probabilities(logits_WK.mean(axis=0, keepdims=True))[0],
            window_times_W2=np.array(times),
            window_probabilities_WK=windows_WK,
            window_known_W=known_W,
            segments=segments(np.mean(times, axis=1), windows_WK, known_W, self.labels, info.duration_s),
            timing={"seconds": round(seconds, 3), "windows": len(times)},
            warnings=tuple(dict.fromkeys(warnings)),
        )


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
