"""Whether yt-dlp can run the JavaScript that YouTube sends: it needs a runtime and the solver scripts of yt-dlp-ejs."""

from __future__ import annotations

from dataclasses import dataclass

RUNTIMES = ("deno", "node", "quickjs")  # Bun is being left by yt-dlp

_INSTALL = 'pip install "kineme[web]"'


@dataclass(frozen=True)
class JavaScriptSupport:
    """The installed JavaScript runtime.

    Args:
        runtime: name and version of the runtime that yt-dlp will use, such as ``deno 2.9.8``; None without a runtime.
        solver: version of yt-dlp-ejs; None where it is missing.
        problem: the problem and its remedy, in words; None without a problem.
    """

    runtime: str | None
    solver: str | None
    problem: str | None


def javascript_support() -> JavaScriptSupport:
    """Look for a runtime and the solver. yt-dlp must be installed; each runtime found is asked for its version.

    See https://github.com/yt-dlp/yt-dlp/wiki/EJS.
    """
    from yt_dlp.dependencies import yt_dlp_ejs
    from yt_dlp.globals import supported_js_runtimes

    found = [supported_js_runtimes.value[name]().info for name in RUNTIMES if name in supported_js_runtimes.value]
    present = [info for info in found if info is not None]
    usable = next((f"{info.name} {info.version}" for info in present if info.supported), None)
    solver = yt_dlp_ejs.version if yt_dlp_ejs else None
    return JavaScriptSupport(usable, solver, _problem(usable, [f"{one.name} {one.version}" for one in present], solver))


def _problem(usable: str | None, present: list[str], solver: str | None) -> str | None:
    if usable is None:
        there = f"{' and '.join(present)} is too old" if present else "none is installed"
        return f"YouTube needs a JavaScript runtime, and {there}: {_INSTALL} brings deno"
    if solver is None:
        return f"YouTube needs the solver scripts of yt-dlp-ejs, which are not installed: {_INSTALL} brings them"
    wanted = _wanted_solver()
    if wanted and solver.split(".")[:2] != wanted.split(".")[:2]:
        return (
            f"yt-dlp needs yt-dlp-ejs {wanted} for YouTube, and {solver} is installed: pip install yt-dlp-ejs=={wanted}"
        )
    return None


def _wanted_solver() -> str | None:
    """The version of yt-dlp-ejs that this yt-dlp works with; None where it does not tell."""
    try:
        from yt_dlp.extractor.youtube.jsc._builtin.vendor import VERSION
    except ImportError:
        return None
    return str(VERSION)
