"""The picture, the tables and the numbers of the page that plans a million hours of video."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from guide_paths import TRANSCRIPTS, Numbers, benchmark, percent
from matplotlib.figure import Figure
from style import WIDTH, Theme, save

COMMAND = "python benchmarks/plan.py"


@cache
def plan() -> dict[str, Any]:
    """The committed result."""
    return benchmark("plan")


def days_by_cores(theme: Theme) -> Figure:
    """Days of the simulated runs, beside all cores at work and what the driver needs by itself."""
    found = plan()
    jobs = found["assumed"]["jobs"]
    alone, many = ([one for one in found["simulated"] if one["jobs"] == count] for count in (1, jobs))
    cores = [one["cores"] for one in alone]
    driver = found["measured"]["driver"]["seconds_a_video"] * found["sizes"]["videos"] / 86400
    figure, axes = theme.subplots(WIDTH, 3.6)
    ideal = [one["days"]["median"] * one["efficiency"]["median"] for one in alone]
    axes.plot(cores, ideal, color=theme.faint, linestyle=":", linewidth=1.4, label="all cores always at work")
    axes.axhline(driver, color=theme.orange, linestyle="--", linewidth=1.4, label="what one driver needs by itself")
    for runs, colour, name, offset in (
        (alone, theme.blue, "one job", (0, 8)),
        (many, theme.green, f"{jobs} jobs side by side", (-18, -14)),
    ):
        days = [one["days"]["median"] for one in runs]
        axes.plot(cores, days, color=colour, marker="o", markersize=5, label=name)
        for one, at in zip(runs, days, strict=True):
            axes.annotate(
                f"{percent(one['efficiency']['median'])}",
                (one["cores"], at),
                xytext=offset,
                textcoords="offset points",
                ha="center",
                fontsize=9,
                color=colour,
            )
    axes.legend(fontsize=9)
    axes.set(xscale="log", yscale="log", xlabel="cores", ylabel="days", xlim=(cores[0] * 0.7, cores[-1] * 1.4))
    axes.set_xticks(cores, [f"{count:,}" for count in cores])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    return figure


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown, figures to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def stages() -> str:
    """Core hours and price of each stage."""
    rows = [[one["stage"], f"{one['core_hours']:,}", f"{one['price']:,}"] for one in plan()["stages"]]
    totals = [sum(one[name] for one in plan()["stages"]) for name in ("core_hours", "price")]
    return _table(["stage", "core hours", "price"], [*rows, ["**together**", *(f"**{one:,}**" for one in totals)]])


def walls() -> str:
    """What is used up at how many cores."""
    rows = [[one["what"], f"{one['cores']:,}", one["of"]] for one in plan()["walls"]]
    return _table(["used up first", "at so many cores", "of"], rows)


def assumed() -> str:
    """Every assumption, under the name of its option."""
    return _table(
        ["option", "example"],
        [[f"`--{name.replace('_', '-')}`", f"{value:,g}"] for name, value in plan()["assumed"].items()],
    )


def main(folder: Path) -> Numbers:
    """Draw, and write the tables."""
    save(days_by_cores, "days-by-cores", folder)
    TRANSCRIPTS.mkdir(parents=True, exist_ok=True)
    for name, text in (("stages", stages()), ("walls", walls()), ("assumed", assumed())):
        (TRANSCRIPTS / f"plan-{name}.md").write_text(text, encoding="utf-8")
    found = plan()
    measured, sizes, gpu = found["measured"], found["sizes"], found["gpu"]
    core_s = {name: one["median"] for name, one in measured["core_seconds_a_second"].items()}
    driver = measured["driver"]
    at_largest = {one["jobs"]: one for one in found["simulated"] if one["cores"] == found["simulated"][-1]["cores"]}
    largest, cut = at_largest[1], at_largest[found["assumed"]["jobs"]]
    at_cores = {one["what"]: f"{one['cores']:,}" for one in found["walls"]}
    numbers = {
        "plan_video": measured["video"],
        "plan_videos": f"{sizes['videos']:,}",
        "plan_minutes": f"{found['assumed']['video_s'] / 60:g}",
        "plan_stored": f"{sizes['stored_terabytes']:,}",
        "plan_decoded": f"{sizes['decoded_petabytes']:g}",
        "plan_handed_on": f"{sizes['handed_on_petabytes']:g}",
        "plan_written": f"{sizes['written_gigabytes']:g}",
        "plan_frames": f"{sizes['frames_through_the_network'] / 1e9:.1f}",
        "plan_decode_rate": f"{1 / core_s['decoding alone']:.0f}",
        "plan_rate": f"{1 / core_s[measured['model']]:.0f}",
        "plan_scratch_rate": f"{1 / core_s['lrcn from scratch']:.0f}",
        "plan_driver_ms": f"{1000 * driver['seconds_a_video']:.2g}",
        "plan_driver_write_ms": f"{driver['write_ms_a_video']:.2g}",
        "plan_driver_memory": f"{sizes['driver_memory_gigabytes']:.0f}",
        "plan_gpu_cores": f"{gpu['cores_to_feed_one']:,}",
        "plan_gpu_price": f"{gpu['price']:,}",
        "plan_gpu_on_cores": f"{gpu['price_of_the_same_on_cores']:,}",
        "plan_gets_price": f"{sizes['gets_price']:,}",
        "plan_gets": f"{sizes['gets'] / 1e6:.0f}",
        "plan_cores": f"{largest['cores']:,}",
        "plan_lost": percent(max(one["lost"]["most"] for one in found["simulated"]), 2),
        "plan_efficiency": percent(largest["efficiency"]["median"]),
        "plan_busy": percent(largest["driver_busy"]["median"]),
        "plan_days": f"{largest['days']['median']:.2g}",
        "plan_jobs": f"{found['assumed']['jobs']}",
        "plan_jobs_efficiency": percent(cut["efficiency"]["median"]),
        "plan_jobs_days": f"{cut['days']['median']:.2g}",
        "plan_jobs_tail": f"{cut['tail_hours']['median']:.1f}",
        "plan_driver_cores": at_cores["the driver, joining and writing"],
        "plan_segments": f"{driver['segments_a_video']}",
        "plan_handed_on_node": at_cores["a machine's network, frames go to another machine"],
    }
    return {name: (text, COMMAND) for name, text in numbers.items()}
