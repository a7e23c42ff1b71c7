"""Segments as people write them down, and long videos cut by them."""

from __future__ import annotations

import json

import pytest
from helpers_video import numbered_video, read_number

from kineme.dataset.annotations.read import read_segments
from kineme.dataset.long_videos import folder_of, split_sheet, split_video
from kineme.dataset.scan import scan
from kineme.dataset.sheet import seconds
from kineme.errors import KinemeError, UsageError
from kineme.video.decode import read_frames

WANTED = [(0.4, 1.2, "jump"), (1.2, 2.0, "sit down"), (2.4, 2.8, "jump")]


def read(tmp_path, name, text, **how):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    segments, left_out = read_segments(path, tmp_path / "party.mp4", **how)
    return [(one.start_s, one.end_s, one.label) for one in segments], left_out


def elan(tiers, head="", origin=""):
    slots, body = [], []
    for name, segments in tiers.items():
        body.append(f'<TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="{name}">')
        for start_s, end_s, label in segments:
            refs = []
            for time_s in (start_s, end_s):
                value = "" if time_s is None else f' TIME_VALUE="{round(time_s * 1000)}"'
                slots.append(f'<TIME_SLOT TIME_SLOT_ID="ts{len(slots) + 1}"{value}/>')
                refs.append(f"ts{len(slots)}")
            body.append(
                f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{len(slots)}" TIME_SLOT_REF1="{refs[0]}" '
                f'TIME_SLOT_REF2="{refs[1]}"><ANNOTATION_VALUE>{label}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>'
                f"</ANNOTATION>"
            )
        body.append("</TIER>")
    media = (
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/sound.wav" TIME_ORIGIN="9000"/>'
        f'<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/Users/me/party.mp4" MIME_TYPE="video/mp4"{origin}/>'
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{head}<ANNOTATION_DOCUMENT FORMAT="3.0" VERSION="3.0">'
        f'<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">{media}</HEADER>'
        f"<TIME_ORDER>{''.join(slots)}</TIME_ORDER>{''.join(body)}</ANNOTATION_DOCUMENT>"
    )


ATTRIBUTE = {"1": {"aname": "action", "anchor_id": "FILE1_Z2_XY0", "options": {"0": "jump", "1": "sit down"}}}


def via_project(marks):
    return json.dumps(
        {
            "project": {"pid": "x", "vid_list": ["1", "2"]},
            "config": {},
            "attribute": ATTRIBUTE,
            "file": {"1": {"fid": 1, "fname": "party.mp4"}, "2": {"fid": 2, "fname": "other.mp4"}},
            "view": {"1": {"fid_list": [1]}, "2": {"fid_list": [2]}},
            "metadata": {
                f"m{n}": {"vid": vid, "flg": 0, "z": z, "xy": xy, "av": av} for n, (vid, z, xy, av) in enumerate(marks)
            },
        }
    )


def test_a_table_in_seconds_or_clock_times(tmp_path):
    assert read(tmp_path, "a.csv", "start_s,end_s,label\n1.2,2,sit down\n0.4,1.2,jump\n2.4,2.8,jump\n") == (WANTED, [])
    text = "\ufefflabel;start_s;end_s;who\njump;0:00.4;0:01.2;a\nsit down;0:01,2;0:02;b\n\njump;2.4;2.8;\n"
    assert read(tmp_path, "b.csv", text)[0] == WANTED
    assert read(tmp_path, "c.csv", "start_s\tend_s\tlabel\n3\t\trest\n")[0] == [(3.0, None, "rest")]


def test_time_stamps_as_under_a_video(tmp_path):
    text = "Party, part 1!\n\n0:15 jump\n(0:20) - sit down\n1:02:03.5 run\n1:03:00\n"
    segments, left_out = read(tmp_path, "a.txt", text)
    assert segments == [(15, 20, "jump"), (20, 3723.5, "sit down"), (3723.5, 3780, "run")]
    assert len(left_out) == 1
    assert "line 1: begins with no time stamp" in left_out[0]
    assert read(tmp_path, "b.txt", "00:15 – 00:17 jump\n0:40 to 0:41 2 steps\n1:00 rest")[0] == [
        (15, 17, "jump"),
        (40, 41, "2 steps"),
        (60, None, "rest"),
    ]


