"""Rules of ``--on``: what they mean, and when what they ask for begins and ends."""

from __future__ import annotations

import re

import numpy as np
import pytest

from kineme.errors import UsageError
from kineme.triggers.rule import Rule, parse_rules
from kineme.triggers.trigger import Trigger

LABELS = ("background", "Fall down", "wave", "waiting for bus", "any")


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("wave", [Rule("wave", 0.5, 0.5)]),
        ("wave > 0.8 for 2s", [Rule("wave", 0.8, 2.0)]),
        ("  WAVE>80%  FOR 1.5 ", [Rule("wave", 0.8, 1.5)]),
        ("fall down for 0", [Rule("Fall down", 0.5, 0.0)]),
        ("not wave > .25 for 10m", [Rule("wave", 0.25, 600.0, True)]),
        ("waiting for bus for 300ms", [Rule("waiting for bus", 0.5, 0.3)]),
        ("any > 0.9", [Rule(None, 0.9)]),
        ("'any' > 0.9", [Rule("any", 0.9)]),
        ("not any for 1h", [Rule(None, 0.5, 3600.0, True)]),
        ("* > 0.7", [Rule(label, 0.7) for label in LABELS[1:]]),
    ],
)
def test_a_rule_is_read_as_it_is_meant(text, rules):
    assert parse_rules([text], LABELS) == tuple(rules)
    assert parse_rules(map(str, rules), LABELS) == tuple(rules)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("wvae > 0.8", "the model has no label 'wvae'; the nearest is 'wave'"),
        ("background", "the model has no label 'background'"),
        ("wave > 1.5", "the threshold is a probability between 0 and 1"),
        ("wave > 0", "the threshold is a probability between 0 and 1"),
        ("wave > 0.8.1", "0.8.1 is not a number"),
        ("wave for 2d", "the model has no label 'wave for 2d'"),
        ("wave for 99h", "at most a day"),
        ("", "give a rule such as"),
    ],
)
def test_what_is_no_rule_is_told_with_its_cure(text, says):
    with pytest.raises(UsageError, match=re.escape(says)) as error:
        parse_rules([text], LABELS)
    assert str(error.value).startswith(f"--on {text}: ")


def test_two_rules_of_one_name_are_refused():
    with pytest.raises(UsageError, match="there are two rules for wave"):
        parse_rules(["wave > 0.5", "* > 0.7"], LABELS)


def changes(rule, probabilities, *, cooldown_s=0.0, known=None, step_s=0.25):
    """What a trigger says of windows, 0.25 s apart: (kind, start, end, when it is said)."""
    (rule,) = parse_rules([rule], ("wave", "fall"))
    trigger = Trigger(rule, ("wave", "fall"), cooldown_s)
    found = []
    for number, value in enumerate(probabilities):
        is_known = True if known is None else known[number]
        change = trigger.push(number * step_s, np.array([value, 1 - value]), is_known)
        if change:
            found.append((change.kind, change.start_s, change.end_s, number * step_s))
    return found


LOW, HIGH = [0.1] * 8, [0.9] * 8


def test_it_begins_when_it_has_held_and_ends_when_it_has_not():
    found = changes("wave > 0.8 for 1s", [*LOW, *HIGH, *LOW])
    assert found == [("enter", 2.0, None, 3.0), ("leave", 2.0, 4.0, 5.0)]


def test_a_window_below_the_threshold_begins_the_time_anew():
    assert changes("wave > 0.8 for 1s", [*LOW, 0.9, 0.9, 0.9, 0.7, 0.9, 0.9, 0.9, 0.1]) == []
    assert changes("wave > 0.8 for 0s", [0.1, 0.9, 0.1])[0] == ("enter", 0.25, None, 0.25)


def test_a_short_dip_does_not_end_it():
    found = changes("wave > 0.8 for 0.5s", [*HIGH, 0.1, 0.1, *HIGH, *LOW])
    assert [one[0] for one in found] == ["enter", "leave"]


def test_within_the_cool_down_it_does_not_begin_anew_and_after_it_does():
    twice = [*HIGH, *LOW, *HIGH, *HIGH, *LOW]
    assert [one[0] for one in changes("wave > 0.8 for 0s", twice)] == ["enter", "leave"] * 2
    assert [one[0] for one in changes("wave > 0.8 for 0s", twice, cooldown_s=60)] == ["enter", "leave"]
    late = changes("wave > 0.8 for 0s", twice, cooldown_s=5)
    assert late[2] == ("enter", 4.0, None, 5.0)  # it still goes on when the cool-down is over


def test_what_the_model_does_not_know_is_none_of_its_labels():
    known = [False] * 8 + [True] * 8
    assert changes("wave > 0.8 for 0s", [*HIGH, *HIGH], known=known) == [("enter", 2.0, None, 2.0)]
    assert changes("not any for 1s", [*HIGH, *HIGH], known=known)[0] == ("enter", 0.0, None, 1.0)


def test_not_is_the_contrary_and_any_names_the_surest():
    found = changes("not wave > 0.8 for 1s", [*HIGH, *LOW, *HIGH])
    assert found == [("enter", 2.0, None, 3.0), ("leave", 2.0, 4.0, 5.0)]
    trigger = Trigger(Rule(None, 0.5, 0.0), ("wave", "fall"), 0.0)
    assert trigger.push(0.0, np.array([0.2, 0.8]), True).label == "fall"


def test_an_interruption_ends_it():
    trigger = Trigger(Rule("wave", 0.5, 0.0), ("wave", "fall"), 0.0)
    assert trigger.push(0.0, np.array([0.75, 0.25]), True).confidence == 0.75
    assert trigger.push(0.5, np.array([0.85, 0.15]), True) is None
    ended = trigger.interrupt(2.0)
    assert (ended.kind, ended.start_s, ended.end_s, ended.confidence) == ("leave", 0.0, 2.0, pytest.approx(0.8))
    assert trigger.interrupt(3.0) is None
