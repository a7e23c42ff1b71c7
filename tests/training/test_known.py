"""The threshold refuses as many known videos as it says."""

from __future__ import annotations

import numpy as np
import pytest

from kineme.training.known import energy, fit_threshold


def test_energy_is_the_log_odds_against_a_logit_of_zero():
    logits = np.array([[2.0, -1.0, 0.5], [-9.0, -8.0, -7.0]])
    with_background = np.concatenate([logits, np.zeros((2, 1))], axis=1)
    exponentials = np.exp(with_background)
    known = exponentials[:, :3].sum(axis=1) / exponentials.sum(axis=1)
    np.testing.assert_allclose(energy(logits), np.log(known / (1 - known)))


@pytest.mark.parametrize("count", [19, 60, 400])
def test_new_videos_are_refused_as_often_as_stated(count):
    rng = np.random.default_rng(count)
    shares = []
    for _ in range(400):
        threshold, stated = fit_threshold(rng.gumbel(3, 2, count))
        assert stated <= 0.05
        shares.append((rng.gumbel(3, 2, 1000) < threshold).mean())
    assert np.mean(shares) == pytest.approx(stated, abs=0.008)


def test_few_videos_allow_what_they_allow():
    threshold, stated = fit_threshold([3.0, 1.0, 2.0])
    assert threshold == 1.0
    assert stated == 0.25  # one in four: what three videos can vouch for
