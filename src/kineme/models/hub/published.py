"""A network as published, with its own classes or with classes by text: a model that is not trained here.

Its scores take the place of features: the Keras network that follows passes them on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.models.approach import Approach
from kineme.models.backend import keras
from kineme.models.encoder import WindowEncoder
from kineme.models.hub.backbone import find, require_snapshot
from kineme.models.hub.families import family_of
from kineme.models.hub.processing import read_processing
from kineme.models.hub.snapshot import CONFIG, Snapshot
from kineme.models.hub.torch_network import load_transformers, require_modules, run
from kineme.models.model_file import ModelCard
from kineme.text import printable
from kineme.video.spec import ClipSpec


@dataclass(frozen=True)
class AsPublished(Approach):
    """Scores of a network of another library, as they are; it is not trained here."""

    name: ClassVar[str] = "as-published"

    backbone: str = ""

    def build(self, backbone: Any, spec: ClipSpec, classes: int) -> Any:
        """Logits_BK as they come."""
        return pass_on(classes)


@dataclass(frozen=True, eq=False)
class Published:
    """What predicts without training.

    Args:
        card: of the model.
        encoder: from a clip to its logits_K.
    """

    card: ModelCard
    encoder: WindowEncoder

    @classmethod
    def of(
        cls,
        spec: ClipSpec,
        snapshot: Snapshot,
        labels: tuple[str, ...],
        window: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        *,
        key: str = "logits",
        **provenance: Any,
    ) -> Published:
        """Of a function from a clip to its logits_K.

        Args:
            spec: what a clip is.
            snapshot: whose network it is.
            labels: the K classes.
            window: from frames_THWC, uint8, to logits_K.
            key: tells its scores apart from others of the same network.
            provenance: more that the card tells.
        """
        card = ModelCard(
            approach=AsPublished.name,
            config={"backbone": snapshot.pinned},
            spec=spec,
            labels=labels,
            provenance={"pretrained": snapshot.name, "backbone": snapshot.provenance(), **provenance},
        )
        return cls(card, WindowEncoder(f"{snapshot.pinned}:{key}", window, (len(labels),), views=0))


def pass_on(classes: int) -> Any:
    """A network whose logits are its input."""
    logits = keras.Input((classes,), name="logits_of_clip")
    head = keras.Model(logits, keras.layers.Identity(name="logits")(logits), name="head")
    outer = keras.Input((classes,), name="clip")
    return keras.Model(outer, head(outer), name="network")


def classifier(name: str) -> Published:
    """A video classifier of transformers with its own labels.

    Args:
        name: ``hf:OWNER/NAME`` or ``hf:./FOLDER``.

    Raises:
        KinemeError: it is not on this machine, gives features alone, or cannot be used.
    """
    snapshot = require_snapshot(name)
    config = snapshot.json(CONFIG)
    family, _ = family_of(snapshot.name, config)
    labels = _labels(config)
    if family.network in (config.get("architectures") or []) or not family.classifier or len(labels) < 2:
        how = ", or give --labels 'a person falls, a person sits down'" if family.text else ""
        raise KinemeError(f"{snapshot.name}: has no action labels; train on it with --backbone {snapshot.name}{how}")
    record, processing = find(snapshot.pinned), read_processing(snapshot)
    require_modules(snapshot.name, ("torch", "transformers"), "hf")

    def window(frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        network = load_transformers(snapshot.pinned, snapshot.folder, family.classifier)
        logits_1K = run(lambda pixels: network(**{family.pixels: pixels}).logits, processing(frames_THWC)[None])
        logits_K: NDArray[np.float32] = logits_1K[0]
        return logits_K

    return Published.of(record.spec, snapshot, labels, window)


def _labels(config: dict[str, Any]) -> tuple[str, ...]:
    """The classes of a configuration in the order of the logits; none where it holds only stand-ins."""
    named = config.get("id2label")
    if not isinstance(named, dict) or not all(key.isdecimal() for key in named):
        return ()
    found = [printable(str(named[key])) for key in sorted(named, key=int)]
    return tuple(one if one not in found[:k] else f"{one} ({k})" for k, one in enumerate(found))
