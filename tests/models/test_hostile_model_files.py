"""Whatever a model file holds, it loads or is refused in one line that names it, and its scores are numbers."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers_fuzz_models import damaged
from helpers_networks import network_of

from kineme.errors import KinemeError
from kineme.model import Model
from kineme.models.model_file import ModelCard, config_of, load_model, read_card, save_model
from kineme.models.open_set import OpenSetDetector
from kineme.models.registry import make_approach
from kineme.text import printable
from kineme.video.spec import ClipSpec

SPEC = ClipSpec(frames=2, height=64, width=64)
CASES = int(os.environ.get("KINEME_FUZZ_CASES", "160"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    known = OpenSetDetector(((3.0, 0.0), (0.0, 3.0)), 0.5, 2.0, 1.0)
    provenance = {"test": {"n": 9, "top1": 0.8}, "split": {"leaky": False}, "data": "0123"}
    card = ModelCard(
        "single-frame",
        config_of(make_approach("single-frame")),
        SPEC,
        ("left", "right"),
        1.5,
        provenance,
        open_set=known,
    )
    save_model(path, network_of("single-frame", SPEC), card)
    return path


def test_damaged_files_load_or_are_refused_in_one_line_that_names_them(whole, tmp_path):
    content, path = whole.read_bytes(), tmp_path / "m.safetensors"
    clip_1THWC = np.random.default_rng(0).integers(0, 256, (1, 2, 64, 64, 3), np.uint8)
    broken, loaded = [], 0
    for case in range(CASES):
        path.write_bytes(damaged(content, case))
        try:
            network, card = load_model(path)
            assert all(label == printable(label) for label in card.labels)
            model = Model(network, card, "m", path)
            if network.input.shape[1:] == clip_1THWC.shape[1:]:
                logits_1K = network.predict_on_batch(clip_1THWC)
                assert np.isfinite(model.probabilities(logits_1K)).all()
                model.open_set_score(logits_1K)
            loaded += 1
        except KinemeError as error:
            line = str(error)
            if not line.startswith(str(path)) or line != printable(line) or len(line) > 2000:
                broken.append((case, line[:300]))
        except Exception as error:
            broken.append((case, repr(error)[:300]))
    assert broken == []
    assert 0.01 * CASES < loaded < 0.6 * CASES  # some changes do no harm


def test_a_weight_that_is_no_number_is_told_before_anything_is_predicted(whole, tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    tensors = load_file(whole)
    tensors["logits/bias"] = np.array([0.5, np.nan], np.float32)
    with safe_open(whole, framework="numpy") as file:
        save_file(tensors, tmp_path / "nan.safetensors", file.metadata())
    with pytest.raises(KinemeError, match=r"nan\.safetensors: its weights are not all numbers \(see 'logits/bias'\)"):
        load_model(tmp_path / "nan.safetensors")


def test_labels_are_shown_without_what_a_terminal_would_act_on(whole):
    card = replace(read_card(whole), labels=("\x1b]0;mine\x07", "b\nc"))
    read = ModelCard.from_json("m", json.dumps(card.to_json()))
    assert read.labels == ("\\x1b]0;mine\\x07", "b\\nc")


def test_clips_that_fit_into_no_memory_are_refused_before_they_are_made(whole):
    card = replace(read_card(whole), spec=ClipSpec(frames=4096, height=4096, width=4096))
    with pytest.raises(KinemeError, match="4096 frames of 4096 x 4096 pixels fit into no memory"):
        ModelCard.from_json("m", json.dumps(card.to_json()))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_a_file_that_may_not_be_read_is_told_from_one_that_is_missing(whole, tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(whole.read_bytes())
    path.chmod(0)
    script = (
        "import os, sys; from kineme.errors import KinemeError; from kineme.models.model_file import read_card;"
        "import safetensors; os.geteuid() or os.seteuid(65534)\n"
        "try: read_card(sys.argv[1])\nexcept KinemeError as error: print(error)"
    )
    for parent in tmp_path.parents[:2]:
        parent.chmod(parent.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    tmp_path.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout == f"{path}: cannot be read (Permission denied); check its permissions\n"
