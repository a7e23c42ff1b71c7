"""Models of the Hugging Face Hub that are known by name: how large they are, before anything is fetched.

The figures are those of their pages on the Hub; ``docs/howto/backbones.md`` has them with their sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kineme.models.hub.snapshot import PREFIX, split_pin


@dataclass(frozen=True)
class Known:
    """One model.

    Args:
        megabytes: of its ``.safetensors``.
        licence: its identifier on the Hub.
    """

    megabytes: int
    licence: str


KNOWN = {
    "MCG-NJU/videomae-small-finetuned-kinetics": Known(88, "cc-by-nc-4.0"),
    "MCG-NJU/videomae-base": Known(377, "cc-by-nc-4.0"),
    "MCG-NJU/videomae-base-finetuned-kinetics": Known(346, "cc-by-nc-4.0"),
    "MCG-NJU/videomae-large-finetuned-kinetics": Known(1216, "cc-by-nc-4.0"),
    "fcakyon/timesformer-base-finetuned-k400": Known(486, "cc-by-nc-4.0"),
    "google/vivit-b-16x2-kinetics400": Known(356, "mit"),
    "facebook/vjepa2-vitl-fpc64-256": Known(1304, "mit"),
    "facebook/vjepa2-vitl-fpc16-256-ssv2": Known(1502, "mit"),
    "microsoft/xclip-base-patch32": Known(787, "mit"),
    "microsoft/xclip-base-patch16-zero-shot": Known(781, "mit"),
}


def how_to_get(name: str) -> str:
    """One line for a model that is not on this machine: its size where it is known, and the command."""
    bare, _ = split_pin(name)
    rest = bare.removeprefix(PREFIX)
    size = f"about {KNOWN[rest].megabytes} MB" if rest in KNOWN else "its size is on its page"
    folder = f"; if you mean the folder here, write {PREFIX}./{rest}" if Path(rest).is_dir() else ""
    return f"{bare} is not on this machine; to fetch it ({size}): kineme models pull {name}{folder}"
