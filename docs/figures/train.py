"""Makes the videos and trains the models behind the guide: a list of commands, each run once and remembered.

    python docs/figures/train.py [NAME...]

Each command is one of ``kineme``'s, or a snippet; what it prints goes to ``docs/_generated/runs/NAME.txt``, and pages
include it from there. A command runs again when it, one it builds on, or the code that it runs has changed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from functools import partial

from guide_paths import DOCS, TRANSCRIPTS, WORK, hash_of, sources

sys.path.insert(0, str(DOCS))
from two_at_a_time import run_two_at_a_time

_LINE = 88  # characters that fit on a page
ACTIONS = "sit-down,stand-up,pick-up,put-down"


@dataclass(frozen=True)
class Step:
    """A command of the guide.

    Args:
        name: of its transcript.
        command: as the reader would type it.
        after: names of the steps that it needs.
        optional: it may fail, where there is no network.
    """

    name: str
    command: str
    after: tuple[str, ...] = ()
    optional: bool = False

    @property
    def key(self) -> str:
        """Changes whenever what it prints may."""
        parts = [self.command, sources(), *(BY_NAME[name].key for name in self.after)]
        if self.command.startswith("python"):
            parts.append((DOCS / "figures" / self.command.split()[1]).read_text(encoding="utf-8"))
        return hash_of(part.encode() for part in parts)

    @property
    def is_done(self) -> bool:
        """Whether its transcript is up to date."""
        stamp = TRANSCRIPTS / f"{self.name}.key"
        return stamp.is_file() and stamp.read_text(encoding="utf-8") == self.key

    def run(self) -> None:
        """Run it in the guide's folder and keep what it prints.

        Raises:
            SystemExit: it failed, and must not.
        """
        words = self.command.split()
        is_snippet = words[0] == "python"
        arguments = [str(DOCS / "figures" / words[1]), *words[2:]] if is_snippet else ["-m", *words]
        environment = {
            **os.environ,
            "COLUMNS": "100",
            "NO_COLOR": "1",
            "PYTHONWARNINGS": "ignore",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        WORK.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=WORK,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode and not self.optional:
            sys.exit(f"{self.command}: ended with exit code {done.returncode}\n{done.stderr[-3000:]}")
        said = [line for line in done.stderr.splitlines() if line.startswith(("note:", "kineme:"))]
        shown = [] if is_snippet else [f"$ {_broken(self.command.removesuffix(' --overwrite'))}"]
        text = "\n".join([*shown, _wrapped("\n".join([*said, done.stdout])).strip("\n")])
        TRANSCRIPTS.mkdir(parents=True, exist_ok=True)
        (TRANSCRIPTS / f"{self.name}.txt").write_text(text.replace(f"{WORK}/", "") + "\n", encoding="utf-8")
        (TRANSCRIPTS / f"{self.name}.key").write_text(self.key, encoding="utf-8")


def _broken(command: str) -> str:
    """A long command on several lines, as a shell takes it."""
    return " \\\n    ".join(textwrap.wrap(command, _LINE - 6, break_long_words=False, break_on_hyphens=False))


def _wrapped(text: str) -> str:
    """Sentences broken where a line of the page ends; tables as they are."""
    lines = []
    for line in text.splitlines():
        is_table = bool(re.search(r"\S {3,}\S|─", line))
        lines += [line.rstrip()] if is_table else textwrap.wrap(line, _LINE) or [""]
    return "\n".join(lines)


def _train(name: str, options: str, data: str = "pairs", after: tuple[str, ...] = ()) -> Step:
    command = f"kineme train {data} {options}".strip() + f" --out runs/{name} --overwrite"
    return Step(name, command, (f"make-{data}", *after))


_FROZEN = "--backbone efficientnet-lite0"
STEPS = (
    Step("make-pairs", f"kineme datasets make pairs --clips 240 --people 60 --actions {ACTIONS} --untrimmed 0"),
    Step(
        "make-strangers",
        f"kineme datasets make strangers --clips 4 --people 2 --actions {ACTIONS} --untrimmed 2 --seed 1",
    ),
    Step(
        "make-rooms",
        f"kineme datasets make rooms --clips 160 --people 40 --actions {ACTIONS} --untrimmed 0 --strong-scenes",
    ),
    _train("lrcn", "--approach lrcn --epochs 80"),
    Step(
        "pose-lstm",
        "kineme train pairs --approach pose-lstm --frames 12 --fps 5 --views 0 --out runs/pose-lstm --overwrite",
        ("make-pairs",),
        optional=True,
    ),
    _train("early-fusion", "--approach early-fusion --epochs 40"),
    _train("single-frame", f"--approach single-frame {_FROZEN}"),
    _train("slow-fusion", "--approach slow-fusion --epochs 30"),
    _train("late-fusion-mean", f"--approach late-fusion {_FROZEN} --set merge=mean", after=("single-frame",)),
    _train("late-fusion", f"--approach late-fusion {_FROZEN}"),
    _train("lrcn-imagenet", f"--approach lrcn {_FROZEN}"),
    _train("leaky", f"--approach late-fusion {_FROZEN} --views 0 --leaky-random-split", data="rooms"),
    Step("evaluate-lrcn", "kineme evaluate runs/lrcn pairs", ("lrcn",)),
    Step(
        "predict-long",
        "kineme predict strangers/untrimmed/person01_01.mp4 --model runs/lrcn",
        ("lrcn", "make-strangers"),
    ),
    Step("explain", "kineme explain runs/lrcn strangers/untrimmed/person01_01.mp4", ("lrcn", "make-strangers")),
    Step("read_a_clip", "python snippets/read_a_clip.py", ("make-pairs",)),
    Step("frame_network", "python snippets/frame_network.py"),
    Step("lstm_by_hand", "python snippets/lstm_by_hand.py", ("lrcn",)),
    Step("answers", "python snippets/answers.py", ("early-fusion",)),
)
BY_NAME = {step.name: step for step in STEPS}


def main(names: list[str]) -> None:
    """Run the steps that are not up to date; of those named, or of all."""
    wanted = [step for step in STEPS if (not names or step.name in names) and not step.is_done]
    run_two_at_a_time({step.name: partial(_run, step) for step in wanted}, {step.name: step.after for step in wanted})


def _run(step: Step) -> None:
    started = time.perf_counter()
    step.run()
    print(f"{step.command}\n    {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
