"""Annotations as other tools export them: each form with what its published format allows, and back again."""

from __future__ import annotations

import json
import zipfile

import pytest
from helpers_video import encode, numbered_frame, numbered_video

from kineme.cli.main import main
from kineme.dataset.annotations.read import FORMS, read_segments, read_segments_by_video
from kineme.dataset.annotations.segment import Segment
from kineme.dataset.annotations.write import write_segments
from kineme.dataset.long_videos import split_sheet
from kineme.dataset.scan import scan
from kineme.errors import KinemeError, UsageError
from kineme.video.frame_times import frame_times


@pytest.fixture(scope="module")
def party(tmp_path_factory):
    """A video of 3 s at 25 frames a second."""
    return numbered_video(tmp_path_factory.mktemp("video") / "party.mp4", 75)


def spans(segments):
    return [(round(one.start_s, 4), None if one.end_s is None else round(one.end_s, 4), one.label) for one in segments]


def read(folder, name, content, video, **how):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    segments, left_out = read_segments(path, video, **how)
    return spans(segments), left_out


BORIS_8 = (
    "Observation id,Observation date,Description,Observation type,Source,Time offset (s),Media duration (s),FPS,"
    "Subject,Behavior,Behavioral category,Behavior type,Time,Media file name,Image index,Comment\n"
    "o1,2026-01-01,,Media file(s),player #1:party.mp4,0.0,3.0,25,{who},jump,,START,0.4,/home/me/party.mp4,10,\n"
    'o1,2026-01-01,,Media file(s),player #1:party.mp4,0.0,3.0,25,{who},jump,,START,0.6,other.mp4,15,"a, b"\n'
    "o1,2026-01-01,,Media file(s),player #1:party.mp4,0.0,3.0,25,{who},look,,POINT,0.8,/home/me/party.mp4,20,\n"
    "o1,2026-01-01,,Media file(s),player #1:party.mp4,0.0,3.0,25,{who},jump,,STOP,1.2,/home/me/party.mp4,30,\n"
    "o1,2026-01-01,,Media file(s),player #1:party.mp4,0.0,3.0,25,{who},run,,STOP,1.3,/home/me/party.mp4,32,\n"
    "o1,2026-01-01,,Media file(s),player #1:party.mp4,0.0,3.0,25,{who},run,,START,2.0,/home/me/party.mp4,50,\n"
    "o1,2026-01-01,,Media file(s),player #1:party.mp4,0.0,3.0,25,{who},jump,,STOP,1.5,other.mp4,30,\n"
)


def test_boris_events(tmp_path, party):
    found, left_out = read(tmp_path, "a.csv", BORIS_8.replace("{who}", "No focal subject"), party)
    assert found == [(0.4, 1.2, "jump")]
    told = "\n".join(left_out)
    assert ["point in time" in told, "stops without a start" in told, "starts and never stops" in told] == [True] * 3
    facts = "Observation id\tobservation #1\t\t\n\t\t\t\nMedia file(s)\t\t\t\nPlayer #1\tparty.mp4\t\t\n\t\t\t\n"
    head = "Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tBehavioral category\tComment\tStatus\t\t\n"
    rows = "0.400\tparty.mp4\t3.0\t25.0\tanna\tjump\t\t\tSTART\t\t\n1.200\tparty.mp4\t3.0\t25.0\tanna\tjump\t\t\tSTOP\n"
    assert read(tmp_path, "b.tsv", facts + head + rows, party)[0] == [(0.4, 1.2, "jump")]
    both = head + rows + rows.replace("anna", "ben").replace("1.200", "1.500")
    with pytest.raises(UsageError, match="several tiers, 'anna', 'ben'; choose one with --tier, or all"):
        read(tmp_path, "c.tsv", both, party)
    assert read(tmp_path, "c.tsv", both, party, tier="ben")[0] == [(0.4, 1.5, "jump")]
    assert len(read(tmp_path, "c.tsv", both, party, tier="all")[0]) == 2


