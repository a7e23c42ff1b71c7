"""Small models on joined backbones, whose heads are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from helpers_people import frames
from numpy.typing import NDArray

from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.network import build_network
from kineme.models.registry import make_approach
from kineme.video.spec import ClipSpec
from kineme.video.write import VideoWriter

LABELS = ("a", "b", "c")
SPEC = ClipSpec(frames=8, fps=8.0, height=64, width=64)
_LARGER = {"height": 128, "width": 160, "fit": "letterbox"}  # in which a person is found


def save_joined(path: Path, steps: dict[str, int], card: dict[str, Any] | None = None, **fields: Any) -> Path:
    """Write a model.

    Args:
        path: of the file.
        steps: backbones in order, and how many ticks of the model lie between two of each.
        card: more of the model's card.
        fields: of the clips.
    """
    approach = make_approach("late-fusion", {"backbone": "+".join(steps), "head": "linear"})
    spec = replace(SPEC, **fields)
    specs = tuple(
        replace(spec, frames=spec.frames // step, fps=8.0 / step, **(_LARGER if name == "movenet" else {}))  # type: ignore[arg-type]
        for name, step in steps.items()
    )
    keras.utils.set_random_seed(2)
    network = build_network(approach, spec, len(LABELS), pretrained=True, member_specs=specs)
    rng = np.random.default_rng(5)
    for head in network.heads.members.values():
        layer = head.get_layer("logits")
        layer.set_weights([rng.normal(scale=0.05, size=weight.shape) for weight in layer.get_weights()])
    more = {"temperature": 1.7} | (card or {})
    save_model(path, network, ModelCard("late-fusion", config_of(approach), spec, LABELS, member_specs=specs, **more))
    return path


def someone_walks(path: Path, seconds: float, light: Sequence[float] = (1.0,)) -> Path:
    """A video of a person who walks to the right, under light that changes at equal intervals."""

    def lit() -> Iterator[NDArray[np.uint8]]:
        count = round(8 * seconds)
        for number, frame in enumerate(frames([lambda time_s: 0.1 + 0.1 * time_s], seconds)):
            yield (frame * light[number * len(light) // count]).astype(np.uint8)

    with VideoWriter(path, width=426, height=240, fps=8) as writer:
        for frame in lit():
            writer.write(frame)
    return path
