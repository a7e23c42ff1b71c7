"""The model for those who have no data: I3D with its own Kinetics-400 weights names 400 actions at once."""

from __future__ import annotations

from kineme.models import weights
from kineme.models.model_file import ModelCard
from kineme.models.registry import default_spec
from kineme.prediction.model import Model

KINETICS = "i3d-kinetics400"

SPEC = default_spec("i3d")


def load_kinetics() -> Model:
    """I3D, RGB stream, that recognises the 400 actions of Kinetics; nothing is fetched.

    Its confidences are the network's own, not calibrated here.

    Source: Carreira and Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", CVPR 2017.

    Raises:
        KinemeError: the weights are not on this machine; the line says how to get them.
    """
    files = weights.require(KINETICS)
    from kineme.models.backbones import i3d  # Keras, which a model that is exported does without

    network = i3d.build(SPEC.frames, SPEC.height, SPEC.width, include_top=True)
    i3d.load_weights(network, files)
    pretrained = weights.PRETRAINED[KINETICS]
    provenance = {"pretrained": KINETICS, "source": pretrained.source, "licence": pretrained.licence}
    card = ModelCard(approach="i3d", config={}, spec=SPEC, labels=i3d.labels(), provenance=provenance)
    return Model(network, card, KINETICS, stride=SPEC.frames)  # windows meet: each takes a second or more
