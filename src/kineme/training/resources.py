"""Estimates the disk space, memory and time of a training, and lists the assumptions."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kineme.errors import KinemeError
from kineme.memory import total_bytes
from kineme.models.approach import Approach
from kineme.models.backbone import Backbone
from kineme.models.registry import find_backbone
from kineme.text import duration, file_size
from kineme.training.options import TrainOptions
from kineme.video.spec import ClipSpec

_GB = 10**9
_CORES = 2  # of the machine that the rates below were measured on
_HEAD_CLIPS_PER_SECOND = 800.0
_USUAL_PIXELS = 20 * 64 * 64  # of a clip; how many of them an approach learns from in a second, it says itself
_PROCESS_BYTES = 0.8e9  # of a process that has TensorFlow and a network, before it trains
_FROZEN_BYTES_PER_PIXEL = 400  # of what a pretrained backbone computes, for 32 frames at a time or one clip
_BYTES_PER_VALUE = 24  # of a feature that a head trains on: it, its gradient, and what an optimiser keeps
_OWN = ("i3d", "movenet")  # backbones to compare the cost of others with
_TRAINED_SHARE = 0.6  # of the videos: as many are augmented, and seen in each epoch


@dataclass(frozen=True)
class ResourceEstimate:
    """The estimated resources of one training.

    Args:
        clips: windows that cover the videos.
        disk_bytes: of the cache of decoded frames or features.
        memory_bytes: at its peak; it does not grow with the number of videos.
        first_seconds: of decoding, and of features where a backbone is pretrained: once for all trainings.
        training_seconds: of all epochs; training often stops earlier.
        assumes: what the estimate rests on, one sentence each.
    """

    clips: int
    disk_bytes: int
    memory_bytes: int
    first_seconds: float
    training_seconds: float
    assumes: tuple[str, ...]


def estimate_resources(
    lengths_s: Sequence[float], decoding_s: float, approach: Approach, spec: ClipSpec, options: TrainOptions
) -> ResourceEstimate:
    """Estimate what a training takes.

    Args:
        lengths_s: of the videos that can be read.
        decoding_s: what decoding them all once takes here.
        approach: with its options.
        spec: what a clip is.
        options: how to train.
    """
    backbone = find_backbone(approach.backbone)
    frozen = _is_frozen(approach, options)
    per_frame = 1 if frozen else 2
    ticks = [spec.tick_count(length, per_frame) for length in lengths_s]
    windows = [len(spec.window_starts(-(-count // per_frame))) for count in ticks]
    trained = _TRAINED_SHARE * len(lengths_s)
    pixels = spec.frames * spec.height * spec.width
    if frozen:
        records = sum(ticks if backbone.is_per_frame else windows)
        views = 1 + _TRAINED_SHARE * (options.views if options.views is not None else backbone.views)
        disk = records * views * backbone.values * 4
        speed = backbone.rate or _clips_per_second(backbone, spec)
        first = decoding_s * views + records * views / speed
        rate = _HEAD_CLIPS_PER_SECOND
        how = f"{backbone.name} does {speed:.3g} {'frames' if backbone.is_per_frame else 'windows'} a second"
    else:
        disk = sum(ticks) * spec.height * spec.width * 3.0
        first = decoding_s
        rate = approach.clips_per_second * _USUAL_PIXELS / pixels
        how = f"{approach.name} learns from {rate:.3g} clips of this size a second"
    return ResourceEstimate(
        clips=sum(windows),
        disk_bytes=round(disk),
        memory_bytes=round(_memory(approach, spec, options)),
        first_seconds=round(first, 1),
        training_seconds=round(options.epochs * trained / rate, 1),
        assumes=(
            f"{approach.name} on {backbone.name}, clips of {spec.frames} frames"
            + (" spread over the video" if spec.fps is None else f" at {spec.fps:g} a second")
            + f", {spec.width} x {spec.height} pixels, {options.epochs} epochs at most.",
            f"{how}, as measured on {_CORES} cores; this machine has {os.cpu_count()}. Times may be off threefold.",
            "Decoding takes as long as it took for this audit; features and frames are kept for the next training.",
        ),
    )


def external_cost(backbone: Backbone, spec: ClipSpec, lengths_s: Sequence[float]) -> str:
    """One line on what the features of another library's network will take, and what Kineme's own would.

    Args:
        backbone: with ``external``.
        spec: what a clip is.
        lengths_s: of the videos whose features are not on disk yet.
    """
    windows = sum(len(spec.window_starts(spec.tick_count(length))) for length in lengths_s)
    a_clip_s = 1 / _clips_per_second(backbone, spec)
    values = backbone.values * spec.frames / backbone.spec.frames
    own = ", ".join(f"{one.name} {duration(_own_seconds(one, lengths_s))}" for one in map(find_backbone, _OWN))
    return (
        f"features of {len(lengths_s)} videos will take about {duration(windows * a_clip_s)} ({windows} clips of "
        f"{a_clip_s:.2g} s, measured here on one) and {file_size(windows * values * 4)} of the cache; on two cores "
        f"Kineme's own take about: {own}"
    )


def _own_seconds(backbone: Backbone, lengths_s: Sequence[float]) -> float:
    spec = backbone.spec
    ticks = [spec.tick_count(length) for length in lengths_s]
    return sum(ticks if backbone.is_per_frame else [len(spec.window_starts(one)) for one in ticks]) / backbone.rate


def _clips_per_second(backbone: Backbone, spec: ClipSpec) -> float:
    """Of a network of another library: measured on one clip of noise, after one that warms it up."""
    assert backbone.external
    encoder = backbone.external(spec)
    shape = (spec.frames, spec.height, spec.width, 3)
    clip_THWC = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    encoder.window(clip_THWC)
    started = time.perf_counter()
    encoder.window(clip_THWC)
    return 1 / max(time.perf_counter() - started, 1e-9)


def refuse_too_much_memory(approach: Approach, spec: ClipSpec, options: TrainOptions) -> None:
    """Refuse what this machine has not the memory for, before the system ends the process in mid-training.

    Raises:
        KinemeError: the estimate is more than the machine has.
    """
    needed, there = _memory(approach, spec, options), total_bytes()
    if there is not None and needed > there:
        raise KinemeError(
            f"training on clips of {spec.frames} frames of {spec.width} x {spec.height} pixels would take about "
            f"{needed / _GB:.0f} GB of memory, and there are {there / _GB:.0f}; choose smaller --frames, --size or "
            "--batch-size"
        )


def _memory(approach: Approach, spec: ClipSpec, options: TrainOptions) -> float:
    """Bytes that a training takes at its peak, however many videos there are."""
    backbone, batch = find_backbone(approach.backbone), options.effective_batch_size
    pixels = spec.frames * spec.height * spec.width
    if not _is_frozen(approach, options):
        return _PROCESS_BYTES + pixels * batch * approach.bytes_per_pixel
    at_once = 32 * spec.height * spec.width if backbone.is_per_frame else pixels
    values = backbone.values * (spec.frames if backbone.is_per_frame else spec.frames / backbone.spec.frames)
    return _PROCESS_BYTES + at_once * _FROZEN_BYTES_PER_PIXEL + values * batch * _BYTES_PER_VALUE


def _is_frozen(approach: Approach, options: TrainOptions) -> bool:
    """Whether the backbone is computed once and only the head is trained."""
    is_pretrained = find_backbone(approach.backbone).is_pretrained
    return is_pretrained and not (options.finetune or approach.is_inside_backbone)
