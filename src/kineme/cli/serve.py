"""``kineme serve``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kineme.cli import triggers
from kineme.cli.options import parse_seconds, parse_size
from kineme.cli.output import print_json, say, warn
from kineme.models.registry import DEFAULT_MODEL


def serve(
    model: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Model files, exported or not, or run folders; by default {DEFAULT_MODEL}.", metavar="MODEL..."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(envvar="KINEME_TOKEN", help="Token that visitors must give; better set in KINEME_TOKEN."),
    ] = None,
    public_name: Annotated[
        str | None, typer.Option(help="Name under which a proxy on this machine (for https) serves it to others.")
    ] = None,
    allow_links: Annotated[
        bool, typer.Option("--allow-links", help="Let visitors name video URLs, which the server downloads.")
    ] = False,
    link_network: Annotated[
        list[str] | None, typer.Option(help="A network that is not public but links may lead to: 10.1.0.0/16.")
    ] = None,
    cookies: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A cookies.txt for links; visitors then see what its account may see."),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder of jobs and results; by default in the user's data folder.")
    ] = None,
    max_size: Annotated[str, typer.Option(help="Refuse larger videos.")] = "200M",
    max_duration: Annotated[str, typer.Option(help="Refuse longer videos: seconds or 10:00.")] = "10:00",
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse videos with more pixels a frame.")] = 4096 * 2304,
    time_limit: Annotated[str, typer.Option(help="Time limit of a job.")] = "15:00",
    queue: Annotated[int, typer.Option(min=1, help="How many videos may wait.")] = 16,
    workers: Annotated[
        int, typer.Option(min=1, help="How many videos are processed at once; each worker loads its own models.")
    ] = 1,
    streams: Annotated[int, typer.Option(min=0, help="How many cameras are watched at once.")] = 8,
    rate: Annotated[
        int, typer.Option(min=1, help="How many videos and cameras one address may start per minute.")
    ] = 60,
    keep: Annotated[float, typer.Option(min=0.001, help="Hours for which jobs and results are kept.")] = 24.0,
    on: triggers.On = None,
    cooldown: triggers.Cooldown = None,
    webhook: triggers.WebhookUrl = None,
    mqtt: triggers.MqttUrl = None,
    run: triggers.Run = None,
    json: Annotated[bool, typer.Option("--json", help="Print address and models as JSON when it listens.")] = False,
) -> None:
    """Serve a web page and a REST API, for videos and live cameras."""
    from kineme.cli.models import fetch
    from kineme.errors import UsageError
    from kineme.models import weights
    from kineme.serving.run import serve as serve_until_stopped
    from kineme.serving.settings import Settings

    if link_network and not allow_links:
        raise UsageError("--link-network is for --allow-links")
    if cookies and not allow_links:
        raise UsageError("--cookies is for --allow-links")
    models = model or [DEFAULT_MODEL]
    for one in models:
        if one == DEFAULT_MODEL and not Path(one).exists() and weights.find(one) is None:
            fetch(one)
    state = state or _state_folder()
    alarm = triggers.alarm_options(on, cooldown=cooldown, webhook=webhook, mqtt=mqtt, run=run, state=state / "triggers")
    settings = Settings(
        models=tuple(models),
        state=state,
        host=host,
        port=port,
        public_name=public_name,
        token=token,
        allow_links=allow_links,
        link_networks=tuple(link_network or ()),
        cookies=cookies and cookies.absolute(),
        alarm=alarm,
        max_bytes=parse_size("--max-size", max_size),
        max_duration_s=parse_seconds("--max-duration", max_duration),
        max_pixels=max_pixels,
        time_limit_s=parse_seconds("--time-limit", time_limit),
        queue=queue,
        workers=workers,
        streams=streams,
        rate=rate,
        keep_s=keep * 3600,
    )
    if not settings.is_loopback and token is None:
        warn([f"--host {host}: everybody who reaches this machine can use it; --token TOKEN lets in those who know it"])

    def on_start(address: str, names: list[str]) -> None:
        if json:
            print_json({"address": address, "models": names, "state": str(settings.state)})
        else:
            say(f"{', '.join(names)} at {address} (Ctrl-C ends)")
        sys.stdout.flush()

    serve_until_stopped(settings, on_start, on_warning=lambda line: warn([line]))


def _state_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("kineme", appauthor=False)) / "serve"
