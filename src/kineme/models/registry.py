"""What there is to choose from: approaches and backbones, by name. A new one is one file and one line here."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import PureWindowsPath
from typing import Any, get_args, get_origin, get_type_hints

from kineme.errors import UsageError
from kineme.models.approach import Approach
from kineme.models.backbone import Backbone

APPROACHES = {
    "single-frame": "kineme.models.approaches.single_frame:SingleFrame",
    "late-fusion": "kineme.models.approaches.late_fusion:LateFusion",
    "early-fusion": "kineme.models.approaches.early_fusion:EarlyFusion",
    "slow-fusion": "kineme.models.approaches.slow_fusion:SlowFusion",
    "lrcn": "kineme.models.approaches.lrcn:LRCN",
    "convlstm": "kineme.models.approaches.convlstm:ConvLSTM",
    "pose-lstm": "kineme.models.approaches.pose_lstm:PoseLSTM",
}
BACKBONES = {
    "pixels": "kineme.models.backbones.pixels:PIXELS",
    "changes": "kineme.models.backbones.pixels:CHANGES",
    "small-cnn": "kineme.models.backbones.small_cnn:SMALL_CNN",
    "motion-cnn": "kineme.models.backbones.small_cnn:MOTION_CNN",
    "efficientnet-lite0": "kineme.models.backbones.efficientnet_lite0:EFFICIENTNET_LITE0",
    "i3d": "kineme.models.backbones.i3d:I3D",
    "blazepose": "kineme.models.backbones.blazepose:BLAZEPOSE",
    "hands": "kineme.models.backbones.hands:HANDS",
    "movenet": "kineme.models.backbones.people_encoder:MOVENET",
}


@dataclasses.dataclass(frozen=True)
class Library:
    """Where the networks of another library come from; what begins with its prefix and a colon names one.

    Args:
        find: makes the record of a backbone of its name.
        pull: fetches it: name, licence that the user accepts, and a callback for messages.
        published: makes a model that predicts without training of its name.
    """

    find: str
    pull: str
    published: str


LIBRARIES = {
    "hf": Library(
        find="kineme.models.hub.backbone:find",
        pull="kineme.models.hub.fetch:pull",
        published="kineme.models.hub.published:classifier",
    ),
    "torchvision": Library(
        find="kineme.models.hub.torchvision:find",
        pull="kineme.models.hub.torchvision:pull",
        published="kineme.models.hub.torchvision:classifier",
    ),
    "keras-hub": Library(
        find="kineme.models.hub.keras_hub:find",
        pull="kineme.models.hub.keras_hub:pull",
        published="kineme.models.hub.keras_hub:classifier",
    ),
}
READY_MADE = {  # in model cards, and never trained here
    "i3d": "kineme.models.backbones.i3d:KineticsI3D",
    "as-published": "kineme.models.hub.published:AsPublished",
}

# What `kineme train` begins with when no approach is named (kineme.training.auto has the rest): an approach with its
# options behind the joined features, and what they are without I3D, and where nothing else fits.
DEFAULT_APPROACH = "late-fusion"
DEFAULT_OPTIONS: dict[str, Any] = {"head": "linear"}
DEFAULT_BACKBONE = "i3d+movenet"
JOINTS_BACKBONE = "movenet"
FAST_BACKBONE = "efficientnet-lite0"
FROM_SCRATCH = "lrcn"  # of those that need no pretrained weights
DEFAULT_MODEL = "i3d-kinetics400"  # what `kineme predict` uses when no model is named


def find_approach(name: str) -> type[Approach]:
    """The class registered under ``name``.

    Raises:
        UsageError: the name is unknown; the line lists the known ones.
    """
    return _find(APPROACHES, name, "approach")  # type: ignore[no-any-return]


def find_backbone(name: str) -> Backbone:
    """The record registered under ``name``, or that of several, joined by ``+``.

    A name such as ``hf:OWNER/NAME`` stands for the network of another library.

    Raises:
        UsageError: the name is unknown; the line lists the known ones.
        KinemeError: the files of the network of another library cannot be used.
    """
    library = library_of(name)
    if "+" in name and not (library and is_folder(name)):
        from kineme.models.joined import join

        return join([find_backbone(one) for one in name.split("+")])
    if library:
        return _imported(library.find)(name)  # type: ignore[no-any-return]
    return _find(BACKBONES, name, "backbone")  # type: ignore[no-any-return]


def refuse_unfit_to_finetune(backbone: Backbone) -> None:
    """Raise UsageError where a backbone cannot be trained further."""
    if backbone.can_finetune:
        return
    if backbone.frozen_because:
        raise UsageError(f"--finetune: {backbone.name}: {backbone.frozen_because}")
    able = ", ".join(name for name in BACKBONES if find_backbone(name).can_finetune)
    raise UsageError(f"--finetune trains a pretrained backbone ({able}), but {backbone.name} is not one of them")


def library_of(name: str) -> Library | None:
    """The library that a name such as ``hf:OWNER/NAME`` belongs to, if it does to one."""
    prefix, colon, _ = name.partition(":")
    return LIBRARIES.get(prefix) if colon else None


def is_folder(name: str) -> bool:
    """Whether a name means a folder of this machine: ``hf:./DIR``, ``hf:/DIR``, ``hf:~/DIR``, ``hf:C:/DIR``."""
    rest = name.partition(":")[2]
    return rest.startswith((".", "/", "~")) or PureWindowsPath(rest).is_absolute()


def pull(name: str, licence: str | None, tell: Callable[[str], None]) -> Any:
    """Fetch a network of another library unless it is here.

    Args:
        name: such as ``hf:OWNER/NAME``.
        licence: that the user accepts.
        tell: called with a line on size and licence before anything large is fetched.

    Raises:
        UsageError: the licence asks to be accepted, and was not.
        KinemeError: it cannot be fetched, or is of a kind that is not read.
    """
    library = library_of(name)
    assert library
    return _imported(library.pull)(name, licence, tell)


def published(name: str) -> Any:
    """A network of another library as a model with its own labels, :class:`kineme.models.hub.published.Published`.

    Raises:
        KinemeError: it is not on this machine, has no labels, or cannot be used.
    """
    library = library_of(name)
    assert library
    return _imported(library.published)(name)


def make_approach(name: str, options: dict[str, Any] | None = None, *, ready_made: bool = False) -> Approach:
    """Make the approach ``name``; ``options`` may hold text, as from a command line, or values.

    Args:
        name: of the approach.
        options: their values by name; older names of options will do.
        ready_made: it may also be a network that is not trained here.

    Raises:
        UsageError: unknown approach or option, or a value of the wrong type.
    """
    cls = _find(READY_MADE, name, "") if ready_made and name in READY_MADE else find_approach(name)
    hints = get_type_hints(cls)
    known = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    values = {}
    for key, value in (options or {}).items():
        key = cls.renamed.get(key, key)
        if key not in known:
            raise UsageError(f"{name} has no option {key!r}; it has {', '.join(known)}")
        values[key] = _convert(f"{name}: option {key}", value, known[key])
    return cls(**values)


def recommended(approach: str, backbone: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Options of an approach that suit a backbone, the backbone itself and those that are given among them.

    Raises:
        UsageError: there is no such approach or backbone.
    """
    given = given or {}
    return {**find_approach(approach).suited_to(find_backbone(backbone), given), **given, "backbone": backbone}


