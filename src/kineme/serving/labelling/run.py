"""Runs the labelling page until it is stopped."""

from __future__ import annotations

from collections.abc import Callable

from kineme.errors import KinemeError
from kineme.files import sole_writer
from kineme.serving.run import answer, listen
from kineme.serving.settings import Settings


def label(
    folder: str,
    on_start: Callable[[str], None],
    *,
    model: str | None = None,
    approach: str | None = None,
    camera: bool = False,
    port: int = 0,
) -> None:
    """Open a folder for labelling, and answer until SIGINT or SIGTERM; on loopback alone.

    Args:
        folder: of the videos; ``labels.csv`` is written there.
        on_start: called with the address as soon as requests are accepted.
        model: that proposes from the beginning.
        approach: the approach to train; by default that of ``kineme train``.
        camera: open the page where clips are recorded.
        port: to listen on; 0 takes a free one.

    Raises:
        BusyError: another command writes the labels of the folder.
        KinemeError: the folder, the labels or the port cannot be used, or the extra is not installed.
    """
    try:
        from kineme.serving.connections import BACKLOG, Connections, connections_that_fit
        from kineme.serving.labelling.app import make_app
        from kineme.serving.labelling.service import STATE, LabelService, LabelSettings, check_model
        from kineme.serving.labelling.store import TABLE
    except ModuleNotFoundError as error:
        raise KinemeError(f'label needs {error.name}: pip install "kineme[serve]"') from error
    from pathlib import Path

    path = Path(folder)
    if camera:
        path.mkdir(parents=True, exist_ok=True)
    elif not path.is_dir():
        raise KinemeError(f"{folder}: no such folder; name the folder of the videos to label")
    check_model(model)
    with sole_writer(path / TABLE):
        service = LabelService(LabelSettings(path, model, approach, camera))
        settings = Settings(models=(), state=path / STATE, port=port)
        connections = Connections(connections_that_fit())
        app = make_app(settings, service, connections)
        listening = listen(settings.host, settings.port, BACKLOG)
        answer(app, settings, connections, listening, on_start)
