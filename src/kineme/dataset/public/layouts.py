"""Reads labels, groups, folds and official splits from the file names in the archives of each public set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from kineme.dataset.groups import guess_groups
from kineme.errors import KinemeError


@dataclass(frozen=True, kw_only=True)
class Video:
    """A labelled video of a public set, or a part of one.

    Args:
        path: relative to the folder of the set, ``class/name``.
        label: its class.
        group: what must stay together.
        split: train, validation or test, where the set has one division only.
        fold: the part of a cross-validation it is tested in, where the set names one.
        start_s: where the part begins, seconds.
        end_s: where it ends, or None: the whole video.
    """

    path: str
    label: str
    group: str
    split: str | None = None
    fold: str | None = None
    start_s: float | None = None
    end_s: float | None = None


Lists = Mapping[str, str]
"""File name of each text file that came with the videos, to its content."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How to read one public set.

    Args:
        video: from the name of an archive and of a member of it to the video it holds; None for anything else.
        is_list: whether a member is a text file that :attr:`tables` needs.
        inner: the class that an archive inside the archive holds, by its name; None where there are no such.
        tables: from the videos that are here and the lists to the tables, by file name without suffix. ``clips``
            holds all videos; a video that a list does not use is left out of that list's table.
    """

    video: Callable[[str, str], Video | None]
    is_list: Callable[[str], bool] = lambda member: False
    inner: Callable[[str], str | None] = lambda member: None
    tables: Callable[[Sequence[Video], Lists], dict[str, list[Video]]] = lambda videos, lists: {"clips": list(videos)}


# UCF

_UCF11_VIDEO = re.compile(r"(?:.*/)?(?P<label>[^/]+)/v_[^/]+_(?P<number>\d+)/(?P<name>v_[^/]+\.(?:mpg|avi))")
_UCF_VIDEO = re.compile(r"(?:.*/)?(?P<label>[^/]+)/(?P<name>v_(?P<group>[^/]+_g(?P<number>\d+))_c\d+\.avi)")
_UCF_LIST = re.compile(r"(?:.*/)?(?P<name>(?:train|test)list0(?P<number>[123])\.txt)")


def _ucf11(archive: str, member: str) -> Video | None:
    """``.../basketball/v_shooting_01/v_shooting_01_05.mpg``: the second folder is the source video."""
    if (match := _UCF11_VIDEO.fullmatch(member)) is None:
        return None
    label, number = match["label"], match["number"]
    return Video(path=f"{label}/{match['name']}", label=label, group=f"{label}_g{number}", fold=f"g{number}")


def _ucf(archive: str, member: str) -> Video | None:
    """``UCF50/Swing/v_Swing_g01_c03.avi``."""
    if (match := _UCF_VIDEO.fullmatch(member)) is None:
        return None
    label = match["label"]
    return Video(path=f"{label}/{match['name']}", label=label, group=match["group"], fold=f"g{match['number']}")


def _ucf101(archive: str, member: str) -> Video | None:
    video = _ucf(archive, member)
    return video and replace(video, fold=None)  # its protocol is the three lists


def ucf101_lists(lists: Lists) -> dict[str, dict[str, str]]:
    """Split of each video by the three official lists: list number as text, to path, to ``train`` or ``test``."""
    splits: dict[str, dict[str, str]] = {}
    for name, text in lists.items():
        if match := _UCF_LIST.fullmatch(name):
            split = "test" if name.startswith("test") else "train"
            of_list = splits.setdefault(match["number"], {})
            of_list.update((line.split()[0], split) for line in text.splitlines() if line.strip())
    return splits


def _ucf101_tables(videos: Sequence[Video], lists: Lists) -> dict[str, list[Video]]:
    return {"clips": list(videos), **_listed_tables(videos, ucf101_lists(lists))}


def _listed_tables(videos: Iterable[Video], splits: Mapping[str, Mapping[str, str]]) -> dict[str, list[Video]]:
    """A table for each official list, of the videos that it uses."""
    if sorted(splits) != ["1", "2", "3"]:
        raise KinemeError(f"the official lists are not complete: of 1, 2 and 3, only {sorted(splits)} were found")
    videos = list(videos)
    return {
        f"list{number}": [replace(video, split=of[video.path]) for video in videos if video.path in of]
        for number, of in sorted(splits.items())
    }


UCF11 = Layout(video=_ucf11)
UCF50 = Layout(video=_ucf)
UCF101 = Layout(video=_ucf101, is_list=lambda member: bool(_UCF_LIST.fullmatch(member)), tables=_ucf101_tables)


# HMDB51

_HMDB_LIST = re.compile(r"(?:.*/)?(?P<name>(?P<label>[^/]+)_test_split(?P<number>[123])\.txt)")
_HMDB_SPLITS = {"1": "train", "2": "test"}  # 0: not used by that list


def _hmdb51(archive: str, member: str) -> Video | None:
    """``brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi``, inside ``brush_hair.rar`` inside the archive."""
    path = PurePosixPath(member)
    if path.suffix != ".avi" or len(path.parts) < 2:
        return None
    label = path.parent.name
    (group,), _ = guess_groups([path.name], [label])
    return Video(path=f"{label}/{path.name}", label=label, group=group)


def _hmdb51_inner(member: str) -> str | None:
    path = PurePosixPath(member)
    return path.stem if path.suffix == ".rar" else None


def _hmdb51_tables(videos: Sequence[Video], lists: Lists) -> dict[str, list[Video]]:
    splits: dict[str, dict[str, str]] = {}
    for name, text in lists.items():
        if match := _HMDB_LIST.fullmatch(name):
            words = [line.split() for line in text.splitlines()]
            used = {f"{match['label']}/{one[0]}": _HMDB_SPLITS[one[1]] for one in words if one[1:2] in (["1"], ["2"])}
            splits.setdefault(match["number"], {}).update(used)
    # The lists keep apart the sources of one class; a film may be on both sides with different actions.
    in_class = [replace(video, group=f"{video.label}/{video.group}") for video in videos]
    return {"clips": list(videos), **_listed_tables(in_class, splits)}


HMDB51 = Layout(
    video=_hmdb51,
    is_list=lambda member: bool(_HMDB_LIST.fullmatch(member)),
    inner=_hmdb51_inner,
    tables=_hmdb51_tables,
)


# KTH

KTH_LABELS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
_KTH_FPS = 25
_KTH_VIDEO = re.compile(rf"(?:.*/)?(?P<name>(?P<person>person\d\d)_(?P<label>{'|'.join(KTH_LABELS)})_d\d_uncomp\.avi)")
_KTH_SEQUENCES = "00sequences.txt"
_KTH_LINE = re.compile(r"\s*(person\d\d_\w+_d\d)\s+frames\s+(.+)")
_KTH_TRAINING = {11, 12, 13, 14, 15, 16, 17, 18}
_KTH_VALIDATION = {1, 4, 19, 20, 21, 23, 24, 25}


def _kth(archive: str, member: str) -> Video | None:
    """``person01_boxing_d1_uncomp.avi``; the test people are listed at the head of ``00sequences.txt``."""
    if (match := _KTH_VIDEO.fullmatch(member)) is None:
        return None
    number = int(match["person"][-2:])
    split = "train" if number in _KTH_TRAINING else "validation" if number in _KTH_VALIDATION else "test"
    return Video(path=f"{match['label']}/{match['name']}", label=match["label"], group=match["person"], split=split)


def _kth_tables(videos: Sequence[Video], lists: Lists) -> dict[str, list[Video]]:
    """``clips``: the parts of ``00sequences.txt``, as the literature uses them; ``videos``: whole files."""
    lines = map(_KTH_LINE.match, lists[_KTH_SEQUENCES].splitlines())
    ranges: dict[str, str] = {match[1]: match[2] for match in lines if match}
    parts = []
    for video in videos:
        key = PurePosixPath(video.path).name.removesuffix("_uncomp.avi")
        frames = [(int(first), int(last)) for first, last in re.findall(r"(\d+)-(\d+)", ranges.get(key, ""))]
        if not frames:
            raise KinemeError(f"{_KTH_SEQUENCES}: names no frames of {key}")
        for first, last in sorted(set(frames)):  # counted from 1, the last one included
            parts.append(replace(video, start_s=(first - 1) / _KTH_FPS, end_s=last / _KTH_FPS))
    return {"clips": parts, "videos": list(videos)}


KTH = Layout(video=_kth, is_list=lambda member: member == _KTH_SEQUENCES, tables=_kth_tables)


# Weizmann

WEIZMANN_LABELS = ("bend", "jack", "jump", "pjump", "run", "side", "skip", "walk", "wave1", "wave2")
_WEIZMANN_VIDEO = re.compile(rf"(?:.*/)?(?P<name>(?P<person>[a-z]+)_(?P<label>{'|'.join(WEIZMANN_LABELS)})\d?\.avi)")


def _weizmann(archive: str, member: str) -> Video | None:
    """``lena_walk1.avi``."""
    if (match := _WEIZMANN_VIDEO.fullmatch(member)) is None:
        return None
    return Video(path=f"{match['label']}/{match['name']}", label=match["label"], group=match["person"])


WEIZMANN = Layout(video=_weizmann)


# UT-Interaction

_UT_LABELS = ("handshake", "hug", "kick", "point", "punch", "push")
_UT_VIDEO = re.compile(r"(?:.*/)?(?P<name>\d+_(?P<sequence>\d+)_(?P<label>[0-5])\.avi)")


def _ut_interaction(archive: str, member: str) -> Video | None:
    """``segmented_set1/4_1_0.avi``: number, sequence, class."""
    match, of = _UT_VIDEO.fullmatch(member), re.search(r"set([12])", archive)
    if match is None or of is None:
        return None
    label, group = _UT_LABELS[int(match["label"])], f"set{of[1]}-seq{int(match['sequence']):02}"
    return Video(path=f"{label}/set{of[1]}_{match['name']}", label=label, group=group, fold=f"set{of[1]}")


def _ut_tables(videos: Sequence[Video], lists: Lists) -> dict[str, list[Video]]:
    apart = {of: [replace(video, fold=None) for video in videos if video.fold == of] for of in ("set1", "set2")}
    return {"clips": list(videos), **{of: rows for of, rows in apart.items() if rows}}


UT_INTERACTION = Layout(video=_ut_interaction, tables=_ut_tables)
