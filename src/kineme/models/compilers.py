"""The engines that run compiled networks, LiteRT and OpenVINO, behind one interface."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from kineme.models import litert, openvino
from kineme.models.litert import Array, LiteRTFunction
from kineme.models.openvino import OpenVINOFunction

_MOST_THREADS = 4


class CompiledFunction(Protocol):
    """A network that is ready to run."""

    @property
    def input_shapes(self) -> list[tuple[int, ...]]:
        """Of each input, a batch of one."""

    @property
    def input_types(self) -> list[str]:
        """Names of NumPy types."""

    def __call__(self, *arrays: Array) -> list[Array]:
        """Outputs of inputs, in their order, each with the same number of rows."""

    def warm_up(self) -> None:
        """Make ready whatever would make the first run much slower than the others."""


@dataclass(frozen=True)
class Compiler:
    """One engine for compiled networks.

    Args:
        name: as people choose it.
        module: that running imports.
        install: what brings it.
        suffix: of files in the cache.
        compile: makes a file's content of a part's name and its Keras model; raises KinemeError where it cannot.
        open: the content, with the part's name, ready to run on so many threads; raises ValueError or RuntimeError
            where it is damaged.
        is_of_version: whether another version may not read the content.
    """

    name: str
    module: str
    install: str
    suffix: str
    compile: Callable[[str, Any], bytes]
    open: Callable[[bytes, str, int], CompiledFunction]
    is_of_version: bool = False

    @property
    def version(self) -> str:
        """Of the package that runs it; empty where that does not tell."""
        with suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(self.module.replace("_", "-"))
        return ""

    @property
    def is_installed(self) -> bool:
        """Whether it can run here."""
        return importlib.util.find_spec(self.module) is not None

    def file_name(self, stem: str) -> str:
        """The name in the cache of a compiled network."""
        version = f"-{self.version}" if self.is_of_version else ""
        return f"{stem}{version}{self.suffix}"


def most_threads() -> int:
    """The number of threads for work that is worth sharing out.

    ``KINEME_THREADS`` sets the most, for processes that share the cores.
    """
    return min(_MOST_THREADS, int(os.environ.get("KINEME_THREADS") or os.cpu_count() or 1))


COMPILERS = {
    one.name: one
    for one in (
        Compiler(
            "litert",
            "ai_edge_litert",
            "ai-edge-litert",
            ".tflite",
            lambda part, network: litert.compiled({part: network}),
            LiteRTFunction,
        ),
        Compiler(
            "openvino",
            "openvino",
            "'kineme[openvino]'",
            ".openvino",
            lambda _, network: openvino.compiled(network),
            lambda content, _, threads: OpenVINOFunction(content, threads),
            is_of_version=True,
        ),
    )
}
