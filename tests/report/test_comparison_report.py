"""The page of a comparison: the verdict in honest words, every candidate on it, safe with hostile names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_report import HOSTILE, SEVEN, SIX, Page, comparison

from kineme.report.comparison_page import caveats, order_pairs, sentences, write_comparison


def written(tmp_path: Path, document: dict[str, Any]) -> Page:
    write_comparison(tmp_path / "comparison.html", document)
    return Page(tmp_path / "comparison.html")


def said(lines: list[str]) -> str:
    return "\n".join(lines).replace("\u00a0", " ")


def candidate(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in document["candidates"] if one["name"] == name)


def small(**changes: Any) -> dict[str, Any]:
    """A comparison of two, where what is asked has nothing to do with how many there are."""
    return comparison(skills={"lrcn": (0.95, 0.97, 1.0), "single-frame": (0.8, 0.5, 1.0)}, **changes)


def many(count: int) -> dict[str, tuple[float, float, float]]:
    return {f"lrcn:efficientnet-lite0,units={i}": (0.95 - 0.02 * i, 0.9, 0.5 + i % 3) for i in range(count)}


@pytest.mark.parametrize(
    "document",
    [
        comparison(),
        comparison(["no", "yes"], {"lrcn": (0.9, 0.9, 1.0)}, pairs=0, seeds=1),
        comparison(HOSTILE),
        comparison([f"a long name of action {i} of many" for i in range(101)], many(3), each=3),
        comparison(skills=many(20)),
        small(leaky={"reason": "the groups are unknown."}, winner=None, machine=None),
    ],
    ids=["seven", "one", "hostile", "many classes", "many candidates", "no leaky figure"],
)
def test_the_page_is_well_formed_and_needs_nothing_else(tmp_path: Path, document: dict[str, Any]) -> None:
    page = written(tmp_path, document)

    assert page.faults == []
    assert "://" not in page.source
    assert not re.search(r"url\(|@import", page.source)
    addresses = [a[key] for _, a in page.tags for key in ("src", "href", "srcset", "data") if key in a]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert all(len(picture["alt"] or "") > 20 for picture in page.all("img"))
    assert all(header.get("scope") in ("row", "col") for header in page.all("th"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    for box in page.all("div"):
        if "scroll" in (box.get("class") or "").split():
            assert box["tabindex"] == "0"
            assert box["aria-label"]


def test_the_answer_comes_first_and_says_what_it_is_not_distinguishable_from() -> None:
    document = comparison()
    best = candidate(document, "lrcn:efficientnet-lite0")
    best["test"] |= {"top1": 0.93, "top1_interval": [0.88, 0.97]}
    for one in document["candidates"]:
        if one is not best:
            one["against_best"] |= {"distinguishable": one["name"] not in ("convlstm", "slow-fusion")}

    first = sentences(document)[0].replace("\u00a0", " ")

    assert first.startswith(
        "lrcn:efficientnet-lite0 comes out first of 7: on 60 videos of 12 people it never saw, it classifies 93 % of "
        "cases correctly (95 % interval 88 to 97 %). convlstm and slow-fusion are not distinguishable from it "
        "on these videos; early-fusion, "
    )
    assert first.endswith(" are worse.")


def test_where_nothing_is_distinguishable_no_best_is_claimed() -> None:
    document = comparison(skills={"lrcn": (0.9, 0.9, 1.0), "convlstm": (0.9, 0.9, 1.0)})
    for one in document["candidates"]:
        if "against_best" in one:
            one["against_best"]["distinguishable"] = False

    assert "the best one is unknown" in sentences(document)[0]


def test_the_baselines_the_leaky_claim_and_the_use_of_time_are_told() -> None:
    document = comparison()
    best = candidate(document, document["best"])
    best["test"]["top1"] = 0.93
    best["orders"]["shuffled"] |= {"top1": 0.38, "top1_ordered": 0.93}

    text = said(sentences(document))

    assert "Guessing gives 17 %; the background alone 21 %; single frames (logistic regression" in text
    assert "would have claimed 99 % for lrcn:efficientnet-lite0: 6 points more than it reaches on new people" in text
    assert (
        "lrcn:efficientnet-lite0 classifies 38 % correctly instead of 93 % (p < 0.001): it relies on motion and order"
        in text
    )

    document["leaky"]["top1"] = 0.9
    assert "90 % for lrcn:efficientnet-lite0, no more than" in said(sentences(document))


def test_a_best_that_looks_at_single_frames_is_not_said_to_read_motion() -> None:
    document = comparison(skills={"single-frame": (0.95, 0.5, 1.0), "lrcn": (0.5, 0.5, 1.0)}, pairs=0)

    assert "it ignores the order of frames" in said(sentences(document))


def test_pairs_that_only_order_tells_are_found_and_said_in_words(tmp_path: Path) -> None:
    document = comparison()
    confusion = candidate(document, "single-frame")["test"]["confusion"]
    confusion[0][:2], confusion[1][:2] = [13, 12], [13, 12]

    found = {(pair.first, pair.second): pair for pair in order_pairs(document)}

    assert set(found) == {("sit-down", "stand-up"), ("pick-up", "put-down")}
    pair = found["sit-down", "stand-up"]
    assert dict(pair.blind)["single-frame"] == pytest.approx(0.5)
    assert {name for name, _ in pair.blind} == {"single-frame", "late-fusion:small-cnn,merge=mean"}
    sentence = next(line for line in sentences(document) if line.startswith("One frame cannot distinguish sit-down"))
    assert "single-frame in 50 %" in sentence.replace("\u00a0", " ")
    assert "they read the order of frames" in sentence
    page = written(tmp_path, document)
    rows = page.rows("Pairs that only the order of frames distinguishes")
    assert [row[0] for row in rows[1:]] == [row[0].split(". ")[1] for row in ranking(page)]


def ranking(page: Page) -> list[list[str]]:
    rows = page.rows("Figures of each candidate")[1:]
    return [[re.sub(r"\s+", " ", cell) for cell in row] for row in rows]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda one: one.update(approach="lrcn"), "no candidate is blind to order"),
        (lambda one: one["test"].update(confusion=(np.eye(6, dtype=int) * 30).tolist()), "a blind one tells it"),
        (lambda one: one["test"].update(confusion=np.eye(6, dtype=int).tolist()), "too few answers"),
    ],
)
def test_a_pair_is_not_said_to_need_order_without_proof(spoil: Any, why: str) -> None:
    document = comparison(skills={"single-frame": (0.8, 0.5, 1.0), "lrcn": (0.95, 0.97, 1.0)})
    assert len(order_pairs(document)) == 2

    spoil(candidate(document, "single-frame"))

    assert order_pairs(document) == [], why


def test_a_pair_that_is_told_apart_with_shuffled_frames_too_does_not_need_order() -> None:
    document = comparison(skills={"single-frame": (0.8, 0.5, 1.0), "lrcn": (0.95, 0.97, 1.0)})
    candidate(document, "lrcn")["motion_reliance"] = dict.fromkeys(SIX, 0.02)

    assert order_pairs(document) == []


def test_single_frame_on_a_backbone_that_sees_motion_is_not_taken_for_blind() -> None:
    document = comparison(skills={"single-frame:i3d": (0.95, 0.97, 1.0), "single-frame": (0.8, 0.5, 1.0)})

    pair = order_pairs(document)[0]

    assert [name for name, _ in pair.blind] == ["single-frame"]
    assert [name for name, _ in pair.others] == ["single-frame:i3d"]
    assert "it ignores the order of frames" not in said(sentences(document))


def test_a_lopsided_test_set_does_not_make_a_coin_look_good() -> None:
    document = comparison(skills={"single-frame": (0.8, 0.5, 1.0), "lrcn": (0.95, 0.97, 1.0)}, pairs=1)
    candidate(document, "single-frame")["test"]["confusion"][0][:2] = [200, 0]
    candidate(document, "single-frame")["test"]["confusion"][1][:2] = [20, 0]

    assert dict(order_pairs(document)[0].blind)["single-frame"] == pytest.approx(0.5)


def test_what_speaks_against_the_verdict_is_said() -> None:
    document = comparison(groups=4, seeds=1)
    document["candidates"].append({"name": "pose-lstm:blazepose", "approach": "pose-lstm", "error": "no weights"})
    for one in document["candidates"]:
        if one.get("against_best"):
            one["against_best"]["distinguishable"] = False

    text = said(caveats(document))

    assert "1 candidate failed" in text
    assert "chosen on the same videos that it is measured on" in text
    assert "(here 7)" in text
    assert "With 4 people the paired test can hardly detect a difference" in text
    assert "one seed" in text
    assert "Only 4 people could be tested" in text
    assert "chosen on the same" not in said(caveats(comparison(skills={"lrcn": (0.9, 0.9, 1.0)})))


def test_the_table_has_every_candidate_best_first_with_its_figures(tmp_path: Path) -> None:
    document = comparison()
    slow = candidate(document, "slow-fusion")
    slow |= {"seed_top1": [0.8, 0.9], "cost": {"training_seconds": 75.2, "ms_per_frame": 1.3, "parameters": 73060}}
    slow["against_best"] = {"difference": 0.04, "p": 0.31, "distinguishable": False}

    rows = ranking(written(tmp_path, document))

    assert sorted(row[0].split(". ")[1] for row in rows) == sorted(SEVEN)
    assert rows[0][0] == "1. lrcn:efficientnet-lite0"
    assert rows[0][2] == "best"
    shares = [int(row[1].split(" %")[0]) for row in rows]
    assert shares == sorted(shares, reverse=True)
    row = next(row for row in rows if row[0].endswith("slow-fusion"))
    assert row[2] == "not distinguishable p = 0.31"
    assert row[4] == "80 to 90 %"
    assert row[6:] == ["1 min 15 s", "1.30 ms", "73,060", "–"]


def test_classes_and_motion_reliance_stand_side_by_side(tmp_path: Path) -> None:
    document = small()
    first = candidate(document, document["best"])
    first["test"]["per_class"]["wave"]["recall"], first["motion_reliance"]["wave"] = None, None
    first["motion_reliance"]["drink"] = -0.03

    page = written(tmp_path, document)

    recalls, shuffle_recall_drops = page.rows("Recall"), page.rows("Recall lost by shuffling, in points")
    assert [row[0] for row in recalls[1:-1]] == [row[0] for row in shuffle_recall_drops[1:-1]] == SIX
    assert recalls[5][1] == shuffle_recall_drops[5][1] == "–"
    assert shuffle_recall_drops[6][1] == "−3"


def test_failures_are_listed_with_their_reasons(tmp_path: Path) -> None:
    document = small()
    document["candidates"].append({"name": "pose-lstm:x", "approach": "pose-lstm", "error": "no <i>weights</i>"})

    page = written(tmp_path, document)

    assert "pose-lstm:x" in page.text
    assert "no <i>weights</i>" in page.text


def test_a_comparison_in_which_all_failed_has_a_page_too(tmp_path: Path) -> None:
    failed = [{"name": name, "approach": name, "error": "out of memory"} for name in ("lrcn", "convlstm")]
    page = written(
        tmp_path, comparison(candidates=failed, best=None, winner=None, leaky={"reason": "nothing was trained."})
    )

    assert page.faults == []
    assert "No candidate could be trained." in page.text
    assert "out of memory" in page.text
    assert "Use it" not in page.text


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ({"kind": "split", "folds": 1, "seeds": [0], "column": None}, "One split"),
        ({"kind": "folds", "folds": 5, "seeds": [0, 1, 2], "column": None}, "5-fold cross-validation"),
        ({"kind": "leave-one-group-out", "folds": 12, "seeds": [0], "column": None}, "Leave one person out"),
        ({"kind": "column", "folds": 2, "seeds": [0], "column": "set"}, "By the column “set”"),
        ({"kind": "column", "folds": 2, "seeds": [0], "column": None}, "By the fold column: "),
    ],
)
def test_the_protocol_is_told_in_words(tmp_path: Path, protocol: dict[str, Any], words: str) -> None:
    text = written(tmp_path, small(protocol=protocol)).text

    assert words in text
    assert "sign-flip permutation test over people" in text
    assert "Holm" in text
    assert "No person is in both training and test" in text


def test_the_page_says_how_to_use_the_winner_where_it_lies(tmp_path: Path) -> None:
    text = written(tmp_path, small()).text

    assert f"kineme predict VIDEO --model {tmp_path / 'winner'} " in text


def test_hostile_names_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    document = comparison(HOSTILE, {f"lrcn:{name}": (0.9, 0.9, 1.0) for name in HOSTILE})
    document["data"] |= {
        "name": "<b>",
        "group_source": "<var>",
        "skipped": [{"path": "<u>", "reason": "<s>"}],
        "warnings": ["<q>"],
    }
    document["machine"], document["leaky"] = "<em>", {"reason": "<kbd>"}

    page = written(tmp_path, document)

    assert not {tag for tag, _ in page.tags} & {"script", "b", "var", "u", "s", "q", "em", "kbd"}
    assert not [attributes for _, attributes in page.tags if any(key.startswith("on") for key in attributes)]
    assert all(name in page.text for name in HOSTILE)


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path, small()).source == written(tmp_path, small()).source
