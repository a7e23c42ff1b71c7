"""A frozen backbone: a fixed function from frames to features, computed once and cached.

Training and prediction both turn each tick of a video into features here and cut windows out of them, so no frame
is processed twice for overlapping windows, and only the head is trained. A network that looks at several
frames at once gives its features window by window instead.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.models import litert
from kineme.models.half_precision import Arithmetic, clip_features, compile_backbone, kept_backbone

BATCH = 32  # frames at a time: more makes EfficientNet slower on a CPU

_one_at_a_time = threading.Lock()
_of_thread = threading.local()  # the functions that compute features there, by what they were compiled to


class TickEncoder(Protocol):
    """Features of one tick after another."""

    @property
    def key(self) -> str:
        """Tells apart all that changes the features: backbone, weights, and what computes them.

        Engines round differently in the seventh digit.
        """

    @property
    def views(self) -> int:
        """Augmented views of each video to compute by default."""

    @property
    def is_temporal(self) -> bool:
        """Whether frames in another order have other features, and not the same in another order."""

    @property
    def per_window(self) -> bool:
        """Whether the features are those of a clip."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the features of a frame."""

    def __call__(self, ticks: Iterable[tuple[float, NDArray[np.uint8]]]) -> Iterator[tuple[float, NDArray[np.float32]]]:
        """Instant and features, float32, of each instant and frame, in order."""


@dataclass(frozen=True, eq=False)
class FrameEncoder:
    """uint8 frames to features.

    Args:
        key: as :class:`TickEncoder`'s.
        network: a Keras model from uint8 frames_NHWC to features_ND.
        views: as :class:`TickEncoder`'s.
        compiled: the same for LiteRT, if that computes them: a part ``"frame"`` of a ``.tflite`` file.
    """

    key: str
    network: Any
    views: int
    compiled: bytes | None = None
    is_temporal: ClassVar[bool] = False
    per_window: ClassVar[bool] = False

    @classmethod
    def of(cls, key: str, network: Any, views: int) -> FrameEncoder:
        """Of a whole network, whose backbone has a ``frame_network``; LiteRT computes the features where it can."""
        frame_network = network.get_layer("backbone").get_layer("frame_network")
        content = _compiled(frame_network)
        return cls(f"{key}:litert" if content else key, frame_network, views, content)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the features of a frame."""
        return tuple(self.network.output.shape[1:])

    def __call__(self, ticks: Iterable[tuple[float, NDArray[np.uint8]]]) -> Iterator[tuple[float, NDArray[np.float32]]]:
        """Instant and features, float32, of each instant and frame, in order; a batch of frames is held."""
        remaining = iter(ticks)
        while batch := list(itertools.islice(remaining, BATCH)):
            frames_NHWC = np.stack([frame for _, frame in batch])
            features_ND = self.features(frames_NHWC)
            yield from zip((instant for instant, _ in batch), features_ND, strict=True)

    def features(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features_ND, float32, of frames; by LiteRT, each thread that asks computes on a core of its own."""
        if self.compiled is None:
            return run_network(self.network, frames_NHWC)
        ready: dict[bytes, Any] = _of_thread.__dict__.setdefault("functions", {})
        if self.compiled not in ready:
            ready[self.compiled] = litert.LiteRTFunction(self.compiled, "frame")
            ready[self.compiled].warm_up()
        features_ND: NDArray[np.float32] = ready[self.compiled](frames_NHWC)[0]
        return features_ND


@dataclass(frozen=True, eq=False)
class WindowEncoder:
    """uint8 clips to features, by a network that looks at space and time together.

    Args:
        key: as :class:`TickEncoder`'s.
        window: from frames_THWC, uint8, of one clip to its features (T', D), float32; more at a time would take
            gigabytes. Several threads may call it.
        shape: of the features of a clip: (T', D).
        views: as :class:`TickEncoder`'s.
        arithmetic: that they are computed in.
        compile: gives what computes them, for OpenVINO, if that does; compiled where it is not kept.
    """

    key: str
    window: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    shape: tuple[int, ...]
    views: int
    arithmetic: Arithmetic = "float32"
    compile: Callable[[], bytes] | None = None
    is_temporal: ClassVar[bool] = True
    per_window: ClassVar[bool] = True

    @classmethod
    def of(cls, key: str, network: Any, views: int) -> WindowEncoder:
        """Of a whole network, whose backbone is a Keras model from uint8 clips_BTHWC to features (B, T', D)."""
        backbone = network.get_layer("backbone")

        def window(frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
            features_TD: NDArray[np.float32] = run_network(backbone, frames_THWC[None])[0]
            return features_TD

        return cls(key, window, tuple(backbone.output.shape[1:]), views)

    def in_bfloat16(self, backbone: Any) -> WindowEncoder:
        """The same features in half the time; see :mod:`kineme.models.half_precision`.

        Args:
            backbone: a Keras model from uint8 clips_BTHWC to features (B, T', D).
        """
        told = json.dumps([self.key, backbone.input.shape[1:], litert.made_with()])
        name = f"{hashlib.sha256(told.encode()).hexdigest()[:32]}-features"
        return replace(
            self,
            key=f"{self.key}:bfloat16",
            window=clip_features(name, lambda: compile_backbone(backbone)),
            arithmetic="bfloat16",
            compile=lambda: kept_backbone(name, backbone),
        )


Encoder = TickEncoder | WindowEncoder


def _compiled(network: Any) -> bytes | None:
    """A network of frames as LiteRT takes it, kept in the user's cache folder; None where it cannot be made.

    It takes half the time of Keras on TensorFlow for EfficientNet: benchmarks/engines.py.
    """
    from kineme.models.tracing import on_tensorflow

    if not on_tensorflow() or not importlib.util.find_spec("ai_edge_litert"):
        return None
    told = json.dumps([hash_of(network), network.input.shape[1:], litert.made_with()])

    def checked(content: bytes) -> bytes:
        litert.LiteRTFunction(content, "frame")
        return content

    name = f"{hashlib.sha256(told.encode()).hexdigest()[:32]}-features.tflite"
    try:
        return litert.from_cache(name, checked, lambda: litert.compiled({"frame": network}))
    except KinemeError:
        return None


def hash_of(network: Any) -> str:
    """SHA-256 (hex) of a Keras model's weights."""
    digest = hashlib.sha256()
    for weight in network.get_weights():
        digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()


def run_network(network: Any, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features of a batch. On JAX, Keras lends a network's weights out while it runs, to one thread alone."""
    from kineme.models.backend import keras

    if keras.backend.backend() == "jax":
        with _one_at_a_time:
            return np.asarray(network.predict_on_batch(batch), np.float32)
    return np.asarray(network.predict_on_batch(batch), np.float32)
