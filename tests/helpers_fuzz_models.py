"""Damaged and hostile model files by the thousand. A case is a number, so it can be made again."""

from __future__ import annotations

import copy
import json
import struct
from typing import Any

import numpy as np

HUGE = 10**400
_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 3.5, -0.0, 1e308, -1e308, 1e-308, HUGE, -HUGE, 2**63, 4096, 5000),
    *(
        float("nan"),
        float("inf"),
        "",
        "a",
        "8",
        "nan",
        "lrcn",
        "i3d",
        "blazepose",
        "../../etc/passwd",
        "\x1b]0;mine\x07",
    ),
    *(
        "\ud800",
        "x" * 5000,
        "é\u0301\u202e",
        [],
        {},
        [[]],
        [{}],
        {"a": 1},
        ["a", "b"],
        ["a", 3],
        [["a"], ["b"]],
        {"": {}},
    ),
]


def damaged(whole: bytes, case: int) -> bytes:
    """The model file of a case, made from a whole one."""
    rng = np.random.default_rng(case)
    return _WAYS[case % len(_WAYS)](whole, rng)


def _parts(whole: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack("<Q", whole[:8])
    return json.loads(whole[8 : 8 + length]), whole[8 + length :]


def _joined(header: Any, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _replace_somewhere(document: Any, rng: np.random.Generator) -> Any:
    """A document with one of its parts, however deep, replaced, left out or added."""
    document = copy.deepcopy(document)
    part = document
    while True:
        keys = list(part) if isinstance(part, dict) else list(range(len(part)))
        if not keys:
            return document
        key = keys[int(rng.integers(len(keys)))]
        if isinstance(part[key], dict | list) and part[key] and rng.random() < 0.7:
            part = part[key]
            continue
        how = rng.integers(5)
        if how == 0:
            del part[key]
        elif how == 1 and isinstance(part, dict):
            part["more"] = part.pop(key)
        elif how == 2 and isinstance(part, list):
            part.append(part[key])
        else:
            part[key] = _VALUES[int(rng.integers(len(_VALUES)))]
        return document


def _card(whole: bytes, rng: np.random.Generator) -> bytes:
    header, data = _parts(whole)
    card = json.loads(header["__metadata__"]["kineme"])
    for _ in range(int(rng.integers(1, 3))):
        card = _replace_somewhere(card, rng)
    header["__metadata__"]["kineme"] = json.dumps(card)
    return _joined(header, data)


def _card_text(whole: bytes, rng: np.random.Generator) -> bytes:
    header, data = _parts(whole)
    text = header["__metadata__"]["kineme"]
    at = int(rng.integers(len(text)))
    texts = (
        text[:at],
        text[:at] + "[" * 100_000,
        text[:at] + chr(int(rng.integers(0x2FFF))) + text[at + 1 :],
        "null",
        "3",
        '"a"',
    )
    header["__metadata__"]["kineme"] = texts[int(rng.integers(len(texts)))]
    return _joined(header, data)


def _tensors(whole: bytes, rng: np.random.Generator) -> bytes:
    header, data = _parts(whole)
    name = sorted(set(header) - {"__metadata__"})[int(rng.integers(len(header) - 1))]
    one = header[name]
    dtypes = ("F16", "BF16", "F64", "I64", "I8", "U8", "BOOL", "F8_E4M3", "X9", 3, None)
    changes: list[dict[str, Any]] = [
        {"dtype": dtypes[int(rng.integers(len(dtypes)))]},
        {"shape": [*one["shape"], 1]},
        {"shape": one["shape"][::-1]},
        {"shape": [-1]},
        {"shape": [2**62, 4]},
        {"data_offsets": [one["data_offsets"][0], one["data_offsets"][1] + int(rng.integers(-64, 64))]},
        {"data_offsets": [2**63, 2**64]},
    ]
    header[name] = {**one, **changes[int(rng.integers(len(changes)))]}
    if rng.random() < 0.2:
        header["\x1b[2J" + name] = header.pop(name)
    return _joined(header, data)


def _numbers(whole: bytes, rng: np.random.Generator) -> bytes:
    header, data = _parts(whole)
    values = np.frombuffer(data, np.float32).copy()
    strange = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45], np.float32)
    values[rng.integers(len(values), size=int(rng.integers(1, 50)))] = strange[int(rng.integers(len(strange)))]
    return _joined(header, values.tobytes())


def _flips(whole: bytes, rng: np.random.Generator) -> bytes:
    content = bytearray(whole)
    (length,) = struct.unpack("<Q", whole[:8])
    for _ in range(int(rng.integers(1, 20))):
        content[int(rng.integers(8 + length if rng.random() < 0.7 else len(content)))] ^= int(rng.integers(1, 256))
    return bytes(content)


def _cut(whole: bytes, rng: np.random.Generator) -> bytes:
    at, size = int(rng.integers(len(whole))), int(rng.integers(1, 4096))
    return (whole[:at], whole[:at] + whole[at + size :], whole[: at + size] + whole[at:], whole + whole)[
        int(rng.integers(4))
    ]


_WAYS = (_card, _card, _card, _card_text, _tensors, _numbers, _flips, _cut)
