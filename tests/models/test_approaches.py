"""What every approach must do."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_checks import check_approach
from helpers_networks import SMALL, inputs_for, moving_squares, network_of

from kineme.errors import UsageError
from kineme.models.backend import keras, seed_everything
from kineme.models.registry import APPROACHES, make_approach
from kineme.video.spec import ClipSpec

approaches = pytest.mark.parametrize("name", sorted(APPROACHES))


@approaches
def test_an_approach_is_what_its_file_says(name):
    check_approach(name)


@approaches
@pytest.mark.parametrize(
    ("spec", "classes"),
    [
        (SMALL, 2),
        (ClipSpec(frames=2, height=64, width=80), 7),
        (ClipSpec(frames=9, height=96, width=64), 3),
    ],
)
def test_builds_at_several_sizes_and_takes_uint8_and_gives_float32(name, spec, classes):
    network = network_of(name, spec, classes)
    clips = np.random.default_rng(0).integers(0, 256, (3, spec.frames, spec.height, spec.width, 3), np.uint8)
    logits = network.predict_on_batch(inputs_for(network, clips))
    assert network.input.dtype == ("float32" if name == "pose-lstm" else "uint8")
    assert logits.shape == (3, classes)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


@approaches
def test_scores_of_a_clip_do_not_depend_on_its_batch(name):
    network = network_of(name)
    clips = inputs_for(network, moving_squares(5, SMALL)[0])
    together = network.predict_on_batch(clips)
    alone = np.concatenate([network.predict_on_batch(clip[None]) for clip in clips])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.slow
@approaches
def test_learns_a_tiny_set_by_heart(name):
    seed_everything(0)
    network = network_of(name)
    clips, labels = moving_squares(8, SMALL)
    clips = inputs_for(network, clips)
    network.compile(keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for _ in range(150):
        network.train_on_batch(clips, labels)
        if (network.predict_on_batch(clips).argmax(1) == labels).all():
            break
    assert (network.predict_on_batch(clips).argmax(1) == labels).all()


@approaches
def test_mixed_precision_gives_float32_logits_close_to_full_precision(name):
    full = network_of(name)
    clips = inputs_for(full, moving_squares(2, SMALL)[0])
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = network_of(name)
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(full.get_weights())
    logits = mixed.predict_on_batch(clips)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, full.predict_on_batch(clips), atol=0.05)


@pytest.mark.parametrize(("name", "parameters"), [("lrcn", 73_060), ("convlstm", 44_524)])
def test_defaults_are_the_textbook_sizes(name, parameters):
    assert network_of(name, ClipSpec(), classes=4).count_params() == parameters


@pytest.mark.parametrize("options", [{"bidirectional": True}, {"projection": 8}, {"units": 8}])
def test_lrcn_options_that_add_or_shrink_layers_do(options):
    clips, _ = moving_squares(2, SMALL)
    plain, network = network_of("lrcn"), network_of("lrcn", **options)
    assert network.predict_on_batch(clips).shape == (2, 2)
    assert [weight.shape for weight in network.weights] != [weight.shape for weight in plain.weights]


@pytest.mark.parametrize("options", [{"pooling": "mean"}, {"pooling": "max"}, {"diff_lag": 2}])
def test_lrcn_options_without_weights_change_the_scores(options):
    clips, _ = moving_squares(2, SMALL)
    plain, network = network_of("lrcn"), network_of("lrcn", **options)
    network.set_weights(plain.get_weights())
    assert np.abs(network.predict_on_batch(clips) - plain.predict_on_batch(clips)).max() > 1e-5


def test_folding_time_gives_each_frame_the_features_it_has_alone():
    network = network_of("lrcn", backbone="small-cnn")
    clips, _ = moving_squares(2, SMALL)
    backbone = network.get_layer("backbone")
    features_BTD = backbone.predict_on_batch(clips)
    alone = backbone.predict_on_batch(np.repeat(clips[1:, 3:4], SMALL.frames, axis=1))[0, 0]
    np.testing.assert_allclose(features_BTD[1, 3], alone, atol=1e-6)


def test_motion_cnn_sees_nothing_in_a_still_clip_and_small_cnn_does():
    clips, _ = moving_squares(1, SMALL)
    still = np.repeat(clips[:, :1], SMALL.frames, axis=1)
    features = {
        name: network_of("lrcn", backbone=name).get_layer("backbone").predict_on_batch(still)
        for name in ("motion-cnn", "small-cnn")
    }
    np.testing.assert_allclose(features["motion-cnn"], 0, atol=1e-6)
    assert np.abs(features["small-cnn"]).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("nothing", {}, "no approach 'nothing'; choose one of"),
        ("lrcn", {"unit": "8"}, "no option 'unit'; it has backbone"),
        ("lrcn", {"units": "many"}, "must be of type int"),
        ("lrcn", {"units": "0"}, "from 1 to 4096"),
        ("lrcn", {"pooling": "sum"}, "one of last, mean, max"),
        ("lrcn", {"bidirectional": "maybe"}, "of type bool"),
        ("convlstm", {"dropout": "1.5"}, "from 0 to 0.9"),
    ],
)
def test_wrong_options_are_named(name, options, says):
    with pytest.raises(UsageError, match=says):
        make_approach(name, options)


def test_parts_that_do_not_fit_together_are_refused():
    with pytest.raises(UsageError, match="no backbone 'resnet'"):
        network_of("lrcn", backbone="resnet")
    with pytest.raises(UsageError, match="at least 64 x 64"):
        network_of("lrcn", ClipSpec(height=32, width=64))
    with pytest.raises(UsageError, match="smaller size"):
        network_of("lrcn", ClipSpec(height=4096, width=4096), units=4096)


def test_lrcn_that_reads_changes_takes_no_notice_of_what_stands_still():
    head = make_approach("lrcn", {"diff_lag": 3, "projection": 8, "pooling": "max"}).build_head((6, 4), 3)
    rng = np.random.default_rng(0)
    still_BTD = np.repeat(rng.normal(size=(2, 1, 4)), 6, axis=1).astype(np.float32)
    moving_BTD = rng.normal(size=(2, 6, 4)).astype(np.float32)
    first, second = head.predict_on_batch(still_BTD)
    np.testing.assert_array_equal(first, second)
    there, elsewhere = head.predict_on_batch(moving_BTD), head.predict_on_batch(moving_BTD + 5)
    np.testing.assert_allclose(there, elsewhere, atol=1e-4)
    assert np.abs(there[0] - there[1]).max() > 1e-3


def test_changes_over_more_frames_than_a_clip_has_are_changes_since_its_first():
    from kineme.models.layers import FrameDifference

    clips_BTD = np.arange(10, dtype=np.float32).reshape(1, 5, 2) ** 2
    np.testing.assert_array_equal(FrameDifference(2)(clips_BTD)[0, 3], clips_BTD[0, 3] - clips_BTD[0, 1])
    np.testing.assert_array_equal(FrameDifference(2)(clips_BTD)[0, 1], clips_BTD[0, 1] - clips_BTD[0, 0])
    np.testing.assert_array_equal(FrameDifference(9)(clips_BTD), clips_BTD - clips_BTD[:, :1])


@pytest.mark.parametrize(("option", "value"), [("diff_lag", 101), ("projection", -1), ("pooling", "sum")])
def test_lrcn_refuses_options_out_of_range(option, value):
    with pytest.raises(UsageError, match=f"lrcn: option {option} must be"):
        make_approach("lrcn", {option: value})


def test_the_older_name_of_an_option_is_still_accepted():
    assert make_approach("lrcn", {"change_over": "3"}) == make_approach("lrcn", {"diff_lag": 3})
