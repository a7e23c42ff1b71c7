"""Where a model is found: a file, a run folder, or the pretrained I3D that names 400 actions for those without data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kineme.errors import KinemeError
from kineme.models import weights
from kineme.models.model_file import ModelCard
from kineme.models.registry import default_spec

MODEL_NAME = "model.safetensors"
KINETICS = "i3d-kinetics400"


def find_model_file(path: str | os.PathLike[str]) -> Path:
    """The model file that ``path`` means: itself, or the one in a run folder.

    Raises:
        KinemeError: there is none.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / MODEL_NAME).is_file():
            raise KinemeError(f"{path}: no {MODEL_NAME} in this folder; is it a run folder of a finished training?")
        return path / MODEL_NAME
    if not path.is_file():
        raise KinemeError(f"{path}: there is no such model file")
    return path


def load_kinetics() -> tuple[Any, ModelCard]:
    """Network and card of I3D, RGB stream, that recognises the 400 actions of Kinetics; nothing is fetched.

    Its confidences are the network's own, not calibrated here.

    Source: Carreira and Zisserman, `Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset
    <https://arxiv.org/abs/1705.07750>`_, CVPR 2017.

    Raises:
        KinemeError: the weights are not on this machine; the line says how to get them.
    """
    files = weights.require(KINETICS)
    from kineme.models.backbones import i3d  # Keras, which a model that is exported does without

    spec = default_spec("i3d")
    network = i3d.build(spec.frames, spec.height, spec.width, include_top=True)
    i3d.load_weights(network, files)
    pretrained = weights.PRETRAINED[KINETICS]
    provenance = {"pretrained": KINETICS, "source": pretrained.source, "licence": pretrained.licence}
    return network, ModelCard(approach="i3d", config={}, spec=spec, labels=i3d.labels(), provenance=provenance)
