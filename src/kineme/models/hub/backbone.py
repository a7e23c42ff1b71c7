"""Video networks of transformers by name: ``hf:OWNER/NAME`` from the Hugging Face Hub, ``hf:./FOLDER`` from a folder.

Frames are Kineme's own, by time stamp; size, crop and colours are those of the model's processor, and the network is
the library's, frozen. It runs in PyTorch, outside the Keras network, which begins with its features (B, T', D).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError, UsageError
from kineme.models.backbone import Backbone, features_as_they_are
from kineme.models.encoder import WindowEncoder
from kineme.models.hub.catalogue import how_to_get
from kineme.models.hub.families import Family, family_of
from kineme.models.hub.processing import Processing, read_processing
from kineme.models.hub.snapshot import CONFIG, Snapshot, find_snapshot
from kineme.models.hub.torch_network import load_transformers, require_modules, run
from kineme.video.spec import ClipSpec

_FROZEN = (
    "it stays frozen: it runs in PyTorch, outside the network that is trained here. Fine-tuning it would take a GPU "
    "and transformers' own Trainer; save the result with save_pretrained and give its folder as hf:./FOLDER"
)


def find(name: str) -> Backbone:
    """The record of a model, made of its configuration.

    Raises:
        UsageError: no model can have such a name.
        KinemeError: it is not on this machine, or cannot be used; one line says why.
    """
    return _record(require_snapshot(name))


def require_snapshot(name: str) -> Snapshot:
    """The checked files of a model; arguments and errors as of :func:`find`."""
    snapshot = find_snapshot(name)
    if snapshot is None:
        raise KinemeError(how_to_get(name))
    return snapshot


def clip_spec(family: Family, config: Any, processing: Processing) -> ClipSpec:
    """The clip that a model is meant for."""
    frames = family.frames(config)
    return ClipSpec(
        frames=frames,
        fps=round(family.fps(frames), 4),
        height=processing.height,
        width=processing.width,
        fit=processing.fit,
        short="loop",  # as for I3D: these networks never saw a still film
    )


def check_frames(name: str, spec: ClipSpec, best: ClipSpec, tubelet: int, *, is_any_length: bool = False) -> int:
    """Steps T' of the features of a clip.

    Args:
        name: of the model.
        spec: of the clip.
        best: the clip that it is meant for.
        tubelet: frames for each step.
        is_any_length: whether the network takes other numbers of frames.

    Raises:
        UsageError: the network cannot take such clips.
    """
    if (spec.height, spec.width) != (best.height, best.width):
        raise UsageError(f"{name}: sees frames of {best.width} x {best.height} pixels; leave --size out")
    if spec.frames != best.frames and not (is_any_length and spec.frames % tubelet == 0):
        many = f"a multiple of {tubelet}" if is_any_length else str(best.frames)
        raise UsageError(f"{name}: sees clips of {many} frames, not {spec.frames}; leave --frames out")
    return spec.frames // tubelet


def _record(snapshot: Snapshot) -> Backbone:
    family, config = family_of(snapshot.name, snapshot.json(CONFIG))
    processing = read_processing(snapshot)
    if processing.crop != family.size(config):
        raise KinemeError(
            f"{snapshot.name}: its processor gives frames of {processing.crop}, its network takes {family.size(config)}"
        )
    best = clip_spec(family, config, processing)

    def shape(spec: ClipSpec) -> tuple[int, int]:
        tubelet = family.tubelet(config)
        steps = check_frames(snapshot.name, spec, best, tubelet, is_any_length=family.is_any_length)
        return steps, family.features(config)

    def encoder(spec: ClipSpec) -> WindowEncoder:
        require_modules(snapshot.name, ("torch", "transformers"), "hf")

        def window(frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
            loaded = load_transformers(snapshot.pinned, snapshot.folder, family.network, family.unused)
            features_1TD = run(lambda pixels: family.tokens(loaded, pixels), processing(frames_THWC)[None])
            features_TD: NDArray[np.float32] = features_1TD[0]
            return features_TD

        return WindowEncoder(snapshot.pinned, window, shape(spec), views=0)

    what = f"{family.title} of transformers, {snapshot.name}: one vector for every {family.tubelet(config)} frames."
    return clip_backbone(snapshot, what, best, shape, encoder, frozen_because=_FROZEN)


def clip_backbone(
    snapshot: Snapshot,
    what: str,
    best: ClipSpec,
    shape: Callable[[ClipSpec], tuple[int, int]],
    encoder: Callable[[ClipSpec], WindowEncoder],
    *,
    frozen_because: str,
) -> Backbone:
    """The record of a network of another library that gives features of clips.

    Args:
        snapshot: its files.
        what: one sentence about it.
        best: the clip that it is meant for.
        shape: (T', D) of the features of a clip; raises UsageError where the network cannot take such clips.
        encoder: computes them.
        frozen_because: why it is not fine-tuned.
    """
    return Backbone(
        name=snapshot.pinned,
        what=what,
        build=lambda spec: features_as_they_are(shape(spec), "features_of_clip"),
        sees="clip",
        spec=best,
        external=encoder,
        frozen_because=frozen_because,
        values=math.prod(shape(best)),
        provenance=snapshot.provenance(),
    )
