"""The service of ``kineme label`` without a browser: what it keeps, what it refuses, and what a crash leaves."""

from __future__ import annotations

import time

import pytest
from helpers_labelling import labelling, post, table
from helpers_people import need_movenet, people_video
from helpers_video import numbered_video

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from kineme.errors import KinemeError
from kineme.serving.labelling.changes import Change, LabelledSegment
from kineme.serving.labelling.groups import suggestions, usual_groups
from kineme.serving.labelling.store import LabelStore, StaleError
from kineme.serving.labelling.work import people


def segment(name, start_s, end_s, label="jump", **more):
    return LabelledSegment(id=name, start_s=start_s, end_s=end_s, label=label, **more)


def store_of(folder):
    return LabelStore(folder, folder / ".kineme-label", lambda name: name)


def test_a_change_is_undone_and_redone_also_after_a_restart(tmp_path):
    store = store_of(tmp_path)
    store.change("a.mp4", 0, "change", Change(put=[segment("x", 1, 2)], group="Anna"))
    store.change("a.mp4", 1, "change", Change(put=[segment("x", 1, 3, "run"), segment("y", 4, 5)], done=True))
    store.change("a.mp4", 2, "change", Change(remove=["x"], reject=["p"]))
    with pytest.raises(StaleError):
        store.change("a.mp4", 2, "change", Change(remove=["y"]))
    assert table(tmp_path) == [("a.mp4", "4", "5", "jump", "Anna", "yes")]
    store = store_of(tmp_path)
    assert (store.get("a.mp4").revision, store.get("a.mp4").rejected) == (3, {"p"})
    store.change("a.mp4", 3, "undo")
    store.change("a.mp4", 4, "undo")
    assert table(tmp_path) == [("a.mp4", "1", "2", "jump", "Anna")]
    assert store.get("a.mp4").rejected == set()
    store = store_of(tmp_path)
    store.change("a.mp4", 5, "redo")
    assert [row[3] for row in table(tmp_path)] == ["run", "jump"]


def test_what_a_crash_leaves_is_set_right(tmp_path):
    store = store_of(tmp_path)
    store.change("a.mp4", 0, "change", Change(put=[segment("x", 1, 2)]))
    before = (tmp_path / "labels.csv").read_bytes()
    store.change("a.mp4", 1, "change", Change(put=[segment("y", 3, 4)]))
    after = (tmp_path / "labels.csv").read_bytes()
    history = tmp_path / ".kineme-label" / "history.jsonl"
    (tmp_path / "labels.csv").write_bytes(before)  # the history was written, and the table not any more
    store_of(tmp_path)
    assert (tmp_path / "labels.csv").read_bytes() == after
    (tmp_path / "labels.csv").unlink()
    store_of(tmp_path)
    assert (tmp_path / "labels.csv").read_bytes() == after
    whole = history.read_bytes()
    history.write_bytes(whole + whole[:40])  # half of a line
    assert store_of(tmp_path).get("a.mp4").revision == 2
    assert history.read_bytes() == whole
    history.write_bytes(whole[:40] + b"\n" + whole)
    with pytest.raises(KinemeError, match="line 1: is damaged; move the file away"):
        store_of(tmp_path)


def test_a_table_that_somebody_edited_is_taken_as_it_is(tmp_path):
    (tmp_path / "labels.csv").write_text(
        "path;start_s;end_s;label;group\nb.mp4;0:01,5;;sit down;ben\nelse/where.mp4;1;2;run;ben\n", encoding="utf-8"
    )
    store = store_of(tmp_path)
    assert table(tmp_path) == [("b.mp4", "1.5", "", "sit down", "ben"), ("else/where.mp4", "1", "2", "run", "ben")]
    store.change("b.mp4", 1, "change", Change(put=[segment("x", 1, 2, by="model", track=3)]))
    head = (tmp_path / "labels.csv").read_text().splitlines()[0]
    assert head == "path,start_s,end_s,label,group,labelled_by,track"
    text = (tmp_path / "labels.csv").read_text().replace("sit down", "sitting")
    (tmp_path / "labels.csv").write_text(text)
    store = store_of(tmp_path)
    assert {one.label for one in store.get("b.mp4").segments.values()} == {"sitting", "jump"}
    assert {(one.by, one.track) for one in store.get("b.mp4").segments.values()} == {("person", None), ("model", 3)}
    (tmp_path / "labels.csv").write_text("film,what\nx,y\n")
    with pytest.raises(KinemeError, match="needs the columns path, start_s, end_s, label, group"):
        store_of(tmp_path)


