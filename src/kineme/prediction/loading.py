"""Where a model is found: a file, a run folder, or the pretrained I3D of 400 actions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kineme.errors import KinemeError
from kineme.models import weights
from kineme.models.backbones.i3d import I3D, WEIGHTS, KineticsI3D, build, in_parts, labels, load_weights
from kineme.models.model_file import ModelCard

MODEL_NAME = "model.safetensors"
KINETICS = WEIGHTS.name


def find_model_file(path: str | os.PathLike[str]) -> Path:
    """The model file that ``path`` means: itself, or the one in a run folder.

    Raises:
        KinemeError: no model has that name.
    """
    path = Path(path)
    if os.path.isdir(path):  # noqa: PTH112 (pathlib's raises where a folder may not be read)
        file = path / MODEL_NAME
        if os.access(path, os.R_OK | os.X_OK) and not file.is_file():
            raise KinemeError(f"{path}: no {MODEL_NAME} in this folder; is it a run folder of a finished training?")
        return file
    return path


def kinetics_card() -> ModelCard:
    """Card of I3D, RGB stream, that recognises the 400 actions of Kinetics; nothing is fetched, nothing built.

    Its confidences are the network's own, not calibrated here.

    Source: Carreira and Zisserman, `Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset
    <https://arxiv.org/abs/1705.07750>`_, CVPR 2017.

    Raises:
        KinemeError: the weights are not on this machine; the line says how to get them.
    """
    weights.require(KINETICS)
    provenance = {
        "pretrained": KINETICS,
        "source": WEIGHTS.source,
        "archive_sha256": WEIGHTS.archive_sha256,
        "licence": WEIGHTS.licence,
    }
    return ModelCard(
        approach=KineticsI3D.name,
        config={},
        spec=I3D.spec,
        labels=labels(),
        provenance=provenance,
        arithmetic="bfloat16",
    )


def build_kinetics() -> Any:
    """The network of :func:`kinetics_card`, with its weights.

    Raises:
        KinemeError: as for the card.
    """
    files = weights.require(KINETICS)
    network = build(I3D.spec.frames, I3D.spec.height, I3D.spec.width, include_top=True)
    load_weights(network, files)
    return in_parts(network)
