"""The LSTM of the trained LRCN in NumPy, beside Keras' own."""

import numpy as np

import kineme
from kineme.models.backend import keras

head = kineme.load("runs/lrcn").network.get_layer("head")
kernel, recurrent, bias = head.get_layer("lstm").get_weights()
units = recurrent.shape[0]
features = np.random.default_rng(0).normal(size=(20, kernel.shape[0])).astype("float32")


# the step
def sigmoid(x):
    """Between 0 and 1."""
    return 1 / (1 + np.exp(-x))


h, c = np.zeros(units), np.zeros(units)
for x in features:
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)  # forget some, write some
    h = sigmoid(o) * np.tanh(c)  # show some

# compare
own = keras.layers.LSTM(units)
own.build((None, None, kernel.shape[0]))
own.set_weights([kernel, recurrent, bias])
difference = np.abs(np.asarray(own(features[None]))[0] - h).max()
print(f"{units} units, {features.shape[1]} features, {kernel.size + recurrent.size + bias.size:,} weights")
print(f"largest difference from Keras after 20 steps: {difference:.1e}")
assert difference < 1e-5
