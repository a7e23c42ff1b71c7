"""The window of ``--show``, on a real screen."""

from __future__ import annotations

import time

import numpy as np
import pytest
from helpers_screen import screen

from kineme.errors import KinemeError
from kineme.report.preview import PreviewWindow

pytest.importorskip("tkinter", reason="this Python has no tkinter")


def test_a_window_shows_frames_in_their_colours_and_is_closed_by_a_key(monkeypatch):
    frame = np.zeros((120, 200, 3), np.uint8)
    frame[:, :50], frame[:, 50:] = (250, 10, 20), (20, 30, 240)
    look = screen(monkeypatch)
    with PreviewWindow("kineme") as window:
        window.show(frame)
        end_s = time.monotonic() + 5
        while not (found := count(look())) and time.monotonic() < end_s:
            window.show(None)
        assert found == (50 * 120, 150 * 120)
        window.show(np.full((1200, 1600, 3), 200, np.uint8))  # larger than the screen: made smaller
        while not (whole := int((look() == 200).all(axis=-1).sum())) > 200_000 and time.monotonic() < end_s:
            window.show(None)
        assert whole < 800 * 600
        window._root.focus_force()
        window._root.event_generate("<Escape>")
        window.show(frame)
        assert not window.is_open


def count(picture):
    red, blue = ((picture == colour).all(axis=-1).sum() for colour in ((250, 10, 20), (20, 30, 240)))
    return (int(red), int(blue)) if red and blue else None


def test_a_screen_that_is_not_there_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":97")
    with pytest.raises(KinemeError, match="--show: there is no screen here"):
        PreviewWindow("kineme")