def test_boris_aggregated_events(tmp_path, party):
    text = (
        "Observation id\tMedia file\tTotal length\tFPS\tSubject\tBehavior\tBehavior type\tStart (s)\tStop (s)\t"
        "Duration (s)\tComment start\nx\tparty.mp4\t3\t25.0\tNo focal subject\tjump\tSTATE\t0.4\t1.2\t0.8\t\n"
        "x\tparty.mp4\t3\t25.0\tNo focal subject\tlook\tPOINT\t1.4\t1.4\tNA\t\n"
    )
    found, left_out = read(tmp_path, "a.tsv", text, party)
    assert found == [(0.4, 1.2, "jump")]
    assert "'look' is a point in time" in left_out[0]


def test_label_studio_counts_frames_from_one_and_both_ends_belong(tmp_path, party):
    def region(first, last, label):
        value = {"ranges": [{"start": first, "end": last}], "timelinelabels": [label]}
        return {"type": "timelinelabels", "from_name": "acts", "to_name": "video", "value": value}

    box = {"type": "videorectangle", "value": {"framesCount": 75, "duration": 3.0, "sequence": [], "labels": ["hand"]}}
    tasks = [
        {
            "id": 7,
            "data": {"video": "/data/upload/1/0a1b2c3d-party.mp4"},
            "annotations": [
                {"was_cancelled": True, "result": [region(1, 75, "wrong")]},
                {"was_cancelled": False, "result": [region(11, 30, "jump"), box]},
            ],
            "predictions": [{"result": [region(1, 2, "guess")]}],
        },
        {"id": 8, "data": {"video": "s3://bucket/other.mp4"}, "annotations": [{"result": [region(1, 5, "run")]}]},
    ]
    found, left_out = read(tmp_path, "a.json", json.dumps(tasks), party)
    assert found == [(0.4, 1.2, "jump")]
    assert "'videorectangle' is no segment" in left_out[0]
    short = [{"id": 1, "video": "/data/local-files/?d=films/party.mp4", "acts": [region(11, 30, "jump")["value"]]}]
    assert read(tmp_path, "b.json", json.dumps(short), party)[0] == found
    with pytest.raises(KinemeError, match="names frame 79, and the video has 75 frames"):
        read(tmp_path, "c.json", json.dumps(tasks).replace('"end": 30', '"end": 79'), party)
    with pytest.raises(KinemeError, match="a frame must be a whole number from 1 on"):
        read(tmp_path, "c.json", json.dumps(tasks).replace('"start": 11', '"start": 0'), party)


