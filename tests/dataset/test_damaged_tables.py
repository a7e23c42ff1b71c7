"""Every reader of tables and labels ends in a result or in one clear line, whatever the file holds."""

from __future__ import annotations

import contextlib
import json
import random
import re
from pathlib import Path

import pytest
from helpers_video import numbered_video

from kineme.dataset.annotations.read import read_segments, read_segments_by_video
from kineme.dataset.audit.quarantine import quarantine_files
from kineme.dataset.long_videos import split_sheet, split_video
from kineme.dataset.public.layouts import HMDB51, UCF101, Video
from kineme.dataset.scan import scan
from kineme.dataset.split_csv import read_split_csv
from kineme.errors import KinemeError

ELAN = (
    '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT><HEADER><MEDIA_DESCRIPTOR MEDIA_URL="a/game.mp4" '
    'TIME_ORIGIN="0"/></HEADER><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="100"/><TIME_SLOT TIME_SLOT_ID="t2" '
    'TIME_VALUE="900"/></TIME_ORDER><TIER TIER_ID="acts"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" '
    'TIME_SLOT_REF1="t1" TIME_SLOT_REF2="t2"><ANNOTATION_VALUE>jump</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>'
    "</ANNOTATION></TIER></ANNOTATION_DOCUMENT>"
)
VIA = json.dumps(
    {
        "attribute": {"1": {"aname": "act", "options": {"0": "jump"}}},
        "file": {"1": {"fname": "game.mp4"}},
        "view": {"1": {"fid_list": ["1"]}},
        "metadata": {"m": {"vid": "1", "z": [0.1, 0.9], "xy": [], "av": {"1": "0"}}},
    }
)
VIA_CSV = (
    '# ATTRIBUTES = {"1":{"aname":"act","options":{"0":"jump"}}}\n'
    "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata\n"
    '"m","[""game.mp4""]",0,"[0.1,0.9]","[]","{""1"":""0""}"\n'
)
CVAT = (
    '<?xml version="1.0"?><annotations><meta><task><start_frame>0</start_frame><source>game.mp4</source></task></meta>'
    '<track id="0" label="jump"><box frame="5" outside="0"><attribute name="act">jump</attribute></box>'
    '<box frame="9" outside="1"/></track><image id="3"><tag label="run"/></image></annotations>'
)
STUDIO = json.dumps(
    [
        {
            "data": {"video": "game.mp4"},
            "annotations": [
                {"result": [{"type": "labels", "value": {"start": 0.1, "end": 0.9, "labels": ["jump"]}}]},
            ],
        }
    ]
)
CREATE_ML = json.dumps([{"video": "game.mp4", "label": "jump", "start": "0:00.1", "end": 0.9}])
AUTOML = "TRAIN,gs://b/game.mp4,jump,0,0.5\ngs://b/game.mp4,0.5,inf,run,0.7\n"
VERTEX = '{"videoGcsUri":"gs://b/game.mp4","timeSegmentAnnotations":[{"displayName":"run","startTime":"0.1s"}]}\n'
BORIS = (
    "Observation id\tx\nTime\tMedia file path\tSubject\tBehavior\tStatus\n0.1\tgame.mp4\ta\tjump\tSTART\n"
    "0.9\tgame.mp4\ta\tjump\tSTOP\n"
)
SEGMENTS = "path,start_s,end_s,label,group\ngame.mp4,0,0.5,jump,anna\ngame.mp4,0:00.5,,run,ben\n"
STAMPS = "Chapters\n0:00 jump\n0:00.4-0:00.8 run\n"
CLIPS = (
    "path,label,group,split,start_s,end_s,fold,name,labelled_throughout\n"
    "game.mp4,wave,anna,train,0,1,x,game.mp4,yes\nother.mp4,squat,ben,test,0.5,,y,other.mp4,\n"
)
FILES = {"a.eaf": ELAN, "a.json": VIA, "b.csv": VIA_CSV, "a.csv": SEGMENTS, "a.txt": STAMPS, "clips.csv": CLIPS}
FILES |= {"a.xml": CVAT, "b.json": STUDIO, "c.json": CREATE_ML, "c.csv": AUTOML, "d.json": VERTEX * 2, "d.csv": BORIS}
CUTS = "path,source,asked_start_s,asked_end_s,start_s,end_s,frames,how\nx_001.mp4,/x.mp4,0,1,0,1,25,copied\n"
LISTS = {
    "trainlist01.txt": "wave/v_Wave_g01_c01.avi 1\n",
    "brush_hair_test_split1.txt": "a_brush_hair.avi 1\nb.avi 2\n",
}
ODD = ["", "0", "-1", "1e400", "nan", "9" * 5000, "1:2:3:4", "null", "[]", "{}", "true", '"', "\x00", "\r", "\n", ","]
ODD += ["<", "&x;", "../..", "/" * 300, "a" * 300, "a" * 200_000, "12.5", "\u00b2", "\u2028", '{"a":' * 3000]


