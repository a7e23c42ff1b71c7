"""Licences of models: which there is, which allow no commercial use, and which were accepted on this machine."""

from __future__ import annotations

import json
import re
from pathlib import Path

from kineme.errors import KinemeError, UsageError
from kineme.files import user_cache_folder, write_text

_RESTRICTED = re.compile(r"(^|-)nc(-|$)|non-?commercial|research|^other$")
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---", re.DOTALL)


def is_restricted(licence: str) -> bool:
    """Whether a licence must be accepted by name: it allows no commercial use, or its terms are the author's own."""
    return bool(_RESTRICTED.search(licence.lower()))


def licence_in(folder: Path) -> str:
    """The licence that the ``README.md`` of a model names at its head; empty where it names none."""
    readme = folder / "README.md"
    if not readme.is_file():
        return ""
    head = _FRONT_MATTER.match(readme.read_text(encoding="utf-8", errors="replace")[:100_000])
    line = re.search(r"^license:\s*[\"']?([\w.+-]+)", head[1], re.MULTILINE) if head else None
    return line[1].lower() if line else ""


def accept(name: str, pin: str, licence: str, given: str | None) -> None:
    """Note that the user accepts a licence.

    Args:
        name: of the model.
        pin: of its files.
        licence: of the model.
        given: what the user wrote after ``--accept-licence``.

    Raises:
        UsageError: it asks to be accepted, and was not; or another was named.
    """
    if given is not None and given.lower() != licence:
        raise UsageError(f"--accept-licence {given}: the licence of {name} is {licence or 'not stated'}")
    if is_restricted(licence) and given is None and not is_accepted(pin):
        raise UsageError(_asks(name, licence))
    if given is not None:
        write_text(_note(pin), json.dumps({"name": name, "licence": licence}) + "\n")


def is_accepted(pin: str) -> bool:
    """Whether the licence of a model was accepted on this machine."""
    return _note(pin).is_file()


def refuse_unaccepted(name: str, pin: str, licence: str) -> None:
    """Raise KinemeError where a licence asks to be accepted, and was not."""
    if is_restricted(licence) and not is_accepted(pin):
        raise KinemeError(_asks(name, licence))


def _asks(name: str, licence: str) -> str:
    why = "has its own terms" if licence == "other" else "allows no commercial use"
    return (
        f"{name}: its licence, {licence}, {why}; read it, and if you accept it run: kineme models pull {name} "
        f"--accept-licence {licence}"
    )


def _note(pin: str) -> Path:
    return user_cache_folder() / "weights" / "hf" / "accepted" / f"{pin}.json"
