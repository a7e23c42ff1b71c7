"""Model files of the first release load and give the scores that they gave then; ``scores.json`` holds these."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kineme.models.model_file import load_model

FOLDER = Path(__file__).parent / "written_before"
SCORES = json.loads((FOLDER / "scores.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(SCORES))
def test_an_older_model_file_gives_the_scores_it_gave(name):
    network, card = load_model(FOLDER / name)
    rng = np.random.default_rng(SCORES[name]["inputs"])
    rng_after_weights(rng, network)
    shape = (2, *network.input.shape[1:])
    clips = rng.integers(0, 256, shape, np.uint8) if len(shape) == 5 else rng.normal(size=shape).astype(np.float32)
    logits = network.predict_on_batch(clips)
    np.testing.assert_allclose(logits, SCORES[name]["logits"], atol=2e-5)
    np.testing.assert_allclose(card.open_set.score(logits), SCORES[name]["known"], atol=1e-4)
    assert card.labels == ("a", "b", "c")


def rng_after_weights(rng: np.random.Generator, network: object) -> None:
    """The inputs were drawn after the weights, from the same generator."""
    for weight in network.get_weights():
        rng.normal(scale=0.05, size=weight.shape)
