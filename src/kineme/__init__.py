"""Kineme recognises human actions in videos.

``scan`` a folder of videos, ``check`` it, ``train`` on it, ``compare`` approaches, ``evaluate``, ``load`` the model,
``predict``, ``export``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kineme.version import __version__

if TYPE_CHECKING:
    from kineme.api import check, compare, evaluate, export, load, scan, train
    from kineme.dataset.folds import Protocol
    from kineme.dataset.table import ClipTable
    from kineme.errors import KinemeError, UsageError, VideoError
    from kineme.exporters.agreement import Export
    from kineme.model import Model
    from kineme.people.find import find_people
    from kineme.people.tracks import People, Track
    from kineme.prediction.explain.explain import Explanation
    from kineme.prediction.result import Prediction, Segment
    from kineme.prediction.stream import Stream
    from kineme.prediction.watch import Event
    from kineme.training.compare import Comparison
    from kineme.training.options import AutoOptions, TrainOptions
    from kineme.training.run import Run
    from kineme.video.spec import ClipSpec

_MODULES = {
    **dict.fromkeys(("check", "compare", "evaluate", "export", "load", "scan", "train"), "kineme.api"),
    "AutoOptions": "kineme.training.options",
    "ClipSpec": "kineme.video.spec",
    "ClipTable": "kineme.dataset.table",
    "Comparison": "kineme.training.compare",
    "Event": "kineme.prediction.watch",
    "Explanation": "kineme.prediction.explain.explain",
    "Export": "kineme.exporters.agreement",
    "KinemeError": "kineme.errors",
    "Model": "kineme.model",
    "People": "kineme.people.tracks",
    "Prediction": "kineme.prediction.result",
    "Protocol": "kineme.dataset.folds",
    "Run": "kineme.training.run",
    "Segment": "kineme.prediction.result",
    "Stream": "kineme.prediction.stream",
    "Track": "kineme.people.tracks",
    "TrainOptions": "kineme.training.options",
    "UsageError": "kineme.errors",
    "VideoError": "kineme.errors",
    "find_people": "kineme.people.find",
}  # where each public name lives; it is imported on first use, so ``import kineme`` alone is instant

__all__ = [
    "AutoOptions",
    "ClipSpec",
    "ClipTable",
    "Comparison",
    "Event",
    "Explanation",
    "Export",
    "KinemeError",
    "Model",
    "People",
    "Prediction",
    "Protocol",
    "Run",
    "Segment",
    "Stream",
    "Track",
    "TrainOptions",
    "UsageError",
    "VideoError",
    "__version__",
    "check",
    "compare",
    "evaluate",
    "export",
    "find_people",
    "load",
    "scan",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name in _MODULES:
        import importlib

        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'kineme' has no attribute {name!r}")


def __dir__() -> list[str]:
    """All public names, also those not imported yet, for completion."""
    return __all__
