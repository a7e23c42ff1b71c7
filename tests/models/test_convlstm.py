"""The approach convlstm on frames, on small maps and on vectors."""

from __future__ import annotations

import numpy as np
import pytest

from kineme.errors import UsageError
from kineme.models.backend import keras
from kineme.models.registry import make_approach


def head_of(shape: tuple[int, ...], classes: int = 3, **options: object) -> keras.Model:
    return make_approach("convlstm", options).build_head(shape, classes)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, np.float32)


def test_names_of_the_weights_stay_since_model_files_go_by_them():
    paths = [weight.path for weight in head_of((3, 64, 64, 3)).weights]
    layers = [
        f"convlstm{number}/conv_lstm_cell/{part}"
        for number in range(1, 5)
        for part in ("kernel", "recurrent_kernel", "bias")
    ]
    assert paths == [*layers, "logits/kernel", "logits/bias"]


@pytest.mark.parametrize(
    "shape", [(3, 31, 31, 3), (3, 30, 64, 3), (4, 16, 16, 8), (4, 7, 7, 320), (2, 1, 9, 5), (5, 1280), (1, 1024)]
)
def test_maps_of_any_size_and_vectors_are_scored_in_order(shape):
    head, features = head_of(shape), noise(2, *shape)
    logits = head.predict_on_batch(features)
    assert logits.shape == (2, 3)
    assert np.isfinite(logits).all()
    backwards = head.predict_on_batch(features[:, ::-1])
    assert shape[0] == 1 or np.abs(backwards - logits).max() > 1e-4


def test_on_vectors_it_is_an_lstm():
    head, features = head_of((5, 12), units=6), noise(2, 5, 12)
    kernel, recurrent_kernel, bias, last, last_bias = head.get_weights()
    lstm = keras.layers.LSTM(6)
    lstm.build((None, 5, 12))
    lstm.set_weights([kernel[0, 0], recurrent_kernel[0, 0], bias])
    expected = keras.ops.convert_to_numpy(lstm(features)) @ last + last_bias
    np.testing.assert_allclose(head.predict_on_batch(features), expected, atol=1e-5)


def test_units_count_where_one_layer_reads_and_nowhere_else():
    assert head_of((4, 7, 7, 5), units=9).get_layer("convlstm").output.shape == (None, 7, 7, 9)
    assert head_of((4, 64, 64, 3), units=9).count_params() == head_of((4, 64, 64, 3)).count_params()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"units": "0"}, "units must be from 1 to 4096"),
        ({"units": "4097"}, "units must be from 1 to 4096"),
        ({"dropout": "0.95"}, "dropout must be from 0 to 0.9"),
        ({"recurrent_dropout": "-0.1"}, "recurrent_dropout must be from 0 to 0.9"),
    ],
)
def test_wrong_options_are_named(options, says):
    with pytest.raises(UsageError, match=f"convlstm: option {says}"):
        make_approach("convlstm", options)


def test_absurd_sizes_are_refused_before_anything_is_allocated():
    with pytest.raises(UsageError, match="choose a smaller size"):
        head_of((2, 7, 7, 1280), units=4096)
    with pytest.raises(UsageError, match="choose a smaller size"):
        head_of((2, 100_000), units=4096)
