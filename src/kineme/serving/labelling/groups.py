"""Suggestions who or where a video is: from its name, from its folder, and from places that look alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from kineme.dataset.groups import ONE_PER_VIDEO, guess_groups

_MOST = 5
_LOOK_S = 10.0  # of a video, at its place


def usual_groups(names: Sequence[str]) -> dict[str, str]:
    """The group of each video where nobody says any: what its name tells by a known rule, else its own name."""
    groups, _ = guess_groups(names, ["" for _ in names]) if names else ([], ONE_PER_VIDEO)
    return dict(zip(names, groups, strict=True))


def suggestions(name: str, usual: str, named: Sequence[str], alike: Sequence[str]) -> list[dict[str, str]]:
    """What to offer for a video, with the reason of each: the likeliest first.

    Args:
        name: of the video.
        usual: its group by the rules of names.
        named: groups that somebody has given to other videos.
        alike: groups of videos that show the same place.
    """
    offered = [(group, "this place looks like one of theirs") for group in alike]
    path = PurePosixPath(name)
    offered += [(group, "it is in the name") for group in named if group.casefold() in name.casefold()]
    if usual != name:
        offered.append((usual, "its name says so"))
    if path.parent.name:
        offered.append((path.parent.name, "the folder's name"))
    offered += [(group, "used before") for group in named]
    unique: dict[str, str] = {}
    for group, reason in offered:
        unique.setdefault(group, reason)
    return [{"group": group, "reason": reason} for group, reason in unique.items()][:_MOST]


def same_place(path: Path, others: Mapping[Path, str]) -> list[str]:
    """The groups of other videos that were filmed in the same place as one, by their first seconds.

    Args:
        path: of the video.
        others: videos with their groups.
    """
    from kineme.dataset.audit.cache import InspectionCache
    from kineme.dataset.audit.inspection import Inspection
    from kineme.dataset.audit.scenes import same_places

    cache = InspectionCache()
    files = [path, *others]
    looks = [cache.inspect({"path": str(file), "start_s": 0.0, "end_s": _LOOK_S}) for file in files]
    seen = [(file, look) for file, look in zip(files, looks, strict=True) if isinstance(look, Inspection)]
    if not seen or seen[0][0] != path:
        return []
    groups = ["", *(others[file] for file, _ in seen[1:])]
    for place in same_places([look.background for _, look in seen], groups):
        if 0 in place:
            return sorted({groups[number] for number in place if number})
    return []
