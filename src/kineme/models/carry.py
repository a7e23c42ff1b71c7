"""State that a network carries from frame to frame, for approaches that read a stream one frame at a time."""

from __future__ import annotations

import math
from typing import Any

from kineme.models.backend import keras

ops = keras.ops


class Carry:
    """The states of a step while it is put together; each begins at zero.

    Args:
        frames: T, the frames of a window.
    """

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.before: list[Any] = []
        self.after: list[Any] = []
        self._counted: tuple[Any, Any] | None = None

    def state(self, name: str, *shape: int) -> Any:
        """The value of a state before this frame; :meth:`becomes` sets the value after it."""
        self.before.append(keras.Input(batch_shape=(1, *shape), name=name))
        self.after.append(None)
        return self.before[-1]

    def becomes(self, before: Any, after: Any) -> None:
        """Say what a state is after this frame."""
        number = next(number for number, one in enumerate(self.before) if one is before)
        self.after[number] = after

    def count(self) -> tuple[Any, Any]:
        """How many frames there were before this one, and with it; the count stops at T."""
        if self._counted is None:
            before = self.state("frames_seen", 1)
            self._counted = before, ops.minimum(before + 1.0, float(self.frames))
            self.becomes(*self._counted)
        return self._counted

    def recent(self, x: Any, frames: int, *, hold: bool = False) -> Any:
        """The newest of ``x`` (1, ...) as (1, frames, ...); before the first there were zeros, or the first itself."""
        if frames == 1:
            return ops.expand_dims(x, 1)
        older = self.state(f"recent{len(self.before)}", frames - 1, *x.shape[1:])
        newest = ops.expand_dims(x, 1)
        known = older
        if hold:
            first = ops.reshape(ops.equal(self.count()[0], 0.0), (1,) * len(older.shape))
            known = ops.where(first, newest, older)
        known = ops.concatenate([known, newest], axis=1)
        self.becomes(older, known[:, 1:])
        return known

    def mean(self, x: Any) -> Any:
        """The mean of the newest T of ``x`` (1, D), or of as many as there are."""
        return ops.sum(self.recent(x, self.frames), axis=1) / self.count()[1]

    def recurrent(self, layer: Any, x: Any, *shape: int, where: Any = None, name: str | None = None) -> Any:
        """The output of one step of a recurrent layer.

        Args:
            layer: an LSTM of Keras, of any kind.
            x: (1, ...).
            shape: of each of its two states.
            where: (1, 1), bool: where it is false the states stay as they were.
            name: of the states; the layer's by default. A layer that is used several times needs one for each.
        """
        name = name or layer.name
        before = self.state(f"{name}_h", *shape), self.state(f"{name}_c", *shape)
        h, (_, c) = layer.cell(x, list(before))
        if where is not None:
            h, c = ops.where(where, h, before[0]), ops.where(where, c, before[1])
        self.becomes(before[0], h)
        self.becomes(before[1], c)
        return h

    @staticmethod
    def flat(x: Any) -> Any:
        """(1, ...) to (1, D)."""
        return ops.reshape(x, (1, math.prod(x.shape[1:]))) if len(x.shape) > 2 else x
