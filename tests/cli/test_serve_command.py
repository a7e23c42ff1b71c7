"""``kineme serve``: what it says when it cannot start. The service itself is tested in tests/serving."""

from __future__ import annotations

import socket
import sys

import pytest

from kineme.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["none.safetensors"], 1, "none.safetensors: there is no such model file"),
        (["a.tflite", "--link-network", "10.0.0.0/8"], 2, "--link-network is for --allow-links"),
        (["a.tflite", "--allow-links", "--link-network", "10.0.0"], 2, "give a network such as 10.1.0.0/16"),
        (["a.tflite", "--cookies", "a.txt"], 2, "--cookies is for --allow-links"),
        (["a.tflite", "--allow-links", "--cookies", "a.txt"], 2, "a.txt: cannot be read (No such file or directory)"),
        (["a.tflite", "--token", "short"], 2, "--token: must have 8 characters or more"),
        (["a.tflite", "--max-size", "much"], 2, "--max-size much: give a size"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(arguments, code, line, monkeypatch, capsys, tmp_path):
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["kineme", "serve", *arguments, "--state", "state"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().err
    assert end.value.code == code
    assert line in said
    assert said.count("\n") == 1


def test_a_missing_extra_and_a_taken_port_are_named(monkeypatch, capsys, tmp_path):
    from kineme.errors import KinemeError
    from kineme.serving.run import listen, serve
    from kineme.serving.settings import Settings

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(KinemeError, match=f"--host 127.0.0.1 --port {port}: cannot listen there"):
            listen("127.0.0.1", port)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(KinemeError, match=r"serve needs uvicorn: pip install .*kineme\[serve\]"):
        serve(Settings(models=("a",), state=tmp_path), lambda *_: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "hosts"),
    [
        ({}, {"localhost", "127.0.0.1", "[::1]"}),
        ({"host": "::1"}, {"localhost", "127.0.0.1", "[::1]"}),
        ({"host": "0.0.0.0"}, None),
        ({"public_name": "Kineme.example"}, {"localhost", "127.0.0.1", "[::1]", "kineme.example"}),
        ({"host": "0.0.0.0", "public_name": "k.example"}, {"localhost", "127.0.0.1", "[::1]", "k.example"}),
    ],
)
def test_names_that_it_answers_to(options, hosts, tmp_path):
    from kineme.serving.settings import Settings

    assert Settings(models=("a",), state=tmp_path, **options).hosts == hosts
