"""The labels of a folder: ``labels.csv``, written anew at each change, and before that a line of a history.

The history alone would give the table, and tells what to do after a crash: each line holds the hash of the table that
it leads to, so one that was not written is written at the next start, and one that somebody has edited is taken as is.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from kineme.dataset.annotations.segment import instant
from kineme.dataset.sheet import read_sheet
from kineme.dataset.table import BY_MODEL, BY_PERSON
from kineme.errors import KinemeError
from kineme.files import cannot_write, write_text
from kineme.serving.labelling.changes import Change, LabelledBy, LabelledSegment, VideoLabels
from kineme.text import json_text

COLUMNS = ("path", "start_s", "end_s", "label", "group")
TABLE, HISTORY = "labels.csv", "history.jsonl"


class StaleError(Exception):
    """Somebody else has changed the labels of the video."""


class LabelStore:
    """The labels of all videos of a folder; may be used by several threads.

    Args:
        folder: of the videos.
        state: the folder of the history; made if need be.
        usual_group: the group of a video of which nobody has said any.

    Raises:
        KinemeError: the table or the history cannot be read or written.
    """

    def __init__(self, folder: Path, state: Path, usual_group: Callable[[str], str]) -> None:
        self.table, self._history, self._usual_group = folder / TABLE, state / HISTORY, usual_group
        self._lock = threading.Lock()
        self._videos: dict[str, VideoLabels] = {}
        written = self._replay()
        there = self.table.read_bytes() if self.table.is_file() else b""
        if there and hashlib.sha256(there).hexdigest() not in written:
            self._take(read_table(self.table))
        elif written and there != self._text().encode():
            self._write_table()

    def get(self, name: str) -> VideoLabels:
        """A copy of the labels of a video."""
        with self._lock:
            one = self._videos.get(name, VideoLabels())
            return replace(one, segments=dict(one.segments), rejected=set(one.rejected))

    def labels(self) -> set[str]:
        """All labels in use."""
        with self._lock:
            return {one.label for video in self._videos.values() for one in video.segments.values()}

    def groups(self) -> list[str]:
        """All groups that somebody has named."""
        with self._lock:
            return sorted({video.group for video in self._videos.values() if video.group})

    def change(self, name: str, revision: int, kind: str, change: Change | None = None) -> VideoLabels:
        """Change the labels of a video, and save them.

        Args:
            name: of the video.
            revision: that the change was made upon.
            kind: ``"change"``, ``"undo"`` or ``"redo"``.
            change: for ``"change"``.

        Raises:
            StaleError: the labels have another revision.
            KinemeError: something cannot be written; nothing is changed then.
        """
        with self._lock:
            video = self._videos.get(name, VideoLabels())
            if video.revision != revision:
                raise StaleError
            tried = replace(
                video,
                segments=dict(video.segments),
                rejected=set(video.rejected),
                undo=list(video.undo),
                redo=list(video.redo),
            )
            if tried.step(kind, change):
                before, self._videos = self._videos, {**self._videos, name: tried}
                try:
                    self._note({"video": name, "kind": kind}, change)
                    self._write_table()
                except BaseException:
                    self._videos = before
                    raise
        return self.get(name)

    def _note(self, facts: dict[str, Any], change: Change | None) -> None:
        """Add a line to the history, which is on the disk afterwards."""
        line = {**facts, "table": hashlib.sha256(self._text().encode()).hexdigest()}
        if change is not None:
            line["change"] = change.model_dump(exclude_defaults=True)
        try:
            self._history.parent.mkdir(parents=True, exist_ok=True)
            with self._history.open("a", encoding="utf-8") as file:
                file.write(json_text(line, indent=None) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise cannot_write(self._history, error) from error

    def _replay(self) -> set[str]:
        """Make the changes of the history again; the hashes of all tables that it led to."""
        hashes: set[str] = set()
        try:
            lines = self._history.read_bytes().splitlines(keepends=True) if self._history.is_file() else []
        except OSError as error:
            raise KinemeError(f"{self._history}: cannot be read ({error.strerror})") from error
        for number, written in enumerate(lines, 1):
            try:
                line = json.loads(written)
                hashes.add(line["table"])
                change = Change.model_validate(line["change"]) if "change" in line else None
                if line["kind"] == "read":
                    self._videos.clear()
                    hashes = {line["table"]}
                else:
                    self._videos.setdefault(line["video"], VideoLabels()).step(line["kind"], change)
            except (ValueError, KeyError, TypeError, AssertionError) as error:
                if number == len(lines):  # half of it was written when the machine went down
                    self._history.write_bytes(b"".join(lines[:-1]))
                    break
                raise KinemeError(
                    f"{self._history}, line {number}: is damaged; move the file away to continue from {self.table}"
                ) from error
        return hashes

    def _take(self, videos: dict[str, VideoLabels]) -> None:
        """Begin anew with a table that somebody else has written."""
        self._videos = {}
        self._note({"kind": "read"}, None)
        for name, one in videos.items():
            change = Change(put=list(one.segments.values()), group=one.group or None, done=one.done or None)
            self._videos[name] = VideoLabels()
            self._videos[name].step("change", change)
            self._note({"video": name, "kind": "change"}, change)
            self._videos[name].undo.clear()
        self._write_table()

    def _write_table(self) -> None:
        write_text(self.table, self._text())

    def _text(self) -> str:
        """The table; columns that say nothing are left out."""
        rows = []
        for name, video in sorted(self._videos.items()):
            group = video.group or self._usual_group(name)
            for one in sorted(video.segments.values(), key=lambda one: (one.start_s, one.end_s or 1e9, one.label)):
                end = "" if one.end_s is None else f"{one.end_s:.10g}"
                done, track = "yes" if video.done else "", "" if one.track is None else str(one.track)
                rows.append([name, f"{one.start_s:.10g}", end, one.label, group, one.by, done, track])
        by_model = any(row[5] != BY_PERSON for row in rows)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        more = [(5, "labelled_by", by_model)]
        more += [(at, name, any(row[at] for row in rows)) for at, name in ((6, "labelled_throughout"), (7, "track"))]
        writer.writerow([*COLUMNS, *(column for _, column, is_used in more if is_used)])
        writer.writerows([*row[:5], *(row[at] for at, _, is_used in more if is_used)] for row in rows)
        return text.getvalue()


def read_table(path: Path) -> dict[str, VideoLabels]:
    """The labels of a table, by the paths of the videos as it has them.

    Raises:
        KinemeError: it cannot be read, or is no such table.
    """
    sheet = read_sheet(path)
    if not {"path", "label"} <= set(sheet.columns):
        raise KinemeError(f"{path}: needs the columns {', '.join(COLUMNS)} to be labelled further; move it away")
    videos: dict[str, VideoLabels] = {}
    for line, cells in sheet.rows:
        where = f"{path}, line {line}"
        name = cells["path"].replace("\\", "/")
        end = cells.get("end_s", "").strip()
        by = cells.get("labelled_by", "").strip() or BY_PERSON
        if by not in get_args(LabelledBy):
            raise KinemeError(f"{where}: labelled_by must be person, model+person or {BY_MODEL}")
        video = videos.setdefault(name, VideoLabels())
        try:
            one = LabelledSegment(
                id=f"row-{line}",
                start_s=instant(where, cells.get("start_s", "").strip() or 0.0),
                end_s=instant(where, end) if end else None,
                label=cells["label"],
                by=by,  # type: ignore[arg-type]  # seen to be one of them
                track=cells.get("track", "").strip() or None,  # type: ignore[arg-type]  # it reads numbers as text
            )
        except ValueError as error:
            raise KinemeError(f"{where}: is no segment with a label ({_first_line(error)})") from error
        video.segments[one.id] = one
        group = cells.get("group", "").strip()
        video.group = "" if group == name else group
        video.done = cells.get("labelled_throughout", "").strip().lower() in ("yes", "true", "1")
    return videos


def _first_line(error: ValueError) -> str:
    return " ".join(str(error).split())[:120]
