"""What a training will take, and that one which cannot fit is refused before it begins."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers_dataset import kineme, make_videos

from kineme.errors import KinemeError
from kineme.memory import total_bytes
from kineme.models.registry import APPROACHES, BACKBONES, find_backbone, make_approach
from kineme.training.options import TrainOptions
from kineme.training.resources import estimate_resources, refuse_too_much_memory
from kineme.video.spec import ClipSpec


@pytest.mark.parametrize("name", sorted(APPROACHES))
def test_every_approach_may_train_as_it_comes_and_not_on_absurd_clips(name):
    approach = make_approach(name)
    usual = find_backbone(approach.backbone).spec
    refuse_too_much_memory(approach, usual, TrainOptions())
    if find_backbone(approach.backbone).sees == "landmarks":
        return  # its clips are a few numbers a frame
    if total_bytes() is None:
        pytest.skip("this system does not tell how much memory there is")
    absurd = replace(usual, frames=4096, height=2048, width=2048)
    with pytest.raises(KinemeError, match=r"clips of 4096 frames of 2048 x 2048 .* choose smaller --frames"):
        refuse_too_much_memory(approach, absurd, TrainOptions())


@pytest.mark.parametrize("backbone", sorted(name for name in BACKBONES if find_backbone(name).is_pretrained))
def test_behind_a_frozen_backbone_fine_tuning_takes_more(backbone):
    approach, spec = make_approach("late-fusion", {"backbone": backbone}), find_backbone(backbone).spec
    frozen, tuned = (
        estimate_resources([10.0, 20.0], 3.0, approach, spec, TrainOptions(finetune=one, batch_size=16))
        for one in (False, True)
    )
    assert 0.8e9 < frozen.memory_bytes < tuned.memory_bytes or find_backbone(backbone).sees == "landmarks"
    assert frozen.first_seconds > tuned.first_seconds >= 3


def test_the_command_line_refuses_it_in_one_line_and_decodes_nothing(tmp_path):
    if total_bytes() is None:
        pytest.skip("this system does not tell how much memory there is")
    data = make_videos(tmp_path / "videos", people=3)
    absurd = ["--approach", "convlstm", "--frames", 4096, "--size", 512, "--out", tmp_path / "run"]
    done = kineme("train", data, *absurd, KINEME_FRAME_CACHE=str(tmp_path / "frames"))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("kineme: ")]
    assert "choose smaller --frames, --size or --batch-size" in line
    assert not (tmp_path / "frames").exists()


def test_a_longer_clip_and_a_larger_batch_take_more():
    approach, spec = make_approach("lrcn"), ClipSpec()
    sizes = [
        estimate_resources([], 0, approach, replace(spec, frames=frames), TrainOptions(batch_size=batch)).memory_bytes
        for frames, batch in ((20, 8), (40, 8), (40, 16))
    ]
    assert sizes == sorted(set(sizes))