def test_elan(tmp_path):
    assert read(tmp_path, "a.eaf", elan({"actions": WANTED, "empty": []})) == (WANTED, [])
    shifted = [(start_s + 1.5, end_s + 1.5, label) for start_s, end_s, label in WANTED]
    assert read(tmp_path, "b.eaf", elan({"actions": WANTED}, origin=' TIME_ORIGIN="1500"'))[0] == [
        (pytest.approx(a), pytest.approx(b), label) for a, b, label in shifted
    ]
    two = elan({"actions": WANTED, "mood": [(0.0, 2.0, "glad")]})
    with pytest.raises(UsageError, match="several tiers, 'actions', 'mood'; choose one with --tier"):
        read(tmp_path, "c.eaf", two)
    assert read(tmp_path, "c.eaf", two, tier="mood")[0] == [(0.0, 2.0, "glad")]
    with pytest.raises(UsageError, match="no tier 'moods'"):
        read(tmp_path, "c.eaf", two, tier="moods")
    segments, left_out = read(tmp_path, "d.eaf", elan({"actions": [*WANTED, (3.0, None, "x"), (3.0, 3.5, "")]}))
    assert segments == WANTED
    assert ["no time" in left_out[0], "no label" in left_out[1]] == [True, True]


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>\n',
        '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>\n',
    ],
)
def test_hostile_xml_is_not_expanded(tmp_path, head):
    with pytest.raises(KinemeError, match="has a DOCTYPE"):
        read(tmp_path, "a.eaf", elan({"actions": [(0.0, 1.0, "x")]}, head=head))


