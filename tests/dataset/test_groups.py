"""Groups from genuine file names of public sets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kineme.dataset.groups import guess_groups
from kineme.dataset.scan import scan

UCF101_LISTS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ucf101-splits"


@pytest.mark.parametrize(
    ("source", "names_to_groups"),
    [
        (
            "UCF names (v_X_gNN_cNN)",
            {
                "HandstandPushups/v_HandStandPushups_g01_c01.avi": "HandStandPushups_g01",
                "HandstandPushups/v_HandStandPushups_g01_c02.avi": "HandStandPushups_g01",
                "YoYo/v_YoYo_g25_c05.avi": "YoYo_g25",
                "YoYo/v_YoYo_g01_c01.avi": "YoYo_g01",
            },
        ),
        (
            "KTH names (personNN_)",
            {
                "boxing/person01_boxing_d1_uncomp.avi": "person01",
                "handwaving/person01_handwaving_d4_uncomp.avi": "person01",
                "running/person25_running_d2_uncomp.avi": "person25",
                "sit-down/person07_sit-down_03.mp4": "person07",
            },
        ),
        (
            "Weizmann names (person_action)",
            {
                "walk/daria_walk.avi": "daria",
                "walk/lena_walk1.avi": "lena",
                "run/lena_run2.avi": "lena",
                "wave1/shahar_wave1.avi": "shahar",
                "pjump/eli_pjump.avi": "eli",
            },
        ),
        (
            "HMDB51 names (source_action_..._N)",
            {
                "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi": "April_09",
                "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_1.avi": "April_09",
                "clap/#20_Rhythm_clap_u_nm_np1_fr_goo_0.avi": "#20_Rhythm",
                "climb/(HQ)_Rock_Climbing_-_Free_Solo_climb_f_cm_np1_ba_bad_0.avi": "(HQ)_Rock_Climbing_-_Free_Solo",
                "sword/AHF_longsword_against_Rapier_and_Dagger_Fight_sword_f_cm_np2_ri_bad_0.avi": (
                    "AHF_longsword_against_Rapier_and_Dagger_Fight"
                ),
                "draw_sword/LOTR_draw_sword_u_cm_np1_fr_med_3.avi": "LOTR",
            },
        ),
        ("one group per video", {"a/20240101_120000.mp4": "a/20240101_120000.mp4", "b/IMG_1.MOV": "b/IMG_1.MOV"}),
    ],
)
def test_groups_of_known_names(source, names_to_groups):
    names = list(names_to_groups)
    groups, phrase = guess_groups(names, [name.split("/")[0] for name in names])
    assert dict(zip(names, groups, strict=True)) == names_to_groups
    assert phrase == source


def test_a_few_other_names_become_groups_of_their_own_and_are_told_of(tmp_path):
    names = ["box/person01_box_1.mp4", "box/person02_box_1.mp4", "run/person01_run_1.mp4", "run/mine.mp4"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    table = scan(tmp_path)
    assert sorted(table.rows["group"]) == ["person01", "person01", "person02", "run/mine.mp4"]
    assert table.group_source == "KTH names (personNN_), and one group per video for the 1 named otherwise"
    assert any("1 named otherwise" in warning for warning in table.warnings)


def test_known_names_carry_no_warning(tmp_path):
    for name in ("boxing/person01_boxing_d1_uncomp.avi", "running/person02_running_d1_uncomp.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert scan(tmp_path).warnings == ()


@pytest.mark.skipif(not UCF101_LISTS.is_dir(), reason="needs shared/data/ucf101-splits beside the repository")
@pytest.mark.parametrize(("number", "test_numbers"), [(1, range(1, 8)), (2, range(8, 15)), (3, range(15, 22))])
def test_the_official_ucf101_lists_follow_from_the_groups(number, test_numbers):
    def read(kind: str) -> set[str]:
        return {line.split()[0] for line in (UCF101_LISTS / f"{kind}list0{number}.txt").read_text().splitlines()}

    train, test = read("train"), read("test")
    names = sorted(train | test)
    assert len(names) == 13_320
    groups, phrase = guess_groups(names, [name.split("/")[0] for name in names])
    assert phrase == "UCF names (v_X_gNN_cNN)"
    assert len(set(groups)) == 101 * 25
    by_name = dict(zip(names, groups, strict=True))
    assert {name for name in names if int(re.search(r"\d+$", by_name[name])[0]) in test_numbers} == test
    assert not {by_name[name] for name in train} & {by_name[name] for name in test}
