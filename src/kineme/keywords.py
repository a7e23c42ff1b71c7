"""Keyword arguments: a wrong one is answered with the right one."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=type)

# Arguments that are an object with options: where its class is.
_OPTIONS = {
    "options": ("kineme.training.options", "TrainOptions"),
    "auto": ("kineme.training.options", "AutoOptions"),
    "spec": ("kineme.video.spec", "ClipSpec"),
    "protocol": ("kineme.dataset.folds", "Protocol"),
}


def suggest_keywords(function: Callable[P, T], name: str | None = None) -> Callable[P, T]:
    """Decorate a function so that the error about a keyword it does not have names the one that was meant.

    Args:
        function: to be called.
        name: of what the user calls; by default the function's.

    Example:
        >>> kineme.train("my-videos", "runs/new", epoch=3)
        Traceback (most recent call last):
        TypeError: train() has no argument 'epoch'; did you mean options=kineme.TrainOptions(epochs=...)?
    """
    names = _keywords(function)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        for keyword in kwargs:
            if keyword not in names:
                raise TypeError(f"{name or function.__name__}() has no argument {keyword!r}; {_hint(keyword, names)}")
        return function(*args, **kwargs)

    return checked


def suggest_fields(options: C) -> C:
    """Decorate a dataclass in the same way as :func:`suggest_keywords` does a function."""
    options.__init__ = suggest_keywords(options.__init__, options.__name__)  # type: ignore[misc]
    return options


def _keywords(function: Callable[..., object]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def _hint(keyword: str, names: list[str]) -> str:
    meant: dict[str, str] = {}
    for argument in filter(_OPTIONS.__contains__, names):
        module, name = _OPTIONS[argument]
        for field in _keywords(getattr(importlib.import_module(module), name)):
            meant.setdefault(field, f"{argument}=kineme.{name}({field}=...)")
    meant |= {name: repr(name) for name in names}
    close = difflib.get_close_matches(keyword, meant, 1)
    return f"did you mean {meant[close[0]]}?" if close else f"its arguments are {', '.join(names)}"