def damaged(text: str, rng: random.Random) -> str:
    """The text with one to four things put in, left out, exchanged, repeated, or taken from another kind of file."""
    for _ in range(rng.randint(1, 4)):
        first = rng.randrange(len(text) + 1)
        last = min(len(text), first + rng.randint(0, 12))
        marks = list(re.finditer(r'"[^"]*"|[\w.:]+', text))
        how = rng.randrange(6)
        if how == 0:
            text = text[:first] + rng.choice(ODD) + text[last:]
        elif how == 1:
            text = text[:first]
        elif how == 2:
            text = text[:first] + text[first:last] * rng.randint(0, 30) + text[last:]
        elif how == 3 and marks:
            mark = rng.choice(marks)
            text = text[: mark.start()] + rng.choice(ODD) + text[mark.end() :]
        elif how == 4:
            text = text[:first] + chr(rng.choice([0, 10, 13, 34, 44, 0x2028, 0xFEFF, 0xD800, 955])) + text[first:]
        else:
            text = text[:first] + rng.choice(list(FILES.values())) + text[first:]
    return text


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


@pytest.mark.parametrize("seed", range(3))
def test_damaged_labels_and_tables_end_in_a_result_or_one_line(tmp_path, seed):
    video = write(tmp_path / "game.mp4", "x")
    write(tmp_path / "other.mp4", "x")
    results = 0
    for case in range(400):
        rng = random.Random(seed * 1000 + case)
        name = rng.choice(sorted(FILES))
        path = write(tmp_path / name, damaged(FILES[name], rng))
        readers = [lambda: scan(path), lambda: read_split_csv(path, tmp_path)]  # noqa: B023 - called at once
        if name != "clips.csv":
            readers = [lambda: read_segments(path, video), lambda: read_segments_by_video(path)]  # noqa: B023
        for read in readers:
            try:
                read()
                results += 1
            except KinemeError:
                pass
    assert results > 20


@pytest.mark.parametrize("seed", range(3))
def test_damaged_tables_of_earlier_runs_end_in_a_result_or_one_line(tmp_path, seed):
    video = numbered_video(tmp_path / "game.mp4", 25)
    labels = write(tmp_path / "labels.csv", "path,start_s,end_s,label\ngame.mp4,0,0.4,jump\n")
    rng = random.Random(seed)
    for case in range(12):
        out = tmp_path / f"clips{case}"
        write(out / "cuts.csv", damaged(CUTS, rng))
        write(out / "clips.csv", damaged(CLIPS, rng))
        data = tmp_path / f"set{case}"
        write(tmp_path / f"set{case}-quarantine" / "reasons.csv", damaged("file,moved_to,reason\na.mp4,a.mp4,x\n", rng))
        broken = {str(write(data / "b.mp4", "")): "is empty"}
        for do in (
            lambda: split_sheet(labels, out),  # noqa: B023
            lambda: split_video(video, labels, out),  # noqa: B023
            lambda: quarantine_files(data, broken),  # noqa: B023
        ):
            with contextlib.suppress(KinemeError):
                do()


def test_damaged_lists_of_public_sets_end_in_tables_or_one_line():
    for case in range(300):
        rng = random.Random(case)
        videos = [Video(path="wave/v_Wave_g01_c01.avi", label="wave", group="g01")]
        lists = {
            name.replace("1.txt", f"{n}.txt"): damaged(text, rng) for name, text in LISTS.items() for n in (1, 2, 3)
        }
        for layout in (UCF101, HMDB51):
            with contextlib.suppress(KinemeError):
                assert "clips" in layout.tables(videos, lists)
