"""What training on some videos will take of disk, memory and time: an estimate, with what it assumes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from kineme.errors import KinemeError
from kineme.memory import total_bytes
from kineme.models.approach import Approach
from kineme.models.registry import find_backbone
from kineme.training.options import TrainOptions
from kineme.video.spec import ClipSpec

_GB = 10**9
_CORES = 2  # of the machine that the rates below were measured on
_HEAD_CLIPS_PER_SECOND = 800.0
_USUAL_PIXELS = 20 * 64 * 64  # of a clip; how many of them an approach learns from in a second, it says itself
_PROCESS_BYTES = 1.1e9  # of a training from scratch at that size, most of it TensorFlow itself
_BYTES_PER_PIXEL = 400  # of activations and their gradients, for each clip of a batch
_TRAINED_SHARE = 0.6  # of the videos: as many are augmented, and seen in each epoch


@dataclass(frozen=True)
class ResourceEstimate:
    """What one training takes.

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
    frozen = backbone.is_pretrained and not (options.finetune or approach.is_inside_backbone)
    per_frame = 1 if frozen else 2
    ticks = [spec.tick_count(length, per_frame) for length in lengths_s]
    windows = [len(spec.window_starts(-(-count // per_frame))) for count in ticks]
    trained = _TRAINED_SHARE * len(lengths_s)
    pixels = spec.frames * spec.height * spec.width
    if frozen:
        records = sum(ticks if backbone.is_per_frame else windows)
        views = 1 + _TRAINED_SHARE * (options.views if options.views is not None else backbone.views)
        disk = records * views * backbone.values * 4
        first = decoding_s * views + records * views / backbone.rate
        rate, batch_bytes = _HEAD_CLIPS_PER_SECOND, 32 * spec.height * spec.width * _BYTES_PER_PIXEL
        how = f"{backbone.name} does {backbone.rate:g} {'frames' if backbone.is_per_frame else 'windows'} a second"
    else:
        disk = sum(ticks) * spec.height * spec.width * 3.0
        first = decoding_s
        rate = approach.clips_per_second * _USUAL_PIXELS / pixels
        batch_bytes = max(0, pixels - _USUAL_PIXELS) * options.effective_batch_size * _BYTES_PER_PIXEL
        how = f"{approach.name} learns from {rate:.3g} clips of this size a second"
    return ResourceEstimate(
        clips=sum(windows),
        disk_bytes=round(disk),
        memory_bytes=round(_PROCESS_BYTES + batch_bytes),
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


def refuse_too_much_memory(approach: Approach, spec: ClipSpec, options: TrainOptions) -> None:
    """Refuse what this machine has not the memory for, before the system ends the process in mid-training.

    Raises:
        KinemeError: the estimate is more than the machine has.
    """
    needed, there = estimate_resources([], 0.0, approach, spec, options).memory_bytes, total_bytes()
    if there is not None and needed > there:
        raise KinemeError(
            f"training on clips of {spec.frames} frames of {spec.width} x {spec.height} pixels would take about "
            f"{needed / _GB:.0f} GB of memory, and there are {there / _GB:.0f}; choose smaller --frames, --size or "
            "--batch-size"
        )
