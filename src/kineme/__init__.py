"""Kineme recognises human actions in videos.

``scan`` a folder of videos, ``check`` it, ``train`` on it, ``compare`` approaches, ``evaluate``, ``load`` the model,
``predict``, ``export``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kineme.version import __version__

if TYPE_CHECKING:
    from kineme.api import check, compare, evaluate, export, load, scan, train
    from kineme.errors import KinemeError
    from kineme.video.spec import ClipSpec

__all__ = ["ClipSpec", "KinemeError", "__version__", "check", "compare", "evaluate", "export", "load", "scan", "train"]

_HOME = {"ClipSpec": "kineme.video.spec", "KinemeError": "kineme.errors"}


def __getattr__(name: str) -> Any:
    """Import on first use: ``import kineme`` alone is instant."""
    if name in __all__:
        import importlib

        return getattr(importlib.import_module(_HOME.get(name, "kineme.api")), name)
    raise AttributeError(f"module 'kineme' has no attribute {name!r}")
