"""False alarms of the leak search on honest sets whose videos look alike; a part of ``check.py``."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from helpers_scenes import save
from helpers_takes import CROWDS, POSES, SCREENS, Frames, camera_take, pose_take, save_take, screen_take

from kineme import api
from kineme.dataset.audit.audit import audit
from kineme.dataset.audit.cache import InspectionCache
from kineme.errors import VideoError
from kineme.video.decode import read_frames
from kineme.video.spec import ClipSpec

_PIECE_S = 2.0  # of the real clips


def find_look_alikes(folder: Path, real: Path | None) -> dict[str, dict[str, Any]]:
    """Audit sets of different takes; what is called one recording among them is a false alarm, but for real sets."""
    jobs: list[tuple[Any, ...]] = []
    for held, name in ((True, "poses held"), (False, "poses slowly taken")):
        for person, label, take in itertools.product(range(6), POSES, range(3)):
            jobs.append((folder / name / label / f"{person}_{take}.mp4", pose_take, (person, label, take), not held))
    for program, label, take in itertools.product(range(3), SCREENS, range(4)):
        jobs.append((folder / "screens" / label / f"{program}_{take}.mp4", screen_take, (program, label, take), None))
    for place, label, take in itertools.product(range(3), CROWDS, range(4)):
        jobs.append((folder / "fixed camera" / label / f"{place}_{take}.mp4", camera_take, (place, label, take), None))
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in [pool.submit(_write_take, *job) for job in jobs if not job[0].exists()]:
            done.result()
    sets = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    drawn = set(sets)
    if real is not None:
        pieces = folder / "real clips"
        for clip in sorted((real / "real-clips").iterdir()):
            _cut_into_pieces(clip, pieces / clip.stem)
        sets |= {"real clips": pieces, **{name: real / name for name in ("ut-interaction", "skate")}}
    found = {}
    for name, data in sets.items():
        audited = audit(api.scan(data), ClipSpec(), cache=InspectionCache(folder / f".{name}"))
        labels = audited.table.rows["label"].to_list()
        sure = [one for one in audited.copies if one.certain]
        found[name] = {
            "drawn": name in drawn,
            "videos": len(labels),
            "one_recording": len(sure),
            "two_labels": sum(labels[one.first] != labels[one.second] for one in sure),
            "look_alike": len(audited.copies) - len(sure),
        }
    return found


def _write_take(path: Path, make: Callable[..., Frames], which: tuple[Any, ...], slow: bool | None) -> None:
    cv2.setNumThreads(1)
    save_take(path, make(*which) if slow is None else make(*which, slow=slow))


def _cut_into_pieces(clip: Path, to: Path) -> None:
    """Pieces of a few seconds that do not overlap: different takes of one scene."""
    if to.exists():
        return
    try:
        frames = list(read_frames(clip))
    except VideoError:
        return
    for number in itertools.count():
        piece = [one.pixels_HWC for one in frames if number <= one.pts_s / _PIECE_S < number + 1]
        if len(piece) < 10 * _PIECE_S:
            return
        height, width = piece[0].shape[:2]
        size = round(width * 240 / height) // 2 * 2, 240
        smaller = [cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in piece]
        save(to / f"{clip.stem}_{number}.mp4", smaller, fps=round(len(piece) / _PIECE_S))
