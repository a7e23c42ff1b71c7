"""Every function and class that ``import kineme`` offers has an example in its docstring, and it runs."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest
from helpers_dataset import make_videos, write_square

import kineme
from kineme.video.spec import ClipSpec

PUBLIC = [name for name in kineme.__all__ if not name.startswith("__")]
VERBS = ["predict", "stream", "watch", "explain", "export"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Holds what the examples speak of: ``my-videos``, ``runs/first`` and ``new.mp4``."""
    folder: Path = tmp_path_factory.mktemp("examples")
    videos = make_videos(folder / "my-videos", people=8, classes=("sit-down", "wave"))
    write_square(folder / "new.mp4", leftwards=True, person=20, rng=np.random.default_rng(0))
    options = kineme.TrainOptions(epochs=1, augment=False)
    kineme.train(videos, folder / "runs" / "first", approach="lrcn", spec=ClipSpec(frames=6), options=options)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLIC)
def test_the_examples_of_a_public_name_run(name, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    public = {one: getattr(kineme, one) for one in PUBLIC}
    names = {"kineme": kineme, "np": np, "model": kineme.load("runs/first"), **public}
    found = doctest.DocTestFinder(exclude_empty=False).find(getattr(kineme, name), name, globs=names)
    examples = {test.name: test for test in found if test.examples}

    assert name in examples
    for test in examples.values():
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)

    assert capsys.readouterr().out == ""  # a failure is printed


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_of_a_model_has_an_example(verb):
    assert ">>>" in (getattr(kineme.Model, verb).__doc__ or "")


def test_names_that_are_not_imported_yet_can_be_completed():
    assert set(dir(kineme)) >= set(PUBLIC)
