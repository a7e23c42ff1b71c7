"""What every approach and every backbone must keep of what it says of itself."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from helpers_networks import inputs_for, moving_squares, network_of

from kineme.errors import UsageError
from kineme.models.backend import keras
from kineme.models.model_file import ModelCard, config_of
from kineme.models.registry import find_approach, find_backbone, make_approach, summary
from kineme.models.weights import PRETRAINED
from kineme.prediction.engines.keras import KerasFunction
from kineme.prediction.engines.steps import part_of
from kineme.prediction.explain.gradients import HeatMaps
from kineme.training.options import TrainOptions
from kineme.training.resources import estimate_resources
from kineme.video.spec import ClipSpec

SPEC = ClipSpec(frames=5, fps=8.0)


def check_approach(name: str) -> None:
    """Hold an approach, with its own backbone, to what its file declares.

    Args:
        name: in the registry.
    """
    approach = make_approach(name)
    assert find_approach(name).name == name
    assert ": " in summary(type(approach)), "the first line of its file says what it is"
    assert make_approach(name, config_of(approach)) == approach
    options = {field.name for field in fields(approach)}
    for older, newer in approach.renamed.items():
        assert older not in options
        assert newer in options
    for backbone_name, suited in approach.suited.items():
        assert find_backbone(backbone_name).is_pretrained
        type(approach)(backbone=backbone_name, **suited)
    for option, (lowest, highest) in approach.ranges.items():
        for value in (lowest - 1, highest + 1) if option in options else ():
            with pytest.raises(UsageError, match=f"{name}: option {option} must be from"):
                replace(approach, **{option: value})

    keras.utils.set_random_seed(0)
    backbone = find_backbone(approach.backbone)
    network = network_of(name, SPEC)
    card = ModelCard(name, config_of(approach), SPEC, ("left", "right"))
    clips = inputs_for(network, moving_squares(2, SPEC)[0])
    logits_BK = network.predict_on_batch(clips)
    head, features = network.get_layer("head"), network.get_layer("backbone").predict_on_batch(clips)
    np.testing.assert_allclose(head.predict_on_batch(features), logits_BK, atol=1e-5)
    in_other_order = head.predict_on_batch(features[:, ::-1])
    if approach.uses_order or approach.is_inside_backbone:
        assert np.abs(network.predict_on_batch(clips[:, ::-1]) - logits_BK).max() > 1e-5
    else:
        np.testing.assert_allclose(in_other_order, logits_BK, atol=1e-5)

    assert 1 <= approach.ticks_before_answer(SPEC, backbone) <= SPEC.frames
    _check_step(card, network, clips[:1], logits_BK[:1])
    if backbone.sees != "landmarks":
        heat_BTHW = HeatMaps(network, card)(clips, 0)
        assert heat_BTHW.shape[:2] == clips.shape[:2]
        assert min(heat_BTHW.shape[2:]) >= 7
        assert np.isfinite(heat_BTHW).all()
        assert (heat_BTHW >= 0).all()
    estimate = estimate_resources([3.0, 4.0], 1.0, approach, SPEC, TrainOptions())
    assert estimate.training_seconds > 0
    assert estimate.assumes[0].startswith(f"{name} on {backbone.name}")


def _check_step(card: ModelCard, network: Any, clip_1T: np.ndarray, logits_1K: np.ndarray) -> None:
    """Carried through the frames of a clip, its state gives the logits of the clip; or it says that it has none."""
    try:
        step = KerasFunction(part_of("step", network, card))
    except UsageError as error:
        assert "mode='exact'" in str(error)  # noqa: PT017
        return
    frame = None if card.backbone.sees == "landmarks" else KerasFunction(part_of("frame", network, card))
    states = [np.zeros(shape, np.float32) for shape in step.input_shapes[1:]]
    for number in range(card.spec.frames):
        shown = clip_1T[:, number], clip_1T[:, max(0, number - 1)]
        features = frame(*shown[: len(frame.input_shapes)])[0] if frame else shown[0]
        found_1K, *states = step(features, *states)
    np.testing.assert_allclose(found_1K, logits_1K, atol=1e-5)


def check_backbone(name: str) -> None:
    """Hold a backbone to what its record says.

    Args:
        name: in the registry.
    """
    record = find_backbone(name)
    assert record.name == name
    assert record.what.endswith(".")
    spec = replace(SPEC, frames=max(5, 9 if record.sees == "clip" else 5))
    network = record.build(spec)
    features_shape = network.output.shape[1:]
    if record.sees == "landmarks":
        assert network.input.shape[1:] == (spec.frames, record.values)
        assert network.count_params() == 0
    else:
        assert network.input.shape[1:] == (spec.frames, spec.height, spec.width, 3)
        assert network.input.dtype == "uint8"
        assert (network.count_params() == 0) == record.is_passthrough
        _check_what_it_sees(record.sees, network, spec)
    assert record.sees == "clip" or features_shape[0] == spec.frames
    assert record.is_per_frame == (record.sees != "clip" and not record.is_passthrough)

    if record.is_pretrained:
        assert PRETRAINED[record.weights.name] is record.weights
        assert record.encoder is not None
        assert record.rate > 0
        whole = record.build(record.spec).output.shape[1:]
        assert record.values == math.prod(whole if record.sees == "clip" else whole[1:])
    else:
        assert not record.can_finetune
        assert record.load_weights is None
        assert record.encoder is None
    assert not record.can_finetune or record.load_weights is not None


def _check_what_it_sees(sees: str, network: Any, spec: ClipSpec) -> None:
    """Features of one that sees frames come from a frame and the one before; those of one that sees clips do not."""
    clips = np.random.default_rng(0).integers(0, 256, (1, spec.frames, spec.height, spec.width, 3), np.uint8)
    other = clips.copy()
    other[:, -1] = 255 - other[:, -1]
    before, after = network.predict_on_batch(clips)[0], network.predict_on_batch(other)[0]
    scale = 1e-5 * np.abs(before).max()  # drawn weights fade in many layers
    changed_T = [not np.allclose(one, another, rtol=0, atol=scale) for one, another in zip(before, after, strict=True)]
    assert changed_T[-1]
    assert sees == "clip" or not any(changed_T[:-1])
