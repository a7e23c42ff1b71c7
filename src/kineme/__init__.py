"""Kineme recognises human actions in videos."""

from kineme.version import __version__

__all__ = ["__version__"]
