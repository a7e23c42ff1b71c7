"""The model file: one ``.safetensors`` with the weights as tensors and all else as one JSON document beside them.

Loading rebuilds the network from the registry and checks every tensor's name, shape and type against it. Nothing
in a file is ever executed; a damaged or hostile one gives an error.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from kineme.errors import KinemeError, UsageError
from kineme.files import write_tensors
from kineme.memory import total_bytes
from kineme.models.approach import Approach
from kineme.models.backbone import Backbone
from kineme.models.half_precision import Arithmetic
from kineme.models.joined import JoinedNetwork, member_approaches, member_specs, steps_in
from kineme.models.open_set import DistanceDetector, OpenSetDetector, detector_of
from kineme.models.registry import find_backbone, make_approach
from kineme.models.scoring import HEAVY_PIXELS
from kineme.models.timeline_settings import TimelineSettings
from kineme.text import one_line, printable
from kineme.video.spec import ClipSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
SUFFIX = ".safetensors"

_LONGEST_LABEL = 1000
_MOST_CLIP_BYTES = 2**33


@dataclass(frozen=True)
class ModelCard:
    """All of a model but its weights.

    Args:
        approach: its name in the registry.
        config: the approach's options.
        spec: what a clip is.
        labels: names of the classes, in the order of the logits.
        temperature: the logits are divided by it before the softmax, so that a confidence of 0.8 is right about
            8 times in 10 (Guo et al. 2017, "On Calibration of Modern Neural Networks").
        provenance: where the model comes from: data fingerprint, split, seed, versions, figures.
        finetuned: a pretrained backbone was trained further, so its weights are the model's own.
        open_set: tells whether scores show one of the labels at all; None where that was not learned.
        member_specs: of joined backbones, the clip of each; by default as :func:`kineme.models.joined.member_specs` has
            it.
        timeline: how its windows become segments, where training has found that; see :attr:`timeline_settings`.
        arithmetic: that the features of clips were computed in when it was trained; it is used with the same on
            machines that can, see :mod:`kineme.models.half_precision`.
    """

    approach: str
    config: dict[str, Any]
    spec: ClipSpec
    labels: tuple[str, ...]
    temperature: float = 1.0
    provenance: dict[str, Any] = field(default_factory=dict)
    finetuned: bool = False
    open_set: OpenSetDetector | DistanceDetector | None = None
    timeline: TimelineSettings | None = None
    member_specs: tuple[ClipSpec, ...] = ()
    arithmetic: Arithmetic = "float32"

    @property
    def timeline_settings(self) -> TimelineSettings:
        """How its windows become segments: as training has found, or by the length of its clips."""
        return self.timeline or TimelineSettings.of(self.spec)

    @property
    def clips_of_class(self) -> int:
        """How many training clips of each class the network keeps, to give distances after its logits; mostly none."""
        return self.open_set.clips if isinstance(self.open_set, DistanceDetector) else 0

    @property
    def note(self) -> str:
        """What must be read beside its predictions wherever they are shown."""
        told = self.provenance.get("zero_shot")
        return str(told.get("note", "")) if isinstance(told, dict) else ""

    @functools.cached_property
    def architecture(self) -> Approach:
        """The approach with its options, from the registry."""
        return make_approach(self.approach, self.config, ready_made=True)

    @property
    def backbone(self) -> Backbone:
        """The record of the approach's backbone."""
        return find_backbone(self.architecture.backbone)

    @functools.cached_property
    def members(self) -> tuple[ModelCard, ...]:
        """The cards of the members of a joined model; their calibration is that of the whole."""
        if not self.backbone.members:
            return ()
        approaches = member_approaches(self.architecture, self.backbone)
        specs = self.member_specs or member_specs(self.backbone, self.spec)
        if len(specs) != len(approaches):
            raise ValueError(f"it has {len(specs)} members and {len(approaches)} backbones")
        steps_in(self.spec, specs)  # refuses what cannot run side by side
        distances = self.open_set if self.clips_of_class else None  # each member gives its own
        return tuple(
            ModelCard(self.approach, config_of(one), spec, self.labels, open_set=distances, arithmetic=self.arithmetic)
            for one, spec in zip(approaches, specs, strict=True)
        )

    @property
    def is_per_frame(self) -> bool:
        """Whether a window costs no more than its newest frame."""
        return self.architecture.is_per_frame(self.backbone)

    @property
    def is_heavy(self) -> bool:
        """Whether a window takes seconds, and gigabytes if there were several at a time."""
        return not self.is_per_frame and self.spec.frames * self.spec.height * self.spec.width > HEAVY_PIXELS

    @property
    def ticks_before_answer(self) -> int:
        """How many frames a carried state must have read before its logits mean anything."""
        return self.architecture.ticks_before_answer(self.spec, self.backbone)

    def to_json(self) -> dict[str, Any]:
        """A document; :meth:`from_json` makes an equal card of its text."""
        return {
            "format": FORMAT,
            "approach": self.approach,
            "config": self.config,
            "spec": self.spec.to_json(),
            "labels": list(self.labels),
            "calibration": {
                "temperature": self.temperature,
                "known": self.open_set and self.open_set.to_json(),
                **({"timeline": self.timeline.to_json()} if self.timeline else {}),
            },
            "provenance": self.provenance,
            "finetuned": self.finetuned,
            **({"arithmetic": self.arithmetic} if self.arithmetic != "float32" else {}),
            **({"members": [_member(one) for one in self.members]} if self.members else {}),
        }

    @classmethod
    def from_json(cls, path: str | os.PathLike[str], text: str) -> ModelCard:
        """Read :meth:`to_json`'s document.

        Args:
            path: the file it is from, for the error.
            text: the document.

        Raises:
            KinemeError: it cannot be read, or is of another version.
        """
        try:
            document = json.loads(text)
            if not isinstance(document, dict):
                raise TypeError("it is no object")
            if document["format"] != FORMAT:
                raise KinemeError(
                    f"{path}: written in model format {document['format']!r}, and this version of kineme reads format "
                    f"{FORMAT}; use the version of kineme that wrote it, or train again"
                )
            document = {"finetuned": False, "arithmetic": "float32", **document}  # older files do not say these
            calibration = {"known": None, "timeline": None, **_part(document, "calibration", dict)}
            members = _part({"members": [], **document}, "members", list)
            card = cls(
                approach=_part(document, "approach", str),
                config=_part(document, "config", dict),
                spec=ClipSpec.from_json(document["spec"]),
                labels=tuple(printable(_label(one)) for one in _part(document, "labels", list)),
                temperature=float(_part(calibration, "temperature", int, float)),
                provenance=_part(document, "provenance", dict),
                finetuned=_part(document, "finetuned", bool),
                arithmetic=cast("Arithmetic", _part(document, "arithmetic", str)),
                member_specs=tuple(ClipSpec.from_json(_part(one, "spec", dict)) for one in members),
                open_set=detector_of(_part(calibration, "known", dict, type(None))),
                timeline=TimelineSettings.from_json(_part(calibration, "timeline", dict, type(None))),
            )
            _check(card)
            if len(card.members) != len(members):
                raise ValueError("only joined backbones have members")
        except (UsageError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
            raise KinemeError(
                f"{path}: its description cannot be read ({one_line(str(error), 300)}); copy or train it again"
            ) from error
        return card


def save_model(path: str | os.PathLike[str], network: Any, card: ModelCard) -> None:
    """Write the model file.

    Args:
        path: should end in ``.safetensors``.
        network: the Keras model made by :func:`kineme.models.network.build_network`.
        card: all else.

    Raises:
        KinemeError: the file cannot be written.
    """
    from kineme.models.backend import keras

    tensors = {name: keras.ops.convert_to_numpy(weight) for name, weight in named_weights(network).items()}
    write_tensors(path, tensors, {"kineme": json.dumps(card.to_json(), ensure_ascii=False)})


def read_card(path: str | os.PathLike[str]) -> ModelCard:
    """Read everything but the weights.

    Raises:
        KinemeError: missing, not a model file, cut short, of another version, or with unknown names.
    """
    with _opened(path) as file:
        text = (file.metadata() or {}).get("kineme")
    if text is None:
        raise KinemeError(f"{path}: a safetensors file, but not one of Kineme's: it lacks the model's description")
    return ModelCard.from_json(path, text)


def load_model(path: str | os.PathLike[str]) -> tuple[Any, ModelCard]:
    """Rebuild the network and fill in its weights.

    Returns:
        The Keras model (uint8 clips_BTHWC to float32 logits_BK) and its card.

    Raises:
        KinemeError: see :func:`read_card`; or a tensor is missing, unknown, of another shape or type, or not finite.
    """
    card = read_card(path)
    from kineme.models.network import build_network

    try:
        network = build_network(
            card.architecture,
            card.spec,
            len(card.labels),
            member_specs=card.member_specs,
            clips_of_class=card.clips_of_class,
        )
    except UsageError as error:
        raise KinemeError(f"{path}: {error}") from error
    wanted = named_weights(network)
    tensors = dict(read_weights(path))
    if set(tensors) != set(wanted):
        odd = sorted(set(tensors) ^ set(wanted))[0]
        raise KinemeError(f"{path}: its tensors are not those of {card.approach} (see {odd!r}); train it again")
    for name, weight in wanted.items():
        tensor = tensors[name]
        if tensor.shape != tuple(weight.shape) or tensor.dtype.name != weight.dtype:
            raise KinemeError(
                f"{path}: tensor {name!r} is {tensor.dtype} {tensor.shape}, "
                f"not {weight.dtype} {tuple(weight.shape)}; train it again"
            )
        weight.assign(tensor)
    return network, card


def named_weights(network: Any) -> dict[str, Any]:
    """Every weight of a network under a name of its own: its path, with a number where another has the same path.

    A backbone and a head may both have a layer ``conv1``. Those of a joined model begin with the member's backbone.
    """
    if isinstance(network, JoinedNetwork):
        return {
            f"{member}/{name}": weight
            for member, one in network.members.items()
            for name, weight in named_weights(one).items()
        }
    named: dict[str, Any] = {}
    for weight in network.weights:
        alike = sum(name.partition("#")[0] == weight.path for name in named)
        named[f"{weight.path}#{alike + 1}" if alike else weight.path] = weight
    return named


def read_weights(path: str | os.PathLike[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Name and values of every weight in a model file, without building a network.

    Raises:
        KinemeError: it is missing, or not a model file; or a weight is not a finite number.
    """
    import numpy as np

    with _opened(path) as file:
        for name in file.keys():  # noqa: SIM118 (no mapping)
            tensor = file.get_tensor(name)
            if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
                raise KinemeError(f"{path}: its weights are not all numbers (see {name!r}); copy or train it again")
            yield name, tensor


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """A safetensors file, with one line for whatever is wrong with it."""
    from safetensors import SafetensorError, safe_open

    try:
        with Path(path).open("rb"):  # the library says of a file that it may not read that there is none
            pass
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise KinemeError(f"{path}: there is no such model file") from error
    except OSError as error:
        raise KinemeError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, OSError, AttributeError, TypeError) as error:  # the last two: types that NumPy lacks
        raise KinemeError(f"{path}: not a model file, or cut short ({error}); copy or train it again") from error


def config_of(approach: Approach) -> dict[str, Any]:
    """The approach's options, as stored in its card."""
    return dataclasses.asdict(approach)


def _check(card: ModelCard) -> None:
    """What types and ranges alone do not say."""
    if len(card.labels) < 2:
        raise ValueError("labels must be two names or more")
    if len(set(card.labels)) != len(card.labels):
        raise ValueError("a label occurs twice")
    if card.arithmetic not in get_args(Arithmetic):
        raise ValueError(f"there is no arithmetic {card.arithmetic!r}")
    if not 1e-6 < card.temperature < 1e6:
        raise ValueError("the calibration temperature must be positive")
    if card.clips_of_class and not card.architecture.has_linear_head:
        raise ValueError("only networks with a linear head keep clips")
    if isinstance(card.open_set, OpenSetDetector) and len(card.open_set.logits[0]) != len(card.labels):
        raise ValueError("the logits of known actions must be of as many labels as there are")
    spec = card.spec
    if spec.frames * spec.height * spec.width * 3 > min(_MOST_CLIP_BYTES, total_bytes() or _MOST_CLIP_BYTES):
        raise ValueError(f"clips of {spec.frames} frames of {spec.width} x {spec.height} pixels fit into no memory")
    card.backbone  # noqa: B018 (it refuses what is not in the registry)


def _member(card: ModelCard) -> dict[str, Any]:
    """What the document says of a member."""
    return {"config": card.config, "spec": card.spec.to_json()}


def _part(document: dict[str, Any], name: str, *kinds: type) -> Any:
    """A part of a document that must be of one of some types."""
    value = document[name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise TypeError(f"{name} must be of type {kinds[0].__name__}, not {type(value).__name__}")
    return value


def _label(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_LABEL:
        raise TypeError(f"labels must be names of 1 to {_LONGEST_LABEL} letters")
    return value
