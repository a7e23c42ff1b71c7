"""Settings of the timeline, found on whole videos whose windows are made up."""

from __future__ import annotations

import numpy as np
import pytest

from kineme.models.model_file import ModelCard, config_of
from kineme.models.registry import make_approach
from kineme.prediction.result import Segment
from kineme.training.segment_metrics import pooled_f1
from kineme.training.timelines import LabelledVideo, ScoredVideo, fit_timeline
from kineme.video.spec import ClipSpec

LABELS = ("a", "b")
CARD = ModelCard("late-fusion", config_of(make_approach("late-fusion")), ClipSpec(frames=20, fps=8.0), LABELS)


def scored(background: float, action: float, *, with_scores: bool = True) -> ScoredVideo:
    """A video of 60 s with an action every 10 s; its windows have these open-set scores within and outside actions."""
    times_W = np.arange(0.25, 60, 0.25)
    true = tuple(Segment(start, start + 4, "ab"[number % 2], 1.0) for number, start in enumerate(range(3, 60, 10)))
    probabilities_WK, scores_W = np.full((len(times_W), 2), 0.5), np.full(len(times_W), background)
    for one in true:
        is_in_W = (times_W > one.start_s) & (times_W < one.end_s)
        probabilities_WK[is_in_W, LABELS.index(one.label)] = 0.9
        scores_W[is_in_W] = action
    video = LabelledVideo("v.mp4", "v.mp4", "v", true, throughout=True)
    return ScoredVideo(video, 60.0, times_W, probabilities_WK, scores_W if with_scores else None)


@pytest.mark.parametrize(("background", "action"), [(2.0, 5.0), (-8.0, -4.0), (-2.0, 2.0)])
def test_the_onset_separates_actions_from_pauses_wherever_their_scores_lie(background, action):
    videos = [scored(background, action)] * 2
    settings = fit_timeline(videos, CARD)
    assert pooled_f1([one.timeline(LABELS, settings) for one in videos]) == 1
    assert settings.onset == 0 or background < settings.onset <= action


def test_the_usual_onset_stays_where_it_is_as_good_and_where_nothing_tells_background():
    assert fit_timeline([scored(-2.0, 2.0)], CARD).onset == 0
    assert fit_timeline([scored(-2.0, 2.0, with_scores=False)], CARD).onset == 0
