"""The second stage: parts to the scores of their windows, in a pool of actors that hold the model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kineme.errors import VideoError
from kineme.prediction.windows import WindowScorer, file_stride
from kineme.scale.parts import Part, from_table
from kineme.scale.plan import Plan

SCHEMA = pa.schema([("head", pa.string()), ("times", pa.large_binary()), ("logits", pa.large_binary())])


@dataclass(frozen=True)
class Scored:
    """What became of a part.

    Args:
        path: of the video.
        number: of the part.
        is_last: whether the video ends with it.
        facts: as of the part.
        times_W2: first and last instant of each window.
        logits_WK: of the windows.
    """

    path: str
    number: int
    is_last: bool
    facts: dict[str, Any]
    times_W2: NDArray[np.float64]
    logits_WK: NDArray[np.float32]


class Score:
    """Holds the model. Ray makes one in each actor and calls it with a table of parts."""

    def __init__(self, plan: Plan) -> None:
        self._windows: WindowScorer | None = None  # of joined backbones: the first stage has scored
        self._stride: int | None = None
        if not plan.without_network().members:
            model = plan.open()
            self._windows, self._stride = plan.windows(model), file_stride(model)

    def __call__(self, table: pa.Table) -> pa.Table:
        """The scores of every part, a row each."""
        rows = [self._row(part) for part in from_table(table)]
        columns = zip(*rows, strict=True)
        return pa.table([pa.array(one, kind) for one, kind in zip(columns, SCHEMA.types, strict=True)], SCHEMA)

    def _row(self, part: Part) -> tuple[str, bytes, bytes]:
        facts, times, logits = part.facts, b"", b""
        if self._windows is None:
            times = np.array([(first_s, row[0]) for first_s, row in part.of_ticks], np.float64).tobytes()
            logits = np.array([row[1:] for _, row in part.of_ticks], np.float32).tobytes()
        elif part.of_ticks:
            lead, own = part.of_ticks[: part.lead], part.of_ticks[part.lead :]
            try:
                scored = list(self._windows.score(part.path, own, self._stride, lead))
                times = np.array([(times_T[0], times_T[-1]) for times_T, _ in scored], np.float64).tobytes()
                logits = np.stack([logits_K for _, logits_K in scored]).astype(np.float32).tobytes()
            except VideoError as error:  # too short
                facts = {"error": error.reason}
        head = {"path": part.path, "number": part.number, "is_last": part.is_last, "facts": facts}
        return json.dumps(head), times, logits


def scores_in(table: pa.Table) -> Iterator[Scored]:
    """What the rows of a table hold."""
    for head, times, logits in zip(*(table.column(name).to_pylist() for name in SCHEMA.names), strict=True):
        times_W2 = np.frombuffer(times, np.float64).reshape(-1, 2)
        logits_WK = np.frombuffer(logits, np.float32)
        if len(times_W2):
            logits_WK = logits_WK.reshape(len(times_W2), -1)
        yield Scored(**json.loads(head), times_W2=times_W2, logits_WK=logits_WK)
