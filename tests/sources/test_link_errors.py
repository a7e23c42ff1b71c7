"""What is said where a site refuses a video: sentences of our own, each with its cure, from a real yt-dlp."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers_dataset import kineme
from helpers_server import serving
from helpers_site import write_plugin
from helpers_video import numbered_video

from kineme.errors import UsageError
from kineme.sources import link_errors
from kineme.sources.cookies import check_cookies
from kineme.sources.javascript import javascript_support
from kineme.sources.local_video import FetchOptions

pytest.importorskip("yt_dlp")

MODEL = Path(__file__).parents[1] / "compatibility" / "v0_1" / "lrcn.tflite"
UPDATE = (
    r'; sites change often: update yt-dlp first \(here: [\d.]+, \d+ days old\): pip install -U "yt-dlp\[default,deno\]"'
)
SAID = {
    "robot": re.escape(link_errors.ROBOT),
    "robot-plain": re.escape(link_errors.ROBOT),
    "age": re.escape(link_errors.AGE),
    "age-word": re.escape(link_errors.AGE),
    "age-check": re.escape(link_errors.AGE),
    "members": re.escape(link_errors.MEMBERS),
    "members-only": re.escape(link_errors.MEMBERS),
    "members-join": re.escape(link_errors.MEMBERS),
    "private": re.escape(link_errors.PRIVATE),
    "private-is": re.escape(link_errors.PRIVATE),
    "premiere": re.escape(link_errors.NOT_STARTED),
    "soon": re.escape(link_errors.NOT_STARTED),
    "shortly": re.escape(link_errors.NOT_STARTED),
    "upcoming": re.escape(link_errors.NOT_STARTED),
    "not-live": re.escape(link_errors.NOT_LIVE),
    "sign-in": re.escape(link_errors.SIGN_IN),
    "log-in": re.escape(link_errors.SIGN_IN),
    "login-required": re.escape(link_errors.SIGN_IN),
    "please": re.escape(link_errors.SIGN_IN),
    "country": re.escape(link_errors.COUNTRY),
    "sound": re.escape(link_errors.PROTECTED),
    "drm": re.escape(link_errors.PROTECTED),
    "storyboards": "offers only preview pictures, no video" + UPDATE,
    "no-address": "offers no video that can be fetched" + UPDATE,
    "refused": "the video's host answers 403 Forbidden" + UPDATE,
    "odd": r"The moon is in the wrong place \(yt-dlp warned: .*the tide is high\)",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Address of the site, and the folder of the plugin that knows it."""
    folder = tmp_path_factory.mktemp("site")
    numbered_video(folder / "h264.mp4", 20, height=128, sound="aac")
    numbered_video(folder / "av1.mp4", 20, height=64, width=64, codec="libsvtav1")
    numbered_video(folder / "vp9.webm", 20, height=64, width=64, codec="libvpx-vp9")
    with serving(folder) as address:
        yield f"{address}/site", write_plugin(folder)


@pytest.fixture(scope="module")
def asked(site, tmp_path_factory):
    """What one run of ``kineme predict`` says of all pages of the site."""
    address, plugin = site
    pages = [*SAID, "mix", "list"]
    out = tmp_path_factory.mktemp("out")
    run = kineme(
        *("predict", *(f"{address}/{page}" for page in pages), "--model", MODEL, "--engine", "litert", "--json"),
        *("--out", out, "--save", "json"),
        PYTHONPATH=os.pathsep.join([plugin, *sys.path]),
    )
    return run, address


@pytest.mark.parametrize("page", SAID)
def test_each_refusal_has_its_sentence_with_a_cure(asked, page):
    run, address = asked
    assert run.returncode == 1
    error = next(one["error"] for one in json.loads(run.stdout) if one["source"] == f"{address}/{page}")
    assert re.fullmatch(re.escape(f"{address}/{page}: ") + SAID[page], error)
    assert "Traceback" not in run.stderr


def test_every_sentence_for_words_of_sites_has_a_page(asked):
    told = "|".join(SAID.values())
    assert all(re.escape(sentence) in told for _, sentence in link_errors.SAID_BY_SITES)


def test_of_many_formats_the_smallest_usable_one_is_fetched_and_dead_entries_stop_nothing(asked):
    run, address = asked
    found = {one["source"]: one for one in json.loads(run.stdout)}
    assert "error" not in found[f"{address}/mix"]  # VP9 of 64 pixels; nothing without an address or pictures
    assert [name for name in found if "mix-sound" in name] == [f"{address}/mix-sound"], "after the private entry"
    assert "error" not in found[f"{address}/mix-sound"]


