"""A video cut into parts of bounded size whose windows are those of the whole, and how a part travels.

A part holds the frames of some ticks in a row, each frame once. A lead-in precedes its own ticks: the last frame
that differs from its first, for networks that see the change from one frame to the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kineme.video.spec import ClipSpec

Tick = tuple[float, NDArray[Any]]

PART_BYTES = 8_000_000
SCHEMA = pa.schema(
    [("head", pa.string()), ("times", pa.large_binary()), ("which", pa.large_binary()), ("frames", pa.large_binary())]
)


@dataclass(frozen=True)
class Part:
    """Some ticks of a video in a row.

    Args:
        path: of the video.
        number: of the part, from 0.
        is_last: whether the video ends with it.
        lead: how many of the ticks lead in.
        of_ticks: instant, and frame (or another record), of each; where a frame is shown on, the same array. Of joined
            backbones they are the first instant of each window, and a row of its last instant and its logits.
        facts: of the video, with its last part: ``duration_s``, ``fps``, ``cuts`` and ``warnings``; or ``error``.
    """

    path: str
    number: int
    is_last: bool
    lead: int
    of_ticks: Sequence[Tick]
    facts: dict[str, Any] = field(default_factory=dict)


def failed(path: str, reason: str) -> Part:
    """What stands for a video that cannot be used."""
    return Part(path, 0, True, 0, (), {"error": reason})


def cut(
    of_ticks: Iterable[Tick], spec: ClipSpec, stride: int | None, part_bytes: int = PART_BYTES
) -> Iterator[tuple[int, list[Tick], bool]]:
    """Yield how many ticks lead in, the ticks, and whether they are the last, of each part of a video.

    Args:
        of_ticks: of the whole video.
        spec: what a clip is.
        stride: ticks from one window to the next; None: as the spec says.
        part_bytes: of the frames of a part, about; a part holds at least one window.
    """
    stride = stride or spec.default_stride
    held: list[Tick] = []
    lead: list[Tick] = []
    start = length = 0
    for tick in of_ticks:
        if not held:
            windows = max(1, (part_bytes // tick[1].nbytes - spec.frames) // stride + 1)
            start = windows * stride  # of the next part
            length = start - stride + spec.frames
        held.append(tick)
        if spec.fps is not None and len(held) == start + spec.frames:  # the next part has a window, too
            yield len(lead), [*lead, *held[:length]], False
            first = held[start][1]
            lead = next(([one] for one in reversed([*lead, *held[:start]]) if one[1] is not first), [])
            held = held[start:]
    yield len(lead), [*lead, *held], True


def cut_shots(
    of_shots: Iterable[Iterable[Tick]], spec: ClipSpec, stride: int | None, part_bytes: int = PART_BYTES
) -> Iterator[tuple[int, list[Tick], bool]]:
    """The parts of all shots of a video, as :func:`cut` yields them: no part holds ticks of two shots."""
    waiting: tuple[int, list[Tick], bool] | None = None
    for shot in of_shots:
        for lead, of_ticks, _ in cut(shot, spec, stride, part_bytes):
            if waiting:
                yield waiting
            waiting = lead, of_ticks, False
    if waiting:
        yield waiting[0], waiting[1], True


def to_table(part: Part) -> pa.Table:
    """A part as a table of one row."""
    places: dict[int, int] = {}
    frames: list[NDArray[Any]] = []
    which = np.empty(len(part.of_ticks), np.int32)
    for number, (_, pixels) in enumerate(part.of_ticks):
        if id(pixels) not in places:
            places[id(pixels)] = len(frames)
            frames.append(pixels)
        which[number] = places[id(pixels)]
    stacked = np.stack(frames) if frames else np.empty(0, np.uint8)
    head = {
        "path": part.path,
        "number": part.number,
        "is_last": part.is_last,
        "lead": part.lead,
        "shape": stacked.shape,
        "dtype": stacked.dtype.name,
        "facts": part.facts,
    }
    times = np.array([instant for instant, _ in part.of_ticks], np.float64)
    columns = [pa.array([json.dumps(head)]), _binary(times), _binary(which), _binary(stacked)]
    return pa.table(columns, SCHEMA)


def from_table(table: pa.Table) -> Iterator[Part]:
    """The parts in a table; their frames lie in its memory."""
    for batch in table.to_batches():
        for row in range(batch.num_rows):
            head = json.loads(batch.column(0)[row].as_py())
            times = np.frombuffer(batch.column(1)[row].as_buffer(), np.float64)
            which = np.frombuffer(batch.column(2)[row].as_buffer(), np.int32)
            stacked = np.frombuffer(batch.column(3)[row].as_buffer(), head["dtype"]).reshape(head["shape"])
            frames = list(stacked)
            of_ticks = [(time_s, frames[place]) for time_s, place in zip(times.tolist(), which, strict=True)]
            yield Part(head["path"], head["number"], head["is_last"], head["lead"], of_ticks, head["facts"])


def _binary(array: NDArray[Any]) -> pa.Array:
    """An array's memory as a column of one row, not copied."""
    array = np.ascontiguousarray(array)
    offsets = pa.py_buffer(np.array([0, array.nbytes], np.int64))
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(array.reshape(-1).view(np.uint8))])
