"""The textbook recipe as its readers run it, in one place: the other side of every pair.

What is written here is what people do today, slow or wrong as some of it is: a seek for each of the 20 frames, spread
over the whole video; frames kept as float64 in lists; a random split of the videos; ``TimeDistributed``; ``fit`` on
arrays, four clips a step; TensorFlow as it comes. The networks are those of the recipe, with as many parameters.

    python benchmarks/textbook.py FOLDER --unseen FOLDER2      trains its LRCN on FOLDER/<label>/<video>

The last line printed is JSON: seconds of loading and training, epochs, accuracy on its own random test part, and on
the videos of FOLDER2. It needs Keras, OpenCV and scikit-learn, and nothing of Kineme.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

FRAMES, SIZE, BATCH = 20, 64, 4
EPOCHS = {"lrcn": 70, "convlstm": 50, "slow-fusion": 50}
PATIENCE = {"lrcn": 15, "convlstm": 10, "slow-fusion": 10}
VIDEOS = (".mp4", ".avi", ".mkv", ".webm", ".mov")

# Videos to arrays


def frames_of(path: str | Path) -> list[np.ndarray]:
    """20 frames spread over a video, 64 x 64, float64 from 0 to 1; fewer where a read fails."""
    reader = cv2.VideoCapture(str(path))
    step = max(int(reader.get(cv2.CAP_PROP_FRAME_COUNT) / FRAMES), 1)
    found = []
    for number in range(FRAMES):
        reader.set(cv2.CAP_PROP_POS_FRAMES, number * step)
        fine, frame = reader.read()
        if not fine:
            break
        found.append(cv2.resize(frame, (SIZE, SIZE)) / 255)
    reader.release()
    return found


def load(folder: Path, labels: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """All videos of ``folder/<label>/``: float64 (N, 20, 64, 64, 3), and the number of each one's label."""
    features, truth = [], []
    for number, label in enumerate(labels):
        for path in sorted((folder / label).iterdir()):
            if path.suffix in VIDEOS:
                frames = frames_of(path)
                if len(frames) == FRAMES:
                    features.append(frames)
                    truth.append(number)
    return np.asarray(features), np.array(truth)


def labels_of(folder: Path) -> list[str]:
    """Names of the folders that hold videos."""
    inside = (one for one in folder.iterdir() if one.is_dir())
    return sorted(one.name for one in inside if any(file.suffix in VIDEOS for file in one.iterdir()))


# Networks


def lrcn(classes: int) -> Any:
    """The recipe's LRCN: 73,060 parameters with four classes."""
    from keras import Sequential, layers

    each = layers.TimeDistributed
    network = Sequential([layers.Input((FRAMES, SIZE, SIZE, 3))])
    for filters, pool, dropped in ((16, 4, 0.25), (32, 4, 0.25), (64, 2, 0.25), (64, 2, 0)):
        network.add(each(layers.Conv2D(filters, (3, 3), padding="same", activation="relu")))
        network.add(each(layers.MaxPooling2D((pool, pool))))
        if dropped:
            network.add(each(layers.Dropout(dropped)))
    network.add(each(layers.Flatten()))
    network.add(layers.LSTM(32))
    network.add(layers.Dense(classes, activation="softmax"))
    return network


def convlstm(classes: int) -> Any:
    """The recipe's ConvLSTM: 44,524 parameters with four classes."""
    from keras import Sequential, layers

    network = Sequential([layers.Input((FRAMES, SIZE, SIZE, 3))])
    for number, filters in enumerate((4, 8, 14, 16)):
        if number:
            network.add(layers.TimeDistributed(layers.Dropout(0.2)))
        network.add(layers.ConvLSTM2D(filters, (3, 3), activation="tanh", recurrent_dropout=0.2, return_sequences=True))
        network.add(layers.MaxPooling3D((1, 2, 2), padding="same"))
    network.add(layers.Flatten())
    network.add(layers.Dense(classes, activation="softmax"))
    return network


def slow_fusion(classes: int) -> Any:
    """Slow fusion as a 3D CNN is written in Keras, its layers of the size of Kineme's."""
    from keras import Sequential, layers

    network = Sequential([layers.Input((FRAMES, SIZE, SIZE, 3))])
    for number, (filters, time_pool) in enumerate(((16, 1), (32, 2), (64, 2), (64, 1))):
        stride = (1, 1, 1) if number else (1, 2, 2)
        network.add(layers.Conv3D(filters, 3, strides=stride, padding="same", use_bias=False))
        network.add(layers.BatchNormalization())
        network.add(layers.ReLU())
        network.add(layers.MaxPooling3D((time_pool, 2, 2), padding="same"))
    network.add(layers.GlobalAveragePooling3D())
    network.add(layers.Dropout(0.25))
    network.add(layers.Dense(classes, activation="softmax"))
    return network


NETWORKS = {"lrcn": lrcn, "convlstm": convlstm, "slow-fusion": slow_fusion}


def compiled(name: str, classes: int) -> Any:
    """A network, ready for ``fit`` on one-hot labels."""
    network = NETWORKS[name](classes)
    network.compile(loss="categorical_crossentropy", optimizer="Adam", metrics=["accuracy"])
    return network


# The script


def split(features: np.ndarray, truth: np.ndarray, classes: int) -> list[np.ndarray]:
    """A quarter of the videos to test on, drawn at random: training clips, test clips, and one-hot labels of each."""
    from sklearn.model_selection import train_test_split

    return train_test_split(features, np.eye(classes)[truth], test_size=0.25, shuffle=True, random_state=27)  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the textbook's network the textbook's way.")
    parser.add_argument("data", type=Path, help="folder of folders of videos, one for each label")
    parser.add_argument("--network", choices=NETWORKS, default="lrcn")
    parser.add_argument("--unseen", type=Path, help="such a folder of people who are not in the first, to measure on")
    parser.add_argument("--epochs", type=int, help="at most; the recipe's number by default")
    parser.add_argument("--load-only", action="store_true", help="read and split the videos, and train nothing")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    labels, started = labels_of(arguments.data), time.perf_counter()
    features, truth = load(arguments.data, labels)
    train, test, train_truth, test_truth = split(features, truth, len(labels))
    result: dict[str, Any] = {"clips": len(features), "load_seconds": round(time.perf_counter() - started, 1)}
    if not arguments.load_only:
        started = time.perf_counter()
        from keras.callbacks import EarlyStopping

        network = compiled(arguments.network, len(labels))
        stopping = EarlyStopping(
            monitor="val_loss", patience=PATIENCE[arguments.network], mode="min", restore_best_weights=True
        )
        history = network.fit(
            train,
            train_truth,
            epochs=arguments.epochs or EPOCHS[arguments.network],
            batch_size=BATCH,
            shuffle=True,
            validation_split=0.2,
            callbacks=[stopping],
            verbose=0,
        )
        result["train_seconds"] = round(time.perf_counter() - started, 1)
        result["epochs"] = len(history.history["loss"])
        result["own_test_top1"] = round(float(network.evaluate(test, test_truth, verbose=0)[1]), 4)
        if arguments.unseen:
            clips, answers = load(arguments.unseen, labels)
            result["unseen_clips"] = len(clips)
            found = network.predict(clips, verbose=0).argmax(axis=1)
            result["unseen_top1"] = round(float((found == answers).mean()), 4)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
