"""A ConvLSTM layer that computes what Keras' own does, in less time.

Keras convolves frame by frame and gate by gate: eight small convolutions a step. What the gates need of the input
does not depend on the state, so here one convolution finds it for all four gates of all frames, time folded into
the batch. The part that depends on the state takes one more per step; four while training with recurrent dropout, since
Keras drops other values of the state for each gate, the same ones at every step, and so do we.
"""

from __future__ import annotations

from typing import Any

from kineme.models.backend import keras

ops = keras.ops

_UNROLLED = 32  # steps; a longer loop is not written out: building the graph would take longer than it saves


class FoldedConvLSTM2D(keras.layers.ConvLSTM2D):
    """``keras.layers.ConvLSTM2D``, computed in another order: same arguments, weights, random masks and results.

    Maps (B, T, H, W, C) become states (B, T, H', W', filters), or the last one alone, (B, H', W', filters). A
    masked step repeats the state before it.

    Source: Shi et al., "Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting",
    NeurIPS 2015, without peepholes, as in Keras.
    """

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        """Last state, states of all frames, and (h, c) at the end; Keras' recurrent layers call it."""
        cell = self.cell
        channels = 1 if cell.data_format == "channels_first" else 3
        h, c = initial_state
        x_TB = ops.swapaxes(sequences, 0, 1)  # time first: a step is then a slice that needs no copy
        frames = ops.shape(x_TB)[0]

        x = ops.reshape(x_TB, (-1, *x_TB.shape[2:]))
        how = (cell.strides, cell.padding, cell.data_format, cell.dilation_rate)
        if training and 0 < cell.dropout < 1:
            kept = [ops.tile(kept, (frames, 1, 1, 1)) for kept in cell.get_dropout_mask(sequences[:, 0])]
            kernels = ops.split(cell.kernel, 4, axis=3)
            gates = [ops.conv(x * mine, kernel, *how) for mine, kernel in zip(kept, kernels, strict=True)]
            x = ops.concatenate(gates, axis=channels)
        else:
            x = ops.conv(x, cell.kernel, *how)
        if cell.bias is not None:
            x = x + ops.reshape(cell.bias, (-1, 1, 1) if channels == 1 else (-1,))
        steps = [ops.reshape(x, (frames, -1, *x.shape[1:]))]

        if mask is not None:
            steps.append(ops.swapaxes(ops.cast(mask, "bool"), 0, 1)[..., None, None, None])
        if self.go_backwards:
            steps = [ops.flip(step, 0) for step in steps]

        recurrent_kept = None
        if training and 0 < cell.recurrent_dropout < 1:
            recurrent_kept = cell.get_recurrent_dropout_mask(h)
            recurrent_kernels = ops.split(cell.recurrent_kernel, 4, axis=3)

        def step(state: Any, x: Any, counts: Any = None) -> Any:
            h, c = state
            if recurrent_kept is None:
                x = x + ops.conv(h, cell.recurrent_kernel, padding="same", data_format=cell.data_format)
                i, f, g, o = ops.split(x, 4, axis=channels)
            else:
                i, f, g, o = (
                    gate + ops.conv(h * mine, kernel, padding="same", data_format=cell.data_format)
                    for gate, mine, kernel in zip(
                        ops.split(x, 4, axis=channels), recurrent_kept, recurrent_kernels, strict=True
                    )
                )
            new_c = cell.recurrent_activation(f) * c + cell.recurrent_activation(i) * cell.activation(g)
            new_h = cell.recurrent_activation(o) * cell.activation(new_c)
            if counts is None:
                return new_h, new_c
            return ops.where(counts, new_h, h), ops.where(counts, new_c, c)

        # JAX compiles a loop that is written out slowly, and it runs no faster.
        known = isinstance(frames, int) and (frames <= _UNROLLED or self.unroll)
        if keras.backend.backend() != "jax" and known:
            hs = []
            for at in zip(*(ops.unstack(step, frames) for step in steps), strict=True):
                h, c = step((h, c), *at)
                hs.append(h)
            h_BT = ops.stack(hs, axis=1) if self.return_sequences else h[:, None]
        else:
            (h, c), (h_TB, _) = ops.scan(lambda state, at: (step(state, *at),) * 2, (h, c), tuple(steps))
            h_BT = ops.swapaxes(h_TB, 0, 1)
        return h, h_BT, [h, c]
