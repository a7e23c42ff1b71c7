"""A model in one ``.tflite`` file, which runs where neither Keras nor TensorFlow is.

The file holds the parts of the network, compiled for LiteRT, as signatures: ``frame`` and ``window`` of a model that
looks at frames one by one (a model on landmarks lacks ``frame``), or ``clip``; and ``frame`` and ``step`` where a
state can be carried through a stream. A zip archive follows them, as the metadata of TFLite files do, which any
interpreter ignores and any unzip program opens: ``kineme.json`` is the model's card as in a model file,
``export.json`` says what there is and that it is whole, ``labels.txt`` names the classes, a line each.

A model on joined backbones has the parts of each member: ``i3d.clip``, ``movenet.window``.

A damaged file is detected by its hash before it is run. LiteRT checks that the network's structure is one, and here its
inputs and outputs are held against the card; but it follows operations that make no sense until it crashes, so a
network not seen before is run once in a process of its own. What remains: a network is a program, and one that
somebody made to harm could use up time and memory, or a fault in LiteRT, as a ``.safetensors`` model cannot. Take
exported models from people you trust.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import math
import os
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kineme.errors import KinemeError, UsageError
from kineme.models.litert import LiteRTFunction, engine_cache
from kineme.models.model_file import ModelCard
from kineme.prediction.engine import Function, PartName, threads_for
from kineme.subprocesses import ProcessError, call_in_process

SUFFIX = ".tflite"
FORMAT = 1

_CARD, _EXPORT, _LABELS = "kineme.json", "export.json", "labels.txt"
_MOST_BYTES = 2**31  # what the format can address
_MOST_TEXT_BYTES = 2**24
_MOST_NUMBERS = 2**28  # in one input or output
_LONGEST_TRIAL_S = 120
_AGAIN = "copy or export it again"


class Exported:
    """The content of an exported model; also an inference engine.

    Args:
        path: the file.
        tried: whether its network is known to run; else that is found out in a process of its own, once.

    Attributes:
        path: the file.
        card: of the model.
        name: of the model.
        parts: those that there are.
        stride: ticks from one window of a file to the next, or None where these are as the spec of the card says.

    Raises:
        KinemeError: it is missing, no exported model, damaged, or of another version.
    """

    def __init__(self, path: str | os.PathLike[str], *, tried: bool = False) -> None:
        self.path = Path(path)
        content = _content(self.path)
        texts = _texts(self.path, content)
        self.card = ModelCard.from_json(self.path, texts[_CARD])
        self._prefix = ""
        try:
            document = json.loads(texts[_EXPORT])
            if document["format"] != FORMAT:
                raise KinemeError(
                    f"{self.path}: exported in format {document['format']!r}, and this version of kineme reads format "
                    f"{FORMAT}; use the version of kineme that wrote it, or export it again"
                )
            size, sha256 = int(document["bytes"]), str(document["sha256"])
            self.name = str(document["model"])
            self.parts = tuple(str(part) for part in document["parts"])
            self.stride = None if document["stride"] is None else max(1, int(document["stride"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise KinemeError(f"{self.path}: its description cannot be read ({error}); {_AGAIN}") from error
        self._network = content[: max(0, size)]
        if hashlib.sha256(self._network).hexdigest() != sha256:
            raise KinemeError(f"{self.path}: damaged: its content has changed since it was written; {_AGAIN}")
        if not tried:
            _try_out(self.path, sha256)

    def member(self, card: ModelCard) -> Exported:
        """The parts of a member of joined backbones, by its card."""
        one = copy.copy(self)
        one.card, one._prefix = card, prefix_of(card)
        one.parts = tuple(name.removeprefix(one._prefix) for name in self.parts if name.startswith(one._prefix))
        return one

    def name_of(self, part: PartName) -> str:
        """The signature of a part."""
        return f"{self._prefix}{part}"

    def function(self, part: PartName) -> Function:
        """See :class:`kineme.prediction.engine.Engine`.

        Raises:
            UsageError: the model has no such part.
            KinemeError: LiteRT cannot run it, or it does not fit the card.
        """
        if part not in self.parts:
            raise UsageError(f"{self.path}: {self.card.approach}, as exported, has no {part}: use mode='exact'")
        with _in_one_line(self.path, part):
            function = LiteRTFunction(self._network, self.name_of(part), threads_for(part, self.card))
            _refuse_absurd(function)
            self._check(part, function)
            function.warm_up()
        return function

    def _check(self, part: PartName, function: LiteRTFunction) -> None:
        """Hold shapes and types of a part against the card.

        Raises:
            ValueError: they do not fit.
        """
        spec, classes = self.card.spec, len(self.card.labels)
        external = self.card.backbone.external
        frame = 1, spec.height, spec.width, 3
        states = function.input_shapes[1:]
        fits = {
            "frame": function.input_shapes in ([frame], [frame, frame]) and len(function.output_shapes) == 1,
            "clip": function.input_shapes == [(1, *(external(spec).shape if external else (spec.frames, *frame[1:])))],
            "window": len(function.input_shapes) == 1 and function.input_shapes[0][:2] == (1, spec.frames),
            "step": function.output_shapes[1:] == states,
        }[part]
        seen = function.input_types[:1] if part in ("window", "step") else function.input_types
        wanted_type = "float32" if external or part in ("window", "step") else "uint8"
        if not fits or set(seen) != {wanted_type} or set(function.input_types[1:]) - {wanted_type}:
            raise ValueError("its inputs do not match the model in its description")
        scores = 2 * classes if self.card.clips_of_class else classes
        if part != "frame" and function.output_shapes[0] != (1, scores):
            raise ValueError(f"it does not give {classes} scores, one for each label")


def prefix_of(card: ModelCard) -> str:
    """How the names of the parts of a member of joined backbones begin."""
    return f"{card.architecture.backbone}."


def write(path: Path, network: bytes, parts: tuple[str, ...], card: ModelCard, name: str, stride: int | None) -> None:
    """Write an exported model.

    Args:
        path: where to; it is replaced if it is there.
        network: content of a ``.tflite`` file with a signature for each part.
        parts: names of the signatures.
        card: of the model.
        name: of the model.
        stride: ticks from one window of a file to the next, or None where these are as the spec of the card says.
    """
    document = {
        "format": FORMAT,
        "model": name,
        "parts": list(parts),
        "stride": stride,
        "bytes": len(network),
        "sha256": hashlib.sha256(network).hexdigest(),
    }
    texts = {
        _CARD: json.dumps(card.to_json(), ensure_ascii=False),
        _EXPORT: json.dumps(document, ensure_ascii=False),
        _LABELS: "\n".join(card.labels) + "\n",
    }
    path.write_bytes(network)
    with zipfile.ZipFile(path, "a") as archive:
        for member, text in texts.items():
            # With a date, the same model would not be the same file.
            archive.writestr(zipfile.ZipInfo(member), text.encode())


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise KinemeError(f"{path}: too large for a LiteRT model")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise KinemeError(f"{path}: there is no such model file") from error
    except OSError as error:
        raise KinemeError(f"{path}: cannot be read ({error.strerror or error})") from error
    if content[4:8] != b"TFL3":
        raise KinemeError(f"{path}: not a LiteRT model")
    return content


def _texts(path: Path, content: bytes) -> dict[str, str]:
    """The documents in the archive at the end of the file."""
    texts: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in (_CARD, _EXPORT):
                with archive.open(member) as file:
                    texts[member] = file.read(_MOST_TEXT_BYTES + 1)
                if len(texts[member]) > _MOST_TEXT_BYTES:
                    raise KinemeError(f"{path}: its description is absurdly long")
                texts[member] = texts[member].decode()
    except (zipfile.BadZipFile, KeyError) as error:
        raise KinemeError(
            f"{path}: cut short, or not exported by Kineme: it lacks the model's description; {_AGAIN}"
        ) from error
    except (ValueError, RuntimeError, OSError, EOFError, NotImplementedError, zlib.error) as error:
        raise KinemeError(f"{path}: its description cannot be read ({error}); {_AGAIN}") from error
    return texts


def _try_out(path: Path, sha256: str) -> None:
    """Run every part of a network once in another process, which may crash; note that it did not.

    Raises:
        KinemeError: it did, or takes too long.
    """
    cache, note = engine_cache(), f"{sha256[:32]}.tried"
    if cache.find(note) or not sys.executable:
        return
    try:
        call_in_process("kineme.prediction.exported:run_parts_once", str(path), timeout_s=_LONGEST_TRIAL_S)
    except ProcessError as error:
        if error.kind == "time_limit":
            raise KinemeError(f"{path}: LiteRT takes over {_LONGEST_TRIAL_S} s to run it once") from error
        raise KinemeError(f"{path}: LiteRT crashes on its network; {_AGAIN}") from error
    cache.write(note, b"")  # where it cannot be noted, it is tried every time


def run_parts_once(path: str) -> None:
    """Run every part of an exported model's network, in this process; whether it fits its card is checked elsewhere."""
    file = Path(path)
    content = _content(file)
    document = json.loads(_texts(file, content)[_EXPORT])
    for part in document["parts"]:
        with _in_one_line(file, part):
            function = LiteRTFunction(content[: document["bytes"]], part)
            _refuse_absurd(function)
            function.warm_up()


def _refuse_absurd(function: LiteRTFunction) -> None:
    shapes = [*function.input_shapes, *function.output_shapes]
    if any(math.prod(shape) > _MOST_NUMBERS or min(shape, default=0) < 1 for shape in shapes):
        raise ValueError("its inputs or outputs are absurdly large, or empty")


@contextmanager
def _in_one_line(path: Path, part: str) -> Iterator[None]:
    """Whatever LiteRT says of a network that it cannot run."""
    try:
        yield
    except ImportError as error:
        raise KinemeError(f"{path}: an exported model needs LiteRT: pip install ai-edge-litert") from error
    except (ValueError, RuntimeError, TypeError, MemoryError) as error:
        line = " ".join(str(error).split())[:200]
        raise KinemeError(f"{path}: LiteRT cannot run its {part} ({line}); {_AGAIN}") from error
