"""Python as a user types it: names that completion finds, results that print themselves, keywords that are wrong."""

from __future__ import annotations

import inspect

import pytest
from helpers_dataset import make_videos

import kineme


def test_completion_finds_every_public_name():
    assert set(kineme.__all__) <= set(dir(kineme))
    for name in kineme.__all__:
        assert getattr(kineme, name) is not None


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: kineme.train("v", "r", aproach="lrcn"), "train() has no argument 'aproach'; did you mean 'approach'?"),
        (
            lambda: kineme.train("v", "r", epoch=3),
            "train() has no argument 'epoch'; did you mean options=kineme.TrainOptions(epochs=...)?",
        ),
        (
            lambda: kineme.train("v", "r", width=64),
            "train() has no argument 'width'; did you mean spec=kineme.ClipSpec(width=...)?",
        ),
        (
            lambda: kineme.compare("v", "r", approach=3),
            "compare() has no argument 'approach'; did you mean 'approaches'?",
        ),
        (
            lambda: kineme.evaluate("m", "v", splits="test"),
            "evaluate() has no argument 'splits'; did you mean 'split'?",
        ),
        (lambda: kineme.load("m", label=["a"]), "load() has no argument 'label'; did you mean 'labels'?"),
        (lambda: kineme.load("m", zzz=1), "load() has no argument 'zzz'; its arguments are model, labels, prompt"),
        (
            lambda: kineme.Model.predict(None, "v", start=3),
            "predict() has no argument 'start'; did you mean 'start_s'?",
        ),
        (
            lambda: kineme.TrainOptions(epoch=3),
            "TrainOptions() has no argument 'epoch'; did you mean 'epochs'?",
        ),
        (lambda: kineme.ClipSpec(frame=3), "ClipSpec() has no argument 'frame'; did you mean 'frames'?"),
    ],
)
def test_a_wrong_keyword_is_answered_with_the_right_one(call, says):
    with pytest.raises(TypeError) as error:
        call()
    assert str(error.value) == says


def test_signatures_stay_readable():
    assert "approach" in inspect.signature(kineme.train).parameters
    assert "epochs" in inspect.signature(kineme.TrainOptions).parameters
    assert repr(kineme.TrainOptions(epochs=3)).startswith("TrainOptions(epochs=3, ")


@pytest.mark.slow
def test_tables_runs_and_comparisons_print_themselves_in_one_line(tmp_path):
    table = kineme.scan(make_videos(tmp_path / "videos"))
    assert repr(table) == "ClipTable(12 rows, 6 groups, 2 labels: 'to-left', 'to-right')"
    options = kineme.TrainOptions(epochs=1, augment=False)
    spec = kineme.ClipSpec(frames=4)
    run = kineme.train(table, tmp_path / "run", approach="single-frame", spec=spec, options=options)
    assert repr(run).startswith(f"Run({str(tmp_path / 'run')!r}, single-frame on small-cnn, top-1 ")
    assert "% (95 % interval " in repr(run)
    assert "\n" not in repr(run)
    changes = {"frames": 4}
    found = kineme.compare(table, tmp_path / "c", approaches=["single-frame"], spec_changes=changes, options=options)
    top1 = 100 * found.document["candidates"][0]["test"]["top1"]
    assert repr(found) == (f"Comparison({str(tmp_path / 'c')!r}, best: single-frame; top-1: single-frame {top1:.1f} %)")
