"""What training on some videos will take of disk, memory and time: an estimate, with what it assumes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from kineme.models.registry import FROZEN
from kineme.training.options import TrainOptions
from kineme.video.spec import ClipSpec

_CORES = 2  # of the machine that the rates below were measured on
# A frozen backbone's float32 values for a tick (for I3D: for a window of 64 frames), and how many it does in a second.
_FEATURES = {"efficientnet-lite0": 1280, "i3d": 7 * 1024, "blazepose": 166}
_PER_SECOND = {"efficientnet-lite0": 45.0, "i3d": 0.2, "blazepose": 20.0}
_VIEWS = {"efficientnet-lite0": 3, "i3d": 0, "blazepose": 1}
_HEAD_CLIPS_PER_SECOND = 800.0
_CLIPS_PER_SECOND = {"convlstm": 12.0}  # from scratch, of 20 frames of 64 x 64
_USUAL_CLIPS_PER_SECOND, _USUAL_PIXELS = 100.0, 20 * 64 * 64
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
        first_seconds: of decoding, and of features where a backbone comes trained: once for all trainings.
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
    lengths_s: Sequence[float], decoding_s: float, approach: str, backbone: str, spec: ClipSpec, options: TrainOptions
) -> ResourceEstimate:
    """Estimate what a training takes.

    Args:
        lengths_s: of the videos that can be read.
        decoding_s: what decoding them all once takes here.
        approach: its name in the registry.
        backbone: likewise.
        spec: what a clip is.
        options: how to train.
    """
    frozen = backbone in FROZEN
    per_frame = 1 if frozen else 2
    ticks = [spec.tick_count(length, per_frame) for length in lengths_s]
    windows = [len(spec.window_starts(-(-count // per_frame))) for count in ticks]
    trained = _TRAINED_SHARE * len(lengths_s)
    pixels = spec.frames * spec.height * spec.width
    if frozen:
        records = sum(windows if backbone == "i3d" else ticks)
        views = 1 + _TRAINED_SHARE * (options.views if options.views is not None else _VIEWS[backbone])
        disk = records * views * _FEATURES[backbone] * 4
        first = decoding_s * views + records * views / _PER_SECOND[backbone]
        rate, batch_bytes = _HEAD_CLIPS_PER_SECOND, 32 * spec.height * spec.width * _BYTES_PER_PIXEL
        how = f"{backbone} does {_PER_SECOND[backbone]:g} {'windows' if backbone == 'i3d' else 'frames'} a second"
    else:
        disk = sum(ticks) * spec.height * spec.width * 3.0
        first = decoding_s
        rate = _CLIPS_PER_SECOND.get(approach, _USUAL_CLIPS_PER_SECOND) * _USUAL_PIXELS / pixels
        batch_bytes = max(0, pixels - _USUAL_PIXELS) * options.effective_batch_size * _BYTES_PER_PIXEL
        how = f"{approach} learns from {rate:.3g} clips of this size a second"
    return ResourceEstimate(
        clips=sum(windows),
        disk_bytes=round(disk),
        memory_bytes=round(_PROCESS_BYTES + batch_bytes),
        first_seconds=round(first, 1),
        training_seconds=round(options.epochs * trained / rate, 1),
        assumes=(
            f"{approach} on {backbone}, clips of {spec.frames} frames"
            + (" spread over the video" if spec.fps is None else f" at {spec.fps:g} a second")
            + f", {spec.width} x {spec.height} pixels, {options.epochs} epochs at most.",
            f"{how}, as measured on {_CORES} cores; this machine has {os.cpu_count()}. Times may be off threefold.",
            "Decoding takes as long as it took for this audit; features and frames are kept for the next training.",
        ),
    )