def default_candidate(backbone: str = DEFAULT_BACKBONE) -> str:
    """The default approach on some features, as ``kineme compare`` takes it."""
    options = "".join(f",{name}={value}" for name, value in DEFAULT_OPTIONS.items())
    return f"{DEFAULT_APPROACH}:{backbone}{options}"


def describe() -> dict[str, list[dict[str, Any]]]:
    """The registry: each approach with its options and their defaults, each backbone, with a line of description."""
    approaches = [(name, find_approach(name)) for name in APPROACHES]
    return {
        "approaches": [
            {
                "name": name,
                "what": summary(cls),
                "options": {field.name: field.default for field in dataclasses.fields(cls)},
            }
            for name, cls in approaches
        ],
        "backbones": [{"name": name, "what": find_backbone(name).what} for name in BACKBONES],
    }


def summary(approach: type[Approach]) -> str:
    """The first line of what an approach's file says of itself."""
    return (sys.modules[approach.__module__].__doc__ or "").partition("\n")[0]


def _find(table: dict[str, str], name: str, kind: str) -> Any:
    if name not in table:
        raise UsageError(f"there is no {kind} {name!r}; choose one of {', '.join(table)}")
    return _imported(table[name])


def _imported(place: str) -> Any:
    """The value at ``module:attribute``."""
    module, attribute = place.split(":")
    return getattr(importlib.import_module(module), attribute)


def _convert(what: str, value: Any, hint: Any) -> Any:
    """``value`` as the type of a dataclass field: bool, int, float, str, or one of some literals."""
    if get_origin(hint) is not None:
        choices = get_args(hint)
        if value in choices:
            return value
        raise UsageError(f"{what} must be one of {', '.join(map(str, choices))}, not {value!r}")
    if hint is bool and str(value).lower() in ("true", "yes", "1", "false", "no", "0"):
        return str(value).lower() in ("true", "yes", "1")
    if hint is not bool and not isinstance(value, bool):
        try:
            converted = hint(value)
        except (TypeError, ValueError):
            converted = None
        if converted is not None and (isinstance(value, str) or converted == value):
            return converted
    raise UsageError(f"{what} must be of type {hint.__name__}, not {value!r}")
