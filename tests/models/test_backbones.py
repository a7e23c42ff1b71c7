"""What every backbone must do; what is particular to each stands in a file of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers_checks import check_backbone

from kineme.errors import UsageError
from kineme.models.registry import APPROACHES, BACKBONES, find_backbone


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_a_backbone_is_what_its_record_says(name):
    check_backbone(name)


def test_one_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(UsageError, match="no backbone 'resnet'; choose one of pixels, "):
        find_backbone("resnet")


def test_reading_what_approaches_and_backbones_say_of_themselves_needs_no_keras():
    script = (
        "import sys; from kineme.models.registry import describe; found = describe();"
        "print(len(found['approaches']), len(found['backbones']), {'keras', 'tensorflow', 'cv2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{len(APPROACHES)} {len(BACKBONES)} set()"
