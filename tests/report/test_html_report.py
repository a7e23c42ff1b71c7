"""The report page: one well-formed file, readable by everyone, honest in its words, safe with hostile names."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_report import HOSTILE, SIX, Page, figures, report, time_figures

from kineme.report.run_page import Mistake, RunReport, write_report
from kineme.report.verdict import caveats, headline, time_use


def written(tmp_path: Path, run: RunReport) -> Page:
    write_report(tmp_path / "report.html", run)
    return Page(tmp_path / "report.html")


def with_test(run: RunReport, **changes: Any) -> RunReport:
    return replace(run, test={**run.test, **changes})


@pytest.mark.parametrize(
    "labels", [["no", "yes"], ["bow", "clap", "jump"], HOSTILE, [f"class {i}" for i in range(101)]]
)
def test_the_page_is_well_formed_and_needs_nothing_else(tmp_path: Path, labels: list[str]) -> None:
    page = written(tmp_path, report(labels))

    assert page.faults == []
    assert "://" not in page.source
    addresses = [a[key] for _, a in page.tags for key in ("src", "href", "srcset", "data") if key in a]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"url\(|@import", page.source)
    assert {path.name for path in tmp_path.iterdir()} == {"report.html"}


def test_every_picture_is_embedded_readable_and_described(tmp_path: Path) -> None:
    page = written(tmp_path, report(["bow", "clap", "jump"]))

    pictures = page.all("img")
    assert len(pictures) == 7
    for picture in pictures:
        assert len(picture["alt"] or "") > 20
        kind, data = re.fullmatch(r"data:(image/[a-z+]+);base64,(.+)", picture["src"] or "").groups()
        content = base64.b64decode(data)
        if kind == "image/svg+xml":
            assert ElementTree.fromstring(content).tag.endswith("svg")
        else:
            assert content.startswith(b"\xff\xd8\xff")


def test_headings_come_in_order_and_tables_say_what_their_headers_head(tmp_path: Path) -> None:
    page = written(tmp_path, report(["bow", "clap", "jump"]))

    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(header.get("scope") in ("row", "col") for header in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"
    assert "width=device-width" in (page.all("meta")[1]["content"] or "")


def test_hostile_names_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    name = "<img src=x onerror=alert(3)>.mp4"
    run = report(HOSTILE)
    run = replace(
        run,
        title="<b>lrcn</b>",
        config={"<i>key": "</td><script>"},
        mistakes=[Mistake(name=name, truth=HOSTILE[0], predicted=HOSTILE[1], probability=0.5, frames_THWC=frames)],
        how_to_use=["# <small>", "<kbd>"],
        data=replace(run.data, skipped=[(name, "<del>")], warnings=["<ins>"], group_source="<var>"),
    )

    page = written(tmp_path, run)

    found = {tag for tag, _ in page.tags}
    assert not found & {"script", "b", "i", "small", "kbd", "del", "ins", "var"}
    assert not [attributes for _, attributes in page.tags if any(key.startswith("on") for key in attributes)]
    for label in HOSTILE:
        assert label in page.text
    assert page.faults == []


def test_the_page_opens_with_the_honest_answer(tmp_path: Path) -> None:
    confusion = np.array([[28, 2], [2, 28]])
    run = report(["no", "yes"], test=figures(confusion, ["no", "yes"]))
    run = with_test(
        run, top1_interval=[0.88, 0.97], baselines={"chance": {"top1": 0.5}, "background_only": {"top1": 0.21}}
    )

    text = written(tmp_path, run).text.replace("\u00a0", " ")

    assert (
        "On 60 videos of 6 people it never saw, it classifies 93 % of cases correctly "
        "(95 % interval 88 to 97 %). Guessing gives 50 %; the background alone 21 %."
    ) in text
    assert "Before you rely on this" not in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"top1_interval": [0.6, 0.99]}, "The interval is wide"),
        ({"groups": 1}, "Only 1 person could be tested"),
        ({"baselines": {"background_only": {"top1": 0.88}}}, "The background alone gives 88 %"),
        ({"baselines": {"majority": {"top1": 0.9}}}, "Always predicting the most frequent class gives 90 %"),
        ({"calibration_error": 0.3, "n": 60}, "off by 30 %"),
        ({"top1": 1.0, "top1_interval": [0.54, 1.0]}, "anything from 54 to 100 %"),
    ],
)
def test_what_speaks_against_the_figure_is_said(changes: dict[str, Any], said: str) -> None:
    run = with_test(report(["bow", "clap", "jump"]), **changes)

    sentences = [sentence.replace("\u00a0", " ") for sentence in caveats(run.test, group_noun="people")]

    assert len(sentences) == 1
    assert said in sentences[0]


def test_the_box_of_cautions_comes_before_the_figures(tmp_path: Path) -> None:
    run = with_test(report(["bow", "clap", "jump"]), top1_interval=[0.6, 0.99])
    run = replace(run, data=replace(run.data, warnings=["Two files are the same."]))

    text = written(tmp_path, run).text

    assert text.index("Before you rely on this") < text.index("The interval is wide") < text.index("Top-1")
    assert text.index("Two files are the same.") < text.index("Top-1")


def test_a_leaky_split_is_never_called_unseen(tmp_path: Path) -> None:
    run = report(["bow", "clap", "jump"])

    text = written(tmp_path, replace(run, data=replace(run.data, leaky=True))).text

    assert "The split is leaky" in text
    assert "never saw" not in text
    assert "No group is in more than one split" not in text


def test_nothing_is_dropped_silently(tmp_path: Path) -> None:
    run = report(["bow", "clap", "jump"])
    skipped = [(f"bow/{i}.mp4", f"reason {i}") for i in range(300)]

    text = written(tmp_path, replace(run, data=replace(run.data, skipped=skipped))).text

    assert "300 videos could not be used" in text
    assert all(name in text and reason in text for name, reason in skipped)


def test_many_classes_are_all_in_the_tables_and_numbered_as_in_the_matrix(tmp_path: Path) -> None:
    labels = [f"action {i}" for i in range(101)]

    text = written(tmp_path, report(labels)).text

    assert "101. action 100" in text
    assert "Most frequent confusions" in text


def test_an_evaluation_without_training_has_a_page_too(tmp_path: Path) -> None:
    run = report(["bow", "clap", "jump"], history=(), reliability=(), mistakes=(), how_to_use=(), config={}, spec={})

    page = written(tmp_path, run)

    assert page.faults == []
    for heading in ("How training went", "Its worst mistakes", "Use it", "How it was made"):
        assert heading not in page.text


def test_a_mistake_shows_where_the_model_looked_where_that_is_known(tmp_path: Path) -> None:
    made = report(["bow", "clap"])
    (mistake,) = made.mistakes
    looked = replace(mistake, looked_THWC=255 - mistake.frames_THWC)

    page = written(tmp_path, replace(made, mistakes=[mistake, looked]))

    assert page.text.count("Bright: what spoke for clap") == 1
    assert not page.faults


def test_a_class_without_test_videos_is_named_and_has_dashes(tmp_path: Path) -> None:
    confusion = np.array([[5, 1, 0], [0, 6, 0], [0, 0, 0]])

    text = written(tmp_path, report(["bow", "clap", "jump"], test=figures(confusion, ["bow", "clap", "jump"]))).text

    assert "Not tested at all, since the test set has no video of it: jump." in text
    assert "–" in text


def with_time_figures(lost: float) -> RunReport:
    run = report(SIX, seed=3)
    single = {"single_frame": {"top1": 0.48, "top1_interval": [0.4, 0.57]}}
    return with_test(
        run, **time_figures(run.test, lost), baselines={**run.test["baselines"], **single}, top1_interval=[0.9, 0.97]
    )


def test_whether_it_uses_time_is_shown_with_each_order_and_class(tmp_path: Path) -> None:
    page = written(tmp_path, with_time_figures(0.6))
    text = page.text.replace("\u00a0", " ")

    assert page.faults == []
    assert len(page.all("img")) == 8
    assert "Does it use time?" in text
    assert "it relies on motion and order" in text
    assert "single frames (logistic regression on ImageNet features) 48 %" in text
    rows = page.rows("Recall lost by shuffling, by class")
    shuffle_recall_drop = [int(row[2]) for row in rows[1 : 1 + len(SIX)]]
    assert {row[0] for row in rows[1 : 1 + len(SIX)]} == set(SIX)
    assert shuffle_recall_drop == sorted(shuffle_recall_drop, reverse=True)
    assert rows[-1][:2] == ["Single frames (baseline), all videos", "48 %"]


def test_figures_of_before_have_no_section_on_time(tmp_path: Path) -> None:
    assert "Does it use time?" not in written(tmp_path, report(SIX)).text


@pytest.mark.parametrize(
    ("top1", "shuffled", "p_value", "frozen", "said"),
    [
        (0.97, 0.38, 1e-4, 0.2, "38 % correctly instead of 97 % (p < 0.001): it relies on motion and order."),
        (0.9, 0.75, 0.02, 0.6, "(p = 0.020): it uses motion and order; from the middle frame alone it classifies 60 %"),
        (0.9, 0.75, 0.02, 0.2, "it uses motion and order."),  # its middle frame is at chance: nothing is said of it
        (0.9, 0.75, 0.3, 0.6, "due to chance (p = 0.30): this test does not show that it uses the order of frames."),
        (0.9, 0.93, 0.02, 0.6, "does not show that it uses the order of frames"),
        (0.25, 0.2, 0.001, 0.2, "it is not clearly better than guessing"),
        (0.97, 0.38, None, 0.2, "38 % correctly instead of 97 %."),  # a document without the test makes no claim
    ],
)
def test_the_use_of_time_is_said_as_far_as_the_test_shows_it(
    top1: float, shuffled: float, p_value: float | None, frozen: float, said: str
) -> None:
    test = {
        **report(SIX).test,
        "top1": top1,
        "top1_interval": [top1 - 0.1, top1],
        "orders": {
            "shuffled": {"top1": shuffled, "p_value": p_value},
            "frozen": {"top1": frozen, "top1_interval": [frozen - 0.1, frozen + 0.1]},
        },
    }

    assert said in time_use(test).replace("\u00a0", " ")
    assert time_use(test) in headline(test)


def test_top_5_of_few_classes_and_calibration_of_few_videos_are_no_findings(tmp_path: Path) -> None:
    few = with_test(report(SIX), top5=0.99, calibration_error=0.3, n=20)
    many = with_test(report([f"action {number}" for number in range(12)]), top5=0.99, calibration_error=0.3, n=120)

    assert "Top-5" not in written(tmp_path, few).text
    assert "Top-5" in written(tmp_path, many).text
    assert [sentence for sentence in caveats(few.test) if "calibration" in sentence] == []
    assert [sentence for sentence in caveats(many.test) if "calibration" in sentence]


def test_where_known_actions_are_seldom_recognised_unknown_ones_are_not_said_to_be() -> None:
    weak = {**report(SIX).test, "top1": 0.6, "as_used": {"top1": 0.55}}
    assert [one for one in caveats(weak) if "unknown actions cannot be detected either" in one]
    assert not [one for one in caveats({**weak, "top1": 0.9}) if "unknown actions" in one]


def test_videos_that_are_their_own_groups_are_not_set_against_themselves() -> None:
    test = {**report(SIX).test, "top1_interval": [0.5, 0.9], "n": 30, "groups": 30}

    (sentence,) = [one for one in caveats(test, group_noun="videos") if "wide" in one]

    assert sentence.endswith("Test on more videos to know it better.")


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", report(["bow", "clap"]))
    write_report(tmp_path / "b.html", report(["bow", "clap"]))

    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_what_is_refused_is_said_and_drawn_and_only_where_it_was_measured(tmp_path: Path) -> None:
    refused = {
        "threshold": 1.8,
        "refused_at_most": 0.049,
        "learned_from_background": True,
        "actions_refused": {"share": 0.05, "interval": [0.01, 0.11], "n": 60},
        "background_refused": {"share": 0.95, "interval": [0.88, 0.99], "n": 60},
    }
    rng = np.random.default_rng(0)
    run = replace(report(SIX), unknown=refused, open_set_scores=(rng.normal(1, 0.5, 60), rng.normal(-3, 2, 60)))
    page = written(tmp_path, run)
    assert not page.faults
    text = page.text.replace("\u00a0", " ")
    assert "Of 60 test videos it rejects 5 % (95 % interval 1 to 11 %) as no known action" in text
    assert "Of 60 windows without an action" in text
    assert "rejects 95 % (95 % interval 88 to 99 %)" in text
    assert "set wide" not in text
    few = written(tmp_path, replace(run, unknown=refused | {"held_out": 12})).text
    assert "With only 12 of them it had to be set wide" in few
    features = replace(run, unknown=refused | {"background_refused": None}, open_set_scores=([0.5], []))
    assert "windows without an action" not in written(tmp_path, features).text
    assert "When no known action happens" not in written(tmp_path, report(SIX)).text


def test_false_alarms_an_hour_are_shown_where_background_was_measured(tmp_path: Path) -> None:
    row = {"threshold": 0.8, "false_alarms": 3, "per_hour": 12.0, "per_hour_interval": [2.47, 35.1], "found": 0.9}
    triggers = {"videos": 1, "groups": 1, "background_hours": 0.25, "hold_s": 0.5, "thresholds": [row]}
    page = written(tmp_path, replace(report(SIX), triggers=triggers))

    assert page.faults == []
    assert "1 whole validation video of 1 person, with 15 min of background" in page.source
    assert "<td>12.0</td><td>2.5 to 35.1</td>" in page.source
    assert "False alarms" not in written(tmp_path, report(SIX)).source