def test_via_projects_and_exports(tmp_path):
    marks = [
        ("1", [0.4, 1.2], [], {"1": "0"}),
        ("2", [5.0, 6.0], [], {"1": "0"}),  # of the other video
        ("1", [1.2, 2.0], [], {"1": "1"}),
        ("1", [1.5], [2, 0.1, 0.1, 0.2, 0.2], {"1": "1"}),  # a box in a frame
        ("1", [2.4, 2.8], [], {"1": "jump"}),
    ]
    segments, left_out = read(tmp_path, "a.json", via_project(marks))
    assert segments == WANTED
    assert len(left_out) == 1

    def cell(value):
        return '"' + json.dumps(value).replace('"', '""') + '"'

    names = {"1": "party.mp4", "2": "other.mp4"}
    lines = [
        "# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)",
        f"# ATTRIBUTE = {json.dumps(ATTRIBUTE)}",
        "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata",
        *(f'"1_x","{cell([names[vid]])[1:-1]}",0,{cell(z)},{cell(xy)},{cell(av)}' for vid, z, xy, av in marks),
    ]
    assert read(tmp_path, "a.csv", "\n".join(lines))[0] == WANTED


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "start,end,label\n1,2,x\n", "needs the columns start_s, end_s and label"),
        ("a.csv", "start_s,end_s,label\n1,2,\n", "line 2: the label is empty"),
        ("a.csv", "start_s,end_s,label\n1,x,jump\n", "line 2: times must be seconds"),
        ("a.csv", "start_s,end_s,label\n2,1,jump\n", "line 2: must begin at 0 or later and end after that"),
        ("a.csv", "start_s,end_s,label\n", "holds no segment"),
        ("a.txt", "hello\n", "holds no segment"),
        ("a.txt", "0:20 jump\n0:10 run\n", "line 2: 0:10 comes after a later time"),
        ("a.eaf", "<a/>", "is XML, but not of a known form; expected ELAN"),
        ("a.eaf", "<a", "is not XML that can be read"),
        ("a.json", '{"a": 1}', "is JSON, but not of a known form; expected VIA 3"),
        ("a.json", "{", "JSON that cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_told(tmp_path, name, text, says):
    with pytest.raises(KinemeError, match=says):
        read(tmp_path, name, text)


def test_clock_times():
    assert [seconds(text) for text in ("75", "1:15", "1:02:15.5", "0:00,25")] == [75, 75, 3735.5, 0.25]
    for text in ("", "a", "1:2:3:4", "nan", "inf"):
        with pytest.raises(ValueError, match=r".*"):
            seconds(text)


def test_a_long_video_becomes_a_folder_that_train_takes(tmp_path):
    video = numbered_video(tmp_path / "party.mp4", 75, options={"g": "10", "bf": "0", "sc_threshold": "0"})
    table = tmp_path / "segments.csv"
    table.write_text("start_s,end_s,label\n0.4,1.2,jump\n1.36,2,sit/down\n2.4,9,jump\n")
    out = tmp_path / "clips"
    made = split_video(video, table, out)
    assert [clip.copied for clip, _ in made.clips] == [True, False, True]
    assert len(made.warnings) == 1
    assert "ends at 9 s, cut at the end of the video (3.00 s)" in made.warnings[0]
    rows = scan(out).rows
    assert rows["name"].to_list() == ["jump/party_001.mp4", "jump/party_003.mp4", "sit_down/party_002.mp4"]
    assert rows["label"].to_list() == ["jump", "jump", "sit/down"]
    assert set(rows["group"]) == {"party.mp4"}
    numbers = {row["name"]: [read_number(f.pixels_HWC) for f in read_frames(row["path"])] for row in rows.to_dicts()}
    assert numbers["jump/party_001.mp4"] == list(range(10, 30))
    assert numbers["sit_down/party_002.mp4"] == list(range(34, 50))
    assert numbers["jump/party_003.mp4"] == list(range(60, 75))

    other = numbered_video(tmp_path / "other.mp4", 50)
    (tmp_path / "stamps.txt").write_text("0:00 wave\n0:01 jump")
    split_video(other, tmp_path / "stamps.txt", out)
    assert sorted(set(scan(out).rows["group"])) == ["other.mp4", "party.mp4"]
    table.write_text("start_s,end_s,label\n0.4,1.2,jump\n")
    again = split_video(video, table, out)  # its clips take the place of the earlier ones
    assert len(scan(out)) == 3
    assert "2 clips of an earlier run are listed no more" in again.warnings[0]
    (tmp_path / "b").mkdir()
    with pytest.raises(KinemeError, match=r"clips of another video named party\.mp4"):
        split_video(video.rename(tmp_path / "b" / "party.mp4"), table, out)


def test_a_segment_after_the_end_is_an_error(tmp_path):
    table = tmp_path / "segments.csv"
    table.write_text("start_s,end_s,label\n0.4,1.2,jump\n5,6,run\n")
    with pytest.raises(KinemeError, match=r"line 3: begins at 5 s, and the video ends at 1\.00 s"):
        split_video(numbered_video(tmp_path / "v.mp4", 25), table, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_of_several_videos_gives_each_its_own_rows_and_groups(tmp_path):
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
    first = numbered_video(tmp_path / "monday" / "cam.mp4", 50)
    second = numbered_video(tmp_path / "tuesday" / "cam.mp4", 50)
    table = tmp_path / "labels.csv"
    table.write_text(
        "path,start_s,end_s,label,group\nmonday/cam.mp4,0,0.8,jump,anna\ntuesday/cam.mp4,0.4,1.2,run,ben\n"
        "monday/cam.mp4,1,1.8,run,carl\n"
    )
    made = split_video(first, table, tmp_path / "one")
    assert [(clip.start_s, label) for clip, label in made.clips] == [(0.0, "jump"), (1.0, "run")]
    assert scan(tmp_path / "one").rows.select("label", "group").rows() == [("jump", "anna"), ("run", "carl")]
    moved = first.rename(tmp_path / "cam.mp4")
    with pytest.raises(KinemeError, match=r"2 videos called cam\.mp4, none of them this one"):
        split_video(moved, table, tmp_path / "moved")
    with pytest.raises(KinemeError, match=r"is about 'monday/cam\.mp4', .*none of which is other\.mp4"):
        split_video(second.rename(tmp_path / "other.mp4"), table, tmp_path / "moved")
    table.write_text("path,start_s,end_s,label\nold/cam.mp4,0,0.8,jump\nold/b.mp4,0,1,run\n")
    assert [label for _, label in split_video(moved, table, tmp_path / "moved").clips] == ["jump"]  # by its name alone


def test_a_whole_table_is_split_in_one_call_and_a_bad_video_costs_only_itself(tmp_path):
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        numbered_video(tmp_path / day / "cam.mp4", 50)
    (tmp_path / "noise.mp4").write_bytes(b"no video")
    table = tmp_path / "labels.csv"
    rows = "monday/cam.mp4,0,0.8,jump\ntuesday/cam.mp4,0.4,1.2,run\nnoise.mp4,0,1,run\nmonday/cam.mp4,1,1.8,run\n"
    table.write_text("path,start_s,end_s,label\n" + rows)
    made = split_sheet(table, tmp_path / "clips")
    assert len(made.clips) == 3
    assert len(made.errors) == 1
    assert "noise.mp4" in made.errors[0]
    found = scan(tmp_path / "clips").rows
    assert len(set(found["path"])) == 3
    assert set(found.select("label", "group").rows()) == {
        ("jump", "monday/cam.mp4"),
        ("run", "monday/cam.mp4"),
        ("run", "tuesday/cam.mp4"),
    }
    assert len(split_sheet(table, tmp_path / "clips").clips) == 3  # again: in the place of the earlier ones
    assert len(scan(tmp_path / "clips")) == 3
    table.write_text("start_s,end_s,label\n0,1,jump\n")
    with pytest.raises(KinemeError, match="needs a column 'path'"):
        split_sheet(table, tmp_path / "clips")


def test_videos_whose_clips_would_have_one_name_are_kept_apart(tmp_path):
    (tmp_path / "stamps.txt").write_text("0:00 jump")
    split_video(numbered_video(tmp_path / "a.mp4", 25), tmp_path / "stamps.txt", tmp_path / "clips")
    with pytest.raises(KinemeError, match="holds clips of another video"):
        split_video(numbered_video(tmp_path / "a.mkv", 25), tmp_path / "stamps.txt", tmp_path / "clips")


def test_a_label_of_any_length_becomes_a_folder(tmp_path):
    names = {folder_of(label) for label in ("ж" * 300, "CON", "..", "sit/down", "a")}
    assert names >= {"_CON", "_", "sit_down", "a"}
    assert all(len(name.encode()) <= 120 for name in names)