def test_label_studio_on_sound_is_in_seconds(tmp_path, party):
    value = {"start": 0.4, "end": 1.2, "channel": 0, "labels": ["jump"]}
    task = {"id": 1, "data": {"video": "party.mp4"}, "annotations": [{"result": [{"type": "labels", "value": value}]}]}
    assert read(tmp_path, "a.json", json.dumps([task]), party)[0] == [(0.4, 1.2, "jump")]


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><id>3</id><size>38</size><start_frame>{start}</start_frame>
<frame_filter>{filter}</frame_filter><source>party.mp4</source></task></meta>
<track id="0" label="person" source="manual">
<box frame="5" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9" z_order="0">
<attribute name="action">jump</attribute></box>
<box frame="10" keyframe="1" outside="0" occluded="1" xtl="1" ytl="1" xbr="9" ybr="9" z_order="0">
<attribute name="action">run</attribute></box>
<box frame="15" keyframe="1" outside="1" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9" z_order="0">
<attribute name="action">run</attribute></box>
<box frame="20" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9" z_order="0">
<attribute name="action">jump</attribute></box>
<box frame="24" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9" z_order="0">
<attribute name="action">jump</attribute></box>
</track></annotations>"""


def test_cvat_tracks_by_label_or_attribute_and_in_steps(tmp_path, party):
    plain = CVAT.replace("{start}", "0").replace("{filter}", "")
    with pytest.raises(UsageError, match="several tiers, 'action', 'label'"):
        read(tmp_path, "a.xml", plain, party)
    assert read(tmp_path, "a.xml", plain, party, tier="label")[0] == [(0.2, 0.6, "person"), (0.8, 1.0, "person")]
    actions = [(0.2, 0.4, "jump"), (0.4, 0.6, "run"), (0.8, 1.0, "jump")]
    assert read(tmp_path, "a.xml", plain, party, tier="action")[0] == actions
    steps = CVAT.replace("{start}", "10").replace("{filter}", "step=2")
    assert read(tmp_path, "b.xml", steps, party, tier="label")[0][0] == (0.8, 1.6, "person")


def test_cvat_tags_on_frames_that_follow_each_other_are_a_segment(tmp_path, party):
    tagged = {10: "jump", 11: "jump", 12: "jump", 20: "jump", 21: "run"}
    images = "".join(
        f'<image id="{n}" name="frame_{n:06}" width="128" height="96"><tag label="{label}" source="manual"/></image>'
        for n, label in tagged.items()
    )
    box = '<image id="30" name="f" width="1" height="1"><box label="x" xtl="0" ytl="0" xbr="1" ybr="1"/></image>'
    found, left_out = read(tmp_path, "a.xml", f"<annotations>{images}{box}</annotations>", party)
    assert found == [(0.4, 0.52, "jump"), (0.8, 0.84, "jump"), (0.84, 0.88, "run")]
    assert "marks a picture" in left_out[0]


def test_create_ml_and_segments_listed_by_video(tmp_path, party):
    rows = [
        {"file_name": "party.mp4", "label": "Jumping Jacks", "start_time": "00:00:00.4", "end_time": 1.2},
        {"file_name": "other.mp4", "label": "Squats", "start_time": 0, "end_time": 1},
        {"file_name": "party.mp4", "label": "Rest"},
    ]
    found, _ = read(tmp_path, "a.json", json.dumps(rows), party)
    assert found == [(0.0, None, "Rest"), (0.4, 1.2, "Jumping Jacks")]
    nested = {"video": "party.mp4", "segments": [{"start": 0.4, "end": 1.2, "class": "jump"}]}
    assert read(tmp_path, "b.json", json.dumps(nested), party)[0] == [(0.4, 1.2, "jump")]
    counted = {"video": "party.mp4", "segments": [{"start_frame": 10, "end_frame": 29, "class": "jump"}]}
    assert read(tmp_path, "b.json", json.dumps(counted), party)[0] == [(0.4, 1.2, "jump")]


def test_automl_video(tmp_path, party):
    plain = (
        "TRAINING,gs://bucket/day 1/party.mp4,jump,0.4,1.2\nTEST,gs://bucket/day 1/party.mp4,run,2,inf\n"
        ",gs://bucket/party2.mp4,run,,\ngs://bucket/day 1/party.mp4\nTEST,gs://bucket/more.csv\n"
    )
    found, left_out = read(tmp_path, "a.csv", plain, party)
    assert found == [(0.4, 1.2, "jump"), (2.0, None, "run")]
    assert ["has no label" in left_out[0], "names another list" in left_out[1]] == [True, True]
    action = (
        "VIDEO_URI,TIME_SEGMENT_START,TIME_SEGMENT_END,LABEL,ANNOTATION_FRAME_TIMESTAMP\n"
        "gs://b/party.mp4,0.4,1.2,jump,0.8\ngs://b/party.mp4,2,inf,run,\ngs://b/party.mp4,,,run,2.5\n"
    )
    found, left_out = read(tmp_path, "b.csv", action, party)
    assert found == [(0.4, 1.2, "jump"), (2.0, None, "run")]
    assert "'run' is a single instant" in left_out[0]
    lines = [
        {
            "videoGcsUri": "gs://b/party.mp4",
            "timeSegmentAnnotations": [{"displayName": "jump", "startTime": "0.4s", "endTime": "1.200000s"}],
        },
        {"videoGcsUri": "gs://b/party.mp4", "timeSegmentAnnotations": [{"displayName": "run", "startTime": "2s"}]},
    ]
    assert read(tmp_path, "c.jsonl", "\n".join(map(json.dumps, lines)), party)[0] == found


def test_tables_as_clinics_and_schools_have_them(tmp_path, party):
    text = "sep=;\nDatei;Von;Bis;Übung;Notiz\nparty.mp4;0:00,4;0:01,2;Kniebeuge links;\nparty.mp4;2,4;2,8;Übung ß;x\n"
    wanted = [(0.4, 1.2, "Kniebeuge links"), (2.4, 2.8, "Übung ß")]
    columns = {"path": "datei", "start_s": "Von", "end_s": "Bis", "label": "Übung"}
    for encoding in ("cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-8"):
        content = text.replace("\n", "\r\n").encode(encoding)
        assert read(tmp_path, "a.csv", content, party, columns=columns)[0] == wanted, encoding
    frames = "Datei;Von;Bis;Übung\nparty.mp4;10;29;Kniebeuge\n"
    columns = {"path": "Datei", "start_frame": "Von", "end_frame": "Bis", "label": "Übung"}
    assert read(tmp_path, "b.csv", frames, party, columns=columns)[0] == [(0.4, 1.2, "Kniebeuge")]
    with pytest.raises(UsageError, match="has no column 'Film'; it has 'datei', 'von', 'bis', 'übung'"):
        read(tmp_path, "b.csv", frames, party, columns={"path": "Film"})


def workbook(path, rows):
    """A workbook as ECMA-376 has it, with the least of parts: text inline, the first row the names."""

    def cell(value):
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        number, style = value if isinstance(value, tuple) else (value, 0)
        return f'<c s="{style}"><v>{number}</v></c>'

    main_ns = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    body = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{kind}.styles+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main_ns}" xmlns:r="{office}"><sheets>'
        '<sheet name="Tabelle1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" '
        f'Type="{office}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main_ns}"><cellXfs count="2"><xf numFmtId="0"/>'
        '<xf numFmtId="46"/></cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main_ns}"><sheetData>{body}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in parts.items():
            packed.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}')
    return path


def test_a_workbook_is_a_table(tmp_path, party):
    day = 86400.0
    rows = [["Datei", "start_s", "end_s", "label"], ["party.mp4", 0.4, (1.2 / day, 1), "jump"], [], ["party.mp4", 2]]
    rows[3] += [3, "sit down"]
    path = workbook(tmp_path / "labels.xlsx", rows)
    segments, _ = read_segments(path, party, columns={"path": "Datei"})
    assert spans(segments) == [(0.4, 1.2, "jump"), (2.0, 3.0, "sit down")]
    (tmp_path / "a.mp4").write_bytes(b"x")
    clips = workbook(tmp_path / "clips.xlsx", [["path", "label", "group"], ["a.mp4", "jump", 7]])
    assert scan(clips).rows.select("label", "group").rows() == [("jump", "7")]
    for name, content in (("b.xlsx", b"PK\x03\x04no zip"), ("c.xlsx", b"hello")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(KinemeError, match=r"is not a workbook that can be read"):
            read_segments(tmp_path / name, party)


def test_a_workbook_that_grows_beyond_measure_is_not_unpacked(tmp_path, party):
    path = workbook(tmp_path / "bomb.xlsx", [["path", "label"]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/more.xml", b"0")
        packed.getinfo("xl/more.xml").file_size = 501_000_000  # what the directory of the file promises
    with pytest.raises(KinemeError, match="has more than 500 MB, too much for a table"):
        read_segments(path, party)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.xml", "<html/>", "is XML, but not of a known form; expected ELAN .* or CVAT"),
        ("a.json", '[{"image": "a.png"}]', "is JSON, but not of a known form; expected VIA 3 .* or Create ML"),
        ("a.json", '{"a": 1}\n{"b"', "holds JSON that cannot be read"),
        ("a.csv", "film,what\nx,y\n", "needs the columns start_s, end_s and label .*--columns label=NAME"),
        ("a.csv", b"a\xff\x81\x8d\x8f", "is not a CSV or other text"),
        ("a.xml", '<!DOCTYPE x [<!ENTITY a "b">]><annotations>&a;</annotations>', "has a DOCTYPE"),
        ("a.csv", "start_frame,label\n1.5,x\n", "a frame must be a whole number"),
        ("a.xml", '<annotations><track label="x"><box frame="no"/></track></annotations>', "a time must be a number"),
    ],
)
def test_a_wrong_form_is_told_in_one_line_with_what_was_expected(tmp_path, party, name, text, says):
    with pytest.raises(KinemeError, match=says) as error:
        read(tmp_path, name, text, party)
    assert "\n" not in str(error.value)


def test_frame_numbers_become_seconds_by_the_videos_own_time_stamps(tmp_path):
    times_s = [0.0, 0.1, 0.5, 0.52, 0.9, 1.7, 1.8, 2.0]
    frames = [numbered_frame(number) for number in range(len(times_s))]
    video = encode(tmp_path / "phone.mp4", frames, times_s=times_s, options={"bf": "2"})
    found, _ = read(tmp_path, "a.csv", "start_frame,end_frame,label\n1,3,jump\n5,,run\n", video)
    assert found == [(0.1, 0.9, "jump"), (1.7, None, "run")]
    assert frame_times(numbered_video(tmp_path / "old.avi", 10, codec="mpeg4"))[:3].tolist() == [0.0, 0.04, 0.08]


WRITTEN = [Segment(0.4, 1.2, "jump"), Segment(0.8, 2.0, 'sit & "down"'), Segment(2.4, None, "jump")]


@pytest.mark.parametrize("target", ["csv", "elan", "label-studio", "via"])
def test_what_is_written_in_a_form_reads_back_the_same(tmp_path, target):
    video = numbered_video(tmp_path / "party.mp4", 75)
    other = numbered_video(tmp_path / "other film.mp4", 25)
    out = tmp_path / ("films" if target == "elan" else f"labels.{'csv' if target == 'csv' else 'json'}")
    files = write_segments({video: WRITTEN, other: [Segment(0.2, 0.6, "run")]}, out, target)
    back, _ = read_segments(files[0], video, tier=None if target in ("csv", "via", "label-studio") else "all")
    end = None if target == "csv" else 3.0
    assert spans(back) == [(0.4, 1.2, "jump"), (0.8, 2.0, 'sit & "down"'), (2.4, end, "jump")]
    assert spans(read_segments(files[-1], other)[0]) == [(0.2, 0.6, "run")]
    if target != "elan":
        assert set(read_segments_by_video(files[0])[0]) == {video, other}


def test_every_form_is_found_once():
    assert len({form.name for form in FORMS}) == len(FORMS)


def test_segments_that_name_their_videos_are_cut_or_converted_by_the_command(tmp_path, monkeypatch, capsys):
    numbered_video(tmp_path / "party.mp4", 75)
    (tmp_path / "google.csv").write_text("gs://b/party.mp4,jump,0.4,1.2\ngs://b/party.mp4,run,2,inf\n")
    assert [label for _, label in split_sheet(tmp_path / "google.csv", tmp_path / "clips").clips] == ["jump", "run"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["kineme", "datasets", "convert", "google.csv", "labels.csv"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out == "Written  labels.csv\n2 segments of 1 videos\n"
    assert scan("labels.csv").rows.select("label", "start_s", "end_s").rows() == [
        ("jump", 0.4, 1.2),
        ("run", 2.0, None),
    ]
    arguments = ["google.csv", "x", "--to", "eaf"]
    monkeypatch.setattr("sys.argv", ["kineme", "datasets", "convert", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "must be one of csv, elan, label-studio, via, not 'eaf'" in capsys.readouterr().err
