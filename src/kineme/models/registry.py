"""What there is to choose from: approaches and backbones, by name. A new one is one file and one line here."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
from pathlib import Path
from typing import Any, Protocol, get_args, get_origin, get_type_hints

from kineme.errors import UsageError
from kineme.video.spec import ClipSpec

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
    "pixels": "kineme.models.backbones.pixels:build",
    "changes": "kineme.models.backbones.pixels:build_changes",
    "small-cnn": "kineme.models.backbones.small_cnn:build",
    "motion-cnn": "kineme.models.backbones.small_cnn:build_motion",
    "efficientnet-lite0": "kineme.models.backbones.efficientnet_lite0:build_backbone",
    "i3d": "kineme.models.backbones.i3d:build_backbone",
    "blazepose": "kineme.models.backbones.blazepose:PoseTracker",
}
BY_FRAME = ("small-cnn", "motion-cnn", "efficientnet-lite0", "blazepose")  # see a frame, or its change from the last
FROZEN = {  # what comes trained, and its weights
    "efficientnet-lite0": "efficientnet-lite0",
    "i3d": "i3d-kinetics400",
    "blazepose": "blazepose",
}
# Options that suit an approach behind a backbone that comes trained, as found on UT-Interaction.
_RECOMMENDED: dict[tuple[str, str], dict[str, Any]] = {
    ("lrcn", "efficientnet-lite0"): {
        "units": 64,
        "dropout": 0.5,
        "projection": 64,
        "change_over": 3,
        "pooling": "max",
    },
    ("lrcn", "i3d"): {"units": 32, "dropout": 0.5},
}


class Approach(Protocol):
    """One way to classify a clip: a frozen dataclass whose fields are its options."""

    backbone: str

    def head(self, feature_shape: tuple[int, ...], classes: int) -> Any:
        """A Keras model from the backbone's features, (B, T, ...), to float32 logits_BK."""


def approach_class(name: str) -> type[Any]:
    """The class registered under ``name``.

    Raises:
        UsageError: there is none; the line lists those that there are.
    """
    return _find(APPROACHES, name, "approach")  # type: ignore[no-any-return]


def make_approach(name: str, options: dict[str, Any] | None = None) -> Approach:
    """Make the approach ``name``; ``options`` may hold text, as from a command line, or values.

    Raises:
        UsageError: unknown approach or option, or a value of the wrong type.
    """
    cls = approach_class(name)
    hints = get_type_hints(cls)
    known = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    values = {}
    for key, value in (options or {}).items():
        if key not in known:
            raise UsageError(f"{name} has no option {key!r}; it has {', '.join(known)}")
        values[key] = _convert(f"{name}: option {key}", value, known[key])
    return cls(**values)  # type: ignore[no-any-return]


def default_spec(backbone: str) -> ClipSpec:
    """The clip that a backbone is meant for: frames of the size it was trained at, or the textbook's 64.

    Raises:
        UsageError: there is no such backbone.
    """
    if backbone not in BACKBONES:
        raise UsageError(f"there is no backbone {backbone!r}; choose one of {', '.join(BACKBONES)}")
    if backbone == "i3d":  # as trained; a short video starts again (section 2.5 of the paper): it never saw a stillness
        return ClipSpec(frames=64, fps=25.0, height=224, width=224, fit="crop", short="loop")
    if backbone == "efficientnet-lite0":  # four a second tell as much of four seconds as eight of half as many
        return ClipSpec(frames=16, fps=4.0, height=224, width=224)
    size = 224 if backbone in FROZEN else 64
    return ClipSpec(height=size, width=size, fit="letterbox" if backbone == "blazepose" else "stretch")


def recommended(approach: str, backbone: str) -> dict[str, Any]:
    """Options of an approach that suit a backbone, the backbone itself among them."""
    return {"backbone": backbone, **_RECOMMENDED.get((approach, backbone), {})}


def build_backbone(name: str, spec: ClipSpec) -> Any:
    """A Keras model from uint8 clips_BTHWC to features, (B, T, ...); a frozen one still lacks its weights.

    Raises:
        UsageError: there is no such backbone.
    """
    return _find(BACKBONES, name, "backbone")(spec)


def describe() -> dict[str, list[dict[str, Any]]]:
    """What there is: each approach with its options and their defaults, each backbone, with a line on what it is."""
    approaches = [
        {
            "name": name,
            "what": summary(home),
            "options": {field.name: field.default for field in dataclasses.fields(approach_class(name))},
        }
        for name, home in APPROACHES.items()
    ]
    return {
        "approaches": approaches,
        "backbones": [{"name": name, "what": summary(home)} for name, home in BACKBONES.items()],
    }


def summary(home: str) -> str:
    """The first line of what an approach's file or a backbone's function says of itself, read without running it.

    Backbones import Keras, which takes seconds.
    """
    module, attribute = home.split(":")
    spec = importlib.util.find_spec(module)
    tree = ast.parse(Path(str(spec and spec.origin)).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == attribute:
            return (ast.get_docstring(node) or "").splitlines()[0]
    return (ast.get_docstring(tree) or "").splitlines()[0]


def _find(table: dict[str, str], name: str, kind: str) -> Any:
    if name not in table:
        raise UsageError(f"there is no {kind} {name!r}; choose one of {', '.join(table)}")
    module, attribute = table[name].split(":")
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