def test_groups_are_suggested_from_names_folders_and_places():
    assert usual_groups(["person01_run_1.mp4", "person02_run_1.mp4"])["person02_run_1.mp4"] == "person02"
    offered = suggestions("monday/anna kitchen.mp4", "monday/anna kitchen.mp4", ["Anna", "Ben"], ["Carl"])
    assert [one["group"] for one in offered] == ["Carl", "Anna", "monday", "Ben"]


def test_the_guards_of_serve_hold_and_nothing_outside_the_folder_is_given(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    numbered_video(folder / "a.mp4", 5)
    numbered_video(tmp_path / "secret.mp4", 5)
    (folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    with labelling(folder) as server:
        videos = server.ask("/v1/label").json["videos"]
        assert [one["name"] for one in videos] == ["a.mp4"]
        path = f"/v1/label/videos/{videos[0]['id']}"
        assert server.ask(path, Host="evil.example").status == 421
        assert server.ask(path, "POST", b"{}", Origin="http://evil.example").status == 403
        assert server.ask("/v1/label/videos/0123456789abcdef").status == 404
        for wrong in ("/v1/label/videos/..%2f..%2fsecret.mp4", "/static/../label.html", "/static/label/../../app.py"):
            assert server.ask(wrong).status in (404, 422)
        assert server.ask(path, "POST", b"x" * (1 << 17)).status == 413
        part = server.ask(f"{path}/file", Range="bytes=0-9")
        assert (part.status, len(part.body)) == (206, 10)
        good = {"id": "x", "start_s": 0, "end_s": 0.1, "label": "jump"}
        for wrong in ({"end_s": 0}, {"label": " \u200b"[:1]}, {"id": "../x"}, {"start_s": "nan"}, {"by": "nobody"}):
            assert (
                post(server, path.removeprefix("/v1/label"), {"revision": 0, "change": {"put": [good | wrong]}})[0]
                == 422
            )
        assert post(server, path.removeprefix("/v1/label"), {"revision": 0})[0] == 422
        assert post(server, "/proposals", {})[1]["error"]["code"] == "no_model"
        assert server.ask("/v1/label/runs/001/report").status == 404
        assert "default-src 'none'" in server.ask("/").headers["Content-Security-Policy"]
        (folder / "a.mp4").unlink()
        assert server.ask(path).status == 404
    assert not (folder / "labels.csv").exists()


def test_one_server_at_a_time_has_a_folder(tmp_path, monkeypatch, capsys):
    from kineme.cli.main import main

    with labelling(tmp_path):
        monkeypatch.setattr("sys.argv", ["kineme", "label", str(tmp_path), "--no-browser"])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 1
        assert "labels.csv: another command is writing it" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["kineme", "label", str(tmp_path / "none")])
    with pytest.raises(SystemExit):
        main()
    assert "no such folder; name the folder of the videos to label" in capsys.readouterr().err


def test_work_that_fails_says_why_in_one_line(tmp_path):
    (tmp_path / "noise.mp4").write_bytes(b"no video")
    with labelling(tmp_path) as server:
        path = f"/v1/label/videos/{server.ask('/v1/label').json['videos'][0]['id']}"
        assert server.ask(path).json["error"]["code"] == "bad_video"
        assert server.ask(f"{path}/people").status == 404
        server.ask(f"{path}/people", "POST")
        end_s = time.monotonic() + 60
        while (said := server.ask(f"{path}/people").json)["state"] != "failed":
            assert time.monotonic() < end_s
            time.sleep(0.05)
        assert "noise.mp4" in said["message"]


def test_people_are_told_in_parts_of_the_frame(tmp_path):
    need_movenet()
    film = people_video(tmp_path / "a.mp4", [lambda time_s: 0.5], 1.0)
    (one,) = people(str(film), lambda share: None)["tracks"]
    assert len(one["times_s"]) == len(one["boxes"])
    left, top, width, height = one["boxes"][-1]
    assert 0.4 < left < 0.7
    assert 0.1 < width < 0.5
    assert top + height == pytest.approx(1, abs=0.2)
