"""The record of an annotation format, with which a file is recognised by its content and not by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kineme.dataset.annotations.document import Document
from kineme.dataset.annotations.segment import Found


@dataclass(frozen=True)
class Form:
    """A form that can be read.

    Args:
        name: for people.
        kind: ``"XML"``, ``"JSON"`` or ``"table"``; as :attr:`Document.kind` has it.
        expects: how it is known, for the message where nothing is.
        recognises: whether a document of this kind is of the form.
        read: reads it; raises :class:`~kineme.errors.KinemeError` where it is damaged.
    """

    name: str
    kind: str
    expects: str
    recognises: Callable[[Document], bool]
    read: Callable[[Document], Found]
