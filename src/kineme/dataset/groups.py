"""Groups from the names of videos: which ones show the same person, scene or source, by known naming rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

ONE_PER_VIDEO = "one group per video"

_UCF = re.compile(r"v_(?P<group>.+_g\d+)_c\d+")
_PERSON = re.compile(r"(?P<group>person\d+)_.+")
_WEIZMANN = re.compile(
    r"(?P<group>daria|denis|eli|ido|ira|lena|lyova|moshe|shahar)_"
    r"(bend|jack|jump|pjump|run|side|skip|walk|wave1|wave2)\d?"
)
# source video, action, visible body part, camera motion, number of people, viewpoint, quality, number of the clip
_HMDB = re.compile(r"(?P<source_action>.+)_[hulf]_(cm|nm)_np\d+_(ba|fr|le|ri)_(bad|med|goo)_\d+")


def guess_groups(names: Sequence[str], labels: Sequence[str]) -> tuple[list[str], str]:
    """Guess the group of each video from its file name.

    The rule that fits most names is taken if it fits more than half of them; videos it does not fit become groups
    of their own. Without such a rule every video is its own group.

    | names | group | example |
    |---|---|---|
    | UCF50, UCF101 `v_X_gNN_cNN` | `X_gNN` | `v_Swing_g01_c03` -> `Swing_g01` |
    | KTH and the synthetic set `personNN_...` | `personNN` | `person07_boxing_d2_uncomp` -> `person07` |
    | Weizmann `person_action` | the person | `lena_walk1` -> `lena` |
    | HMDB51 `SOURCE_action_u_nm_np1_ba_goo_0` | the source video | `April_09_brush_hair_...` -> `April_09` |

    In UCF the number counts the sources *of one class*: group 1 of Swing and group 1 of TaiChi have nothing in
    common. So the class, as the file name spells it, is part of the group. This keeps apart all that belongs
    together, and it does not tie unrelated videos into a few large groups, from which an interval could not be
    estimated. The three official UCF101 lists (test groups 1-7, 8-14, 15-21) cut no such group, and the number
    at its end gives them back exactly.

    Args:
        names: N paths with forward slashes; only the last part counts, without its suffix.
        labels: N labels; HMDB51 names hold the action between the source and the rest.

    Returns:
        The N groups, and one readable phrase that says where they come from.
    """
    stems = [PurePosixPath(name).stem for name in names]
    best: list[str | None] = [None] * len(stems)
    phrase = ONE_PER_VIDEO
    for rule_phrase, rule in NAME_RULES.items():
        found = [rule(stem, label) for stem, label in zip(stems, labels, strict=True)]
        if _fitting(found) > max(_fitting(best), len(stems) / 2):
            best, phrase = found, rule_phrase
    others = len(stems) - _fitting(best)
    if 0 < others < len(stems):
        phrase += f", and one group per video for the {others} named otherwise"
    return [group or name for group, name in zip(best, names, strict=True)], phrase


def group_noun(group_source: str, groups: Iterable[str]) -> str:
    """The word for groups, in the plural: "people" if their source or their own names refer to people."""
    if group_source.startswith(("KTH", "Weizmann")) or all(re.fullmatch(r"person_?\d+", group) for group in groups):
        return "people"
    if group_source.startswith(("UCF", "HMDB51")):
        return "sources"
    return "videos" if group_source.startswith(ONE_PER_VIDEO) else "groups"


def _fitting(groups: list[str | None]) -> int:
    return sum(group is not None for group in groups)


def _by_pattern(pattern: re.Pattern[str]) -> Callable[[str, str], str | None]:
    """The rule that takes the part of the name called ``group``."""

    def rule(stem: str, label: str) -> str | None:
        match = pattern.fullmatch(stem)
        return match["group"] if match else None

    return rule


def _hmdb(stem: str, label: str) -> str | None:
    match = _HMDB.fullmatch(stem)
    if match is None:
        return None
    action = "_" + re.sub(r"[\s-]+", "_", label.strip().lower())
    return match["source_action"].removesuffix(action)


NAME_RULES: dict[str, Callable[[str, str], str | None]] = {
    "UCF names (v_X_gNN_cNN)": _by_pattern(_UCF),
    "KTH names (personNN_)": _by_pattern(_PERSON),
    "Weizmann names (person_action)": _by_pattern(_WEIZMANN),
    "HMDB51 names (source_action_..._N)": _hmdb,
}
