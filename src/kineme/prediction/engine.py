"""The interface of an inference engine, which runs the parts of a model's network; engines are in ``engines/``."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from kineme.models.compilers import most_threads
from kineme.models.model_file import ModelCard

Array = NDArray[Any]
PartName = Literal["frame", "window", "step", "clip"]

_WORTH_THREADS = 100_000  # numbers that go in: less is done before it is shared out


class Function(Protocol):
    """A loaded part, ready to run."""

    @property
    def input_shapes(self) -> list[tuple[int, ...]]:
        """Of each input, a batch of one."""

    def __call__(self, *arrays: Array) -> list[Array]:
        """Outputs of inputs, in their order, each with the same number of rows; a step takes a single row."""


class Engine(Protocol):
    """Makes functions of a network's parts."""

    def function(self, part: PartName) -> Function:
        """Make a part ready.

        Args:
            part: ``"frame"``: frame to features; ``"window"``: features of T frames to logits; ``"step"``: features
                of a frame and states to logits and states; ``"clip"``: the whole network.

        Raises:
            KinemeError: this engine cannot run it.
            UsageError: the model has no such part.
        """


def threads_for(part: PartName, card: ModelCard) -> int:
    """On how many threads a compiled part runs: a small one is done before its work is shared out."""
    spec = card.spec
    numbers = {"frame": 3 * spec.height * spec.width, "clip": 3 * spec.height * spec.width * spec.frames}
    return most_threads() if numbers.get(part, 0) >= _WORTH_THREADS else 1