def test_one_refused_link_ends_with_its_sentence_and_exit_code_1(site):
    address, plugin = site
    run = kineme(
        *("predict", f"{address}/robot", "--model", MODEL, "--engine", "litert"),
        PYTHONPATH=os.pathsep.join([plugin, *sys.path]),
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert " ".join(run.stderr.split()) == f"kineme: {address}/robot: {link_errors.ROBOT}"


def test_cookies_of_a_file_reach_the_site_and_the_file_stays_as_it_is(site, tmp_path):
    address, plugin = site
    jar = tmp_path / "cookies.txt"
    jar.write_text("127.0.0.1\tFALSE\t/\tFALSE\t0\tkineme\tlent\n")
    run = kineme(
        *("predict", f"{address}/cookies", "--model", MODEL, "--engine", "litert", "--cookies", jar),
        PYTHONPATH=os.pathsep.join([plugin, *sys.path]),
    )
    assert "the cookies were <kineme=lent>" in " ".join(run.stderr.split())
    assert jar.read_text() == "127.0.0.1\tFALSE\t/\tFALSE\t0\tkineme\tlent\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cookies": "none.txt"}, "--cookies none.txt: cannot be read (No such file or directory)"),
        ({"cookies": __file__}, "is no cookies.txt in Netscape's format"),
        ({"cookies_from_browser": "mosaic:me"}, "--cookies-from-browser mosaic:me: give one of brave, "),
    ],
)
def test_cookies_that_cannot_be_had_are_wrong_usage(options, says):
    with pytest.raises(UsageError, match=re.escape(says)):
        check_cookies(FetchOptions(**options))
    check_cookies(FetchOptions(cookies_from_browser="firefox:work"))


def test_the_installed_environment_can_run_the_scripts_of_youtube():
    found = javascript_support()
    assert (found.problem, found.runtime is not None, found.solver is not None) == (None, True, True)
    assert found.runtime.startswith("deno ")


@pytest.mark.skipif(os.name != "posix", reason="a program is put on the path")
@pytest.mark.parametrize(
    ("before", "deno", "says"),
    [
        ("", "", "YouTube needs a JavaScript runtime, and none is installed: "),
        ("", "deno 1.46.0", "YouTube needs a JavaScript runtime, and deno 1.46.0 is too old: "),
        ("sys.modules['yt_dlp_ejs'] = None", "deno 2.9.8", "YouTube needs the solver scripts of yt-dlp-ejs, which are"),
        ("import yt_dlp_ejs; yt_dlp_ejs.version = '0.1.0'", "deno 2.9.8", "yt-dlp needs yt-dlp-ejs 0."),
    ],
)
def test_what_is_missing_for_youtube_is_named_with_its_cure(tmp_path, before, deno, says):
    if deno:
        program = tmp_path / "deno"
        program.write_text(f"#!/bin/sh\necho {deno}\n")
        program.chmod(0o755)
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys, sysconfig; sysconfig.get_path = lambda *_: '/none'; {before}\n"
            "from kineme.sources.javascript import javascript_support; print(javascript_support().problem)",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": str(tmp_path)},
    )
    assert run.stdout.startswith(says), run.stderr
    assert "pip install" in run.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by the means of Linux")
def test_the_solver_runs_in_the_process_that_fetches_for_visitors(tmp_path):
    """Within its memory and under its guard. The runtime's compiler alone would want more than that."""
    script = tmp_path / "solve.py"
    script.write_text(
        "from pathlib import Path\n"
        "import yt_dlp\n"
        "from yt_dlp.extractor.youtube import YoutubeIE\n"
        "from yt_dlp.extractor.youtube.jsc.provider import JsChallengeRequest, JsChallengeType, NChallengeInput\n"
        "from kineme.serving.links import guard_process, limit_memory\n"
        "from kineme.sources.links import _Listener, _Meter, _settings\n"
        "from kineme.sources.local_video import FetchOptions\n"
        "site = YoutubeIE(yt_dlp.YoutubeDL(_settings(Path(), FetchOptions(), _Meter('', 1), _Listener())))\n"
        "player = 'var _yt_player={};(function(g){' + 'function f(a){return a};' * 9999 + '})({});'\n"
        "site._load_player = lambda **_: player\n"
        "from yt_dlp.extractor.youtube.jsc._director import initialize_jsc_director\n"
        "director = initialize_jsc_director(site)\n"
        "guard_process(programs=False)\n"
        "limit_memory()\n"
        "asked = JsChallengeRequest(JsChallengeType.N, NChallengeInput('https://x/s/player/1/base.js', ['abc']))\n"
        "for one in director.providers['Deno'].bulk_solve([asked]):\n"
        "    print(one.error or one.response)\n"
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert "no solutions" in run.stdout, run.stdout + run.stderr  # the scripts ran, and found no such player
