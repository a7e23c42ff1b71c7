"""A trained network with all that its use needs to know; what predicts, measures and exports stands on it."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.models.encoder import Encoder, WindowEncoder
from kineme.models.joined import leader_of
from kineme.models.litert import made_with
from kineme.models.model_file import ModelCard, load_model, named_weights, read_card, read_weights
from kineme.models.poses import PoseEncoder
from kineme.models.registry import library_of, published
from kineme.models.scoring import softmax
from kineme.people.encoder import open_encoder
from kineme.prediction.exported import SUFFIX as EXPORTED_SUFFIX
from kineme.prediction.exported import Exported
from kineme.prediction.loading import KINETICS, MODEL_NAME, build_kinetics, find_model_file, kinetics_card
from kineme.text import printable

if TYPE_CHECKING:
    from kineme.models.hub.published import Published

T = TypeVar("T")

_SHOWN_LABELS = 6


class TrainedModel:
    """A network with the contract it was trained under.

    Args:
        network: a Keras model from uint8 clips_BTHWC to logits_BK; if None, that of the model file is
            built on first use, since much can be done without Keras.
        card: all else of the model.
        name: how the model is called in results.
        path: the file it was read from, if it was.
        stride: ticks from one window of a video to the next; by default as in evaluation, which the card's spec says.
        exported: its parts, compiled, instead of a network.
        build: makes the network where it is in no file of its own; ``card.provenance`` names its weights.
        external: what gives the scores of clips, where the network only passes them on.

    Attributes:
        poses: what finds landmarks in frames, for a model on poses.
        members: of a model on joined backbones, each by itself, without the calibration of the whole.

    Raises:
        KinemeError: the weights of what finds landmarks are not on this machine; a model on landmarks does not hold
            them.
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
        build: Callable[[], Any] | None = None,
        external: WindowEncoder | None = None,
    ) -> None:
        self.card, self.name, self.path, self.stride, self.exported = card, name, path, stride, exported
        self._build, self._external = build, external
        self.poses: PoseEncoder | None = None
        if card.backbone.sees == "landmarks":
            self.poses = cast("PoseEncoder", open_encoder(network, card.architecture))
        self._network = network
        self._whole: TrainedModel | None = None  # of a member
        self.members = self._members()
        self._seen: tuple[int, int | None] = 0, None  # how often the weights have changed, and their checksum
        self._fingerprint: tuple[int, str] | None = None
        self._of_thread = threading.local()
        self._process = None if network is None else os.getpid()  # that runs it

    def __repr__(self) -> str:
        backbone = self.card.config.get("backbone")
        labels = ", ".join(map(printable, self.labels[:_SHOWN_LABELS])) + (
            ", ..." if len(self.labels) > _SHOWN_LABELS else ""
        )
        what = f"{self.card.approach} on {backbone}" if backbone else self.card.approach
        return f"{type(self).__name__}({self.name!r}, {what}, {len(self.labels)} labels: {labels})"

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle holds the place of the file, which is read again; weights that were changed are not in it."""
        if self.path and not self.version:
            return _restored, (type(self), os.path.abspath(self.path), self.stride)  # noqa: PTH100
        if self.name == KINETICS:
            return type(self).kinetics, ()
        raise KinemeError(f"{self.name}: a model that is in no file, or was changed since it was read, is not pickled")

    @classmethod
    def load(cls, model: str | os.PathLike[str]) -> Self:
        """Load a model by its path (:meth:`from_file`), or that of :meth:`kinetics` where no file has its name."""
        if library_of(os.fspath(model)) and not Path(model).exists():
            return cls.published(published(os.fspath(model)))
        return cls.kinetics() if os.fspath(model) == KINETICS and not Path(model).exists() else cls.from_file(model)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
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

    @classmethod
    def kinetics(cls) -> Self:
        """The pretrained model of 400 actions; see :func:`kineme.prediction.loading.kinetics_card`.

        Raises:
            KinemeError: its weights are not on this machine; the line says how to get them.
        """
        card = kinetics_card()
        return cls(
            None, card, KINETICS, stride=card.spec.frames, build=build_kinetics
        )  # windows meet: each takes a second or more

    @classmethod
    def published(cls, found: Published) -> Self:
        """A network of another library as it was published."""
        from kineme.models.hub.published import pass_on

        card = found.card
        name, note = str(card.provenance["pretrained"]), card.note
        return cls(
            None,
            card,
            f"{name} ({note})" if note else name,
            stride=card.spec.frames,
            build=lambda: pass_on(len(card.labels)),
            external=found.encoder,
        )

    @property
    def note(self) -> str:
        """What must be read beside its predictions wherever they are shown; mostly nothing."""
        return self.card.note

    @property
    def network(self) -> Any:
        """The Keras model.

        Raises:
            KinemeError: the model is exported, or Keras or a tensor of the file is missing; or it was used before this
                process was forked.
        """
        self._claim()
        if self._network is None:
            if self.exported or not (self.path or self._build):
                raise KinemeError(f"{self.path}: an exported model only predicts; for all else use the one it is from")
            network = self._build() if self._build else load_model(cast("Path", self.path))[0]
            self._seen = self._seen[0], _checksum(network)
            self._network = network
        return self._network

    def _members(self) -> tuple[TrainedModel, ...]:
        def member(card: ModelCard) -> TrainedModel:
            name = card.architecture.backbone
            network = None if self._network is None else self._network.members[name]
            called = f"{self.name}, {name}"
            if self.exported:
                one = TrainedModel(None, card, called, self.path, exported=self.exported.member(card))
            else:
                one = TrainedModel(network, card, called, build=lambda: self.network.members[name])
            one._whole = self
            return one

        return tuple(map(member, self.card.members))

    @property
    def encoder(self) -> Encoder | None:
        """The encoder inside the network, if its backbone is pretrained; of joined backbones, that of the leader."""
        if self.members:
            return self.members[leader_of(self.card.backbone)].encoder

        def make() -> Encoder | None:
            card = self.card
            return open_encoder(self.network, card.architecture, arithmetic=card.arithmetic)

        return self.poses or self.external or self.once("encoder", make, holds_weights=True)

    @property
    def external(self) -> WindowEncoder | None:
        """What makes the features of clips with which the network begins, where that is another program.

        Raises:
            KinemeError: its library or its files are not on this machine; a model does not hold them.
        """
        if self._external:
            return self._external
        make = self.card.backbone.external
        return self.once("external", lambda: make(self.card.spec), holds_weights=False) if make else None

    @property
    def classifier(self) -> Any:
        """The layers after the encoder, to logits_BK; the whole network without an encoder."""
        if not self.encoder:
            return self.network
        from kineme.models.linear_head import logits_alone

        return logits_alone(self.network.heads if self.members else self.network.get_layer("head"), len(self.labels))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of all probabilities."""
        return self.card.labels

    def probabilities(self, scores_NS: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities_NK of scores: logits_NK, and perhaps distances beside them.

        Raises:
            KinemeError: the scores are not numbers.
        """
        if not np.isfinite(scores_NS).all():
            raise KinemeError(f"{self.path or self.name}: its scores are not numbers; copy it again, or train it again")
        return softmax(scores_NS[:, : len(self.labels)], self.card.temperature)

    def open_set_score(self, scores_NS: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Whether scores show a label at all, (N,): from 0 on they do.

        None where the model was not trained to tell. See :mod:`kineme.models.open_set`.
        """
        return None if self.card.open_set is None else self.card.open_set.score(scores_NS)

    def weights(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Name and values of every weight of the network, or of its file where it is not built."""
        if self._network is None and self.path:
            return read_weights(self.path)
        from kineme.models.backend import keras

        named = named_weights(self.network)
        return ((name, keras.ops.convert_to_numpy(weight)) for name, weight in named.items())

    @property
    def version(self) -> int:
        """A number that grows whenever the weights are seen to have changed.

        Keras counts no changes, so a checksum of all weights in memory is taken each time: some milliseconds. Where
        the network is not built, which is most models that run compiled, nothing can have changed and it is free.
        """
        if self._network is not None:
            version, before = self._seen
            checksum = _checksum(self._network)
            if checksum != before:
                self._seen = version + (before is not None), checksum
        return self._seen[0]

    @property
    def fingerprint(self) -> str:
        """SHA-256 (the first 32 digits) of the weights, the network around them and the code that compiles them.

        Made once, and again after the weights have changed.
        """
        version = self.version
        if self._fingerprint is None or self._fingerprint[0] != version:
            card = self.card
            built = {"approach": card.approach, "config": card.config, "spec": card.spec.to_json()}
            told = [made_with(), built | {"labels": len(card.labels)}]
            if self._whole is not None:
                told.append({"member of": self._whole.fingerprint})
            digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
            if self._whole is not None and not version:
                pass
            elif self._build and not version:  # published weights, by the hash of what carries them
                digest.update(json.dumps(card.provenance, sort_keys=True).encode())
            else:
                for name, tensor in sorted(self.weights(), key=itemgetter(0)):
                    digest.update(name.encode())
                    digest.update(np.ascontiguousarray(tensor).data)
            self._fingerprint = version, digest.hexdigest()[:32]
        return self._fingerprint[1]

    def once(self, key: object, make: Callable[[], T], *, holds_weights: bool) -> T:
        """The result of ``make``, which is called once in each thread.

        Args:
            key: names the result.
            make: takes long, as compiling does.
            holds_weights: the result has a copy of the weights, so it is made again after these have changed.
        """
        self._claim()
        kept: dict[object, tuple[int, T]] = self._of_thread.__dict__.setdefault("kept", {})
        version = self.version if holds_weights else 0
        if key not in kept or kept[key][0] != version:
            kept[key] = version, make()
        return kept[key][1]

    def _claim(self) -> None:
        """Refuse to run in a process that was forked from the one that does: the threads of the engine are not here."""
        if self._process not in (None, os.getpid()):
            raise KinemeError(
                f"{self.name}: was used before this process was forked, and the threads that run it are not here: load "
                "it after the fork, or start processes with 'spawn'"
            )
        self._process = os.getpid()


def _restored(cls: type[TrainedModel], path: str, stride: int | None) -> TrainedModel:
    """What a pickle stands for."""
    model = cls.from_file(path)
    model.stride = stride
    return model


def _checksum(network: Any) -> int:
    from kineme.models.backend import keras

    checksum = 0
    for weight in network.weights:
        checksum = zlib.crc32(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).data, checksum)
    return checksum
