"""Follows a visitor's camera over a WebSocket: pictures in, probabilities out, the newest picture first.

A message to the server is 8 bytes, when the picture was taken in milliseconds on the visitor's clock (float64, little
endian), and the picture as JPEG. A message from the server is a JSON document with that time, so that the visitor can
tell how late the answer is.
"""

from __future__ import annotations

import asyncio
import io
import logging
import math
import struct
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from starlette.websockets import WebSocket, WebSocketDisconnect

from kineme.errors import KinemeError
from kineme.serving.problem import ServiceError, error_document
from kineme.serving.settings import Settings
from kineme.serving.visitors import Rate, visitor_of

if TYPE_CHECKING:
    from kineme.model import Model
    from kineme.prediction.stream import Stream
    from kineme.triggers.alarm import Alarm, Follower

log = logging.getLogger("kineme.serving")

MOST_MESSAGE = 1 << 20

_MOST_SIDE = 2048
_SCAN, _MOST_SCANS = b"\xff\xda", 32  # of a progressive JPEG; each costs as much as a picture
_SILENCE_S, _LONGEST_S = 30.0, 3600.0
_MOST_PICTURES = 3600  # a minute; those that there is no time for are left out
_TOP = 5


class Streams:
    """The cameras that are being followed.

    Args:
        settings: of the server: how many at once, of which one visitor may have half where others can come.
        alarm: receives their predictions.

    Attributes:
        open: how many there are.
        frames: how many pictures were looked at so far.
        dropped: how many there was no time for.
    """

    def __init__(self, settings: Settings, alarm: Alarm | None = None) -> None:
        self._alarm, self._followed = alarm, 0
        self._most = settings.streams
        self._most_each = max(1, self._most // 2) if settings.is_public else self._most
        self._visitors: Counter[str] = Counter()
        self._building = threading.Lock()  # networks are built one at a time
        self.open = self.frames = self.dropped = 0

    async def follow(self, socket: WebSocket, model: Model, name: str) -> None:
        """Answer pictures until the visitor leaves, sends nothing for long, or sends data that is not a picture.

        Args:
            socket: of the visitor.
            model: that recognises.
            name: the model's.
        """
        await socket.accept()
        visitor = visitor_of(socket)
        try:
            if self.open >= self._most or self._visitors[visitor] >= self._most_each:
                raise ServiceError(429, "too_many_streams", "enough cameras are followed already; try again later")
            self.open += 1
            self._visitors[visitor] += 1
            try:
                async with asyncio.timeout(_LONGEST_S):
                    await self._follow(socket, model, name)
            finally:
                self.open -= 1
                self._visitors[visitor] -= 1
                self._visitors += Counter()  # forget who has none
        except WebSocketDisconnect:
            pass
        except TimeoutError:
            await _say_goodbye(socket, error_document("too_long", "an hour is over; start the camera again"))
        except ServiceError as error:
            await _say_goodbye(socket, error_document(error.code, error.message))
        except KinemeError:
            log.exception("a camera cannot be followed")
            await _say_goodbye(socket, error_document("cannot_stream", "this model cannot follow a camera"))

    async def _follow(self, socket: WebSocket, model: Model, name: str) -> None:
        thread = ThreadPoolExecutor(1, thread_name_prefix="kineme-stream")  # a stream lives in one thread
        try:
            await self._answer_all(socket, model, self._watched_by(model, name), thread)
        finally:
            thread.shutdown(wait=False)
        await socket.close()

    def _watched_by(self, model: Model, name: str) -> _Watched | None:
        if self._alarm is None:
            return None
        self._followed += 1
        return _Watched(model, self._alarm.follow(name, f"camera {self._followed}"))

    async def _answer_all(
        self, socket: WebSocket, model: Model, watched: _Watched | None, thread: ThreadPoolExecutor
    ) -> None:
        loop = asyncio.get_running_loop()
        stream = await loop.run_in_executor(thread, self._make, model)
        await socket.send_json({"ready": True, "labels": list(model.labels), "fps": model.card.spec.fps})
        newest: asyncio.Queue[bytes | ServiceError | None] = asyncio.Queue(1)
        rate = Rate(_MOST_PICTURES)
        answered = dropped = 0

        async def listen() -> None:
            nonlocal dropped
            last: ServiceError | None = None
            try:
                while True:
                    message = await asyncio.wait_for(socket.receive_bytes(), _SILENCE_S)
                    rate.take("")
                    if newest.full():
                        newest.get_nowait()
                        dropped += 1
                        self.dropped += 1
                    newest.put_nowait(message)
            except ServiceError as refused:
                last = refused
            except (WebSocketDisconnect, TimeoutError, KeyError):  # gone, silent, or text
                pass
            if newest.full():
                newest.get_nowait()
            newest.put_nowait(last)

        listening = asyncio.create_task(listen())
        try:
            while isinstance(message := await newest.get(), bytes):
                answer = await loop.run_in_executor(thread, _answer, model, stream, message, watched)
                answered += 1
                self.frames += 1
                await socket.send_json({**answer, "answered": answered, "dropped": dropped})
            if message is not None:
                raise message
        finally:
            listening.cancel()
            if watched:
                await loop.run_in_executor(thread, watched.end)

    def _make(self, model: Model) -> Stream:
        with self._building:
            stream = model.stream()
        spec = model.card.spec
        # The first window takes long; a camera would be seconds behind from the start.
        stream.push(np.zeros((spec.height, spec.width, 3), np.uint8), 0.0)
        stream.advance_to((spec.frames + 1) * spec.step_s(0.0))
        stream.reset()
        return stream


class _Watched:
    """Reports the actions in front of a visitor's camera."""

    def __init__(self, model: Model, follower: Follower) -> None:
        spec = model.card.spec
        self._follower = follower
        self._half_s = (spec.frames - 1) / 2 * spec.step_s(0.0)
        self._time_s = 0.0

    def see(self, stream: Stream, probabilities_K: NDArray[np.float64], score: float | None, time_s: float) -> None:
        """Take in the newest answer, to a picture of ``time_s`` on the visitor's clock."""
        assert stream.prediction_time_s is not None
        self._time_s = time_s
        clock_s = time.monotonic() - time_s
        self._follower.push(stream.prediction_time_s - self._half_s, probabilities_K, score, clock_s)

    def end(self) -> None:
        """The visitor has gone."""
        self._follower.interrupt(self._time_s)


def _answer(model: Model, stream: Stream, message: bytes, watched: _Watched | None) -> dict[str, Any]:
    """What the model says of a picture, and of those before it."""
    if len(message) < 9:
        raise ServiceError(400, "bad_picture", "a message is 8 bytes of time and a JPEG")
    (time_ms,) = struct.unpack("<d", message[:8])
    if not math.isfinite(time_ms) or abs(time_ms) > 1e15:
        raise ServiceError(400, "bad_picture", "the time of a picture must be a number of milliseconds")
    probabilities_K = stream.push(_pixels(message[8:]), time_ms / 1000)
    if probabilities_K is None:
        return {"time_ms": time_ms, "top": [], "known": None}
    if not np.isfinite(probabilities_K).all():
        raise ServiceError(500, "bad_model", "the model gives no numbers for this picture; its file may be damaged")
    best = np.argsort(-probabilities_K, kind="stable")[:_TOP]
    assert stream.logits_K is not None
    known = model.open_set_score(stream.logits_K[None])
    if watched:
        watched.see(stream, probabilities_K, None if known is None else float(known[0]), time_ms / 1000)
    return {
        "time_ms": time_ms,
        "top": [{"label": model.labels[k], "probability": round(float(probabilities_K[k]), 4)} for k in best],
        "known": None if known is None else bool(known[0] >= 0),
    }


def _pixels(jpeg: bytes) -> NDArray[np.uint8]:
    """A JPEG as frame_HWC."""
    from PIL import Image

    if jpeg.count(_SCAN) > _MOST_SCANS:
        raise ServiceError(400, "bad_picture", f"pictures may have {_MOST_SCANS} scans")
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as picture:
            if max(picture.size) > _MOST_SIDE:
                raise ServiceError(400, "bad_picture", f"pictures may have {_MOST_SIDE} pixels a side")
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ServiceError(400, "bad_picture", "the picture is no JPEG, or damaged") from error


async def _say_goodbye(socket: WebSocket, document: dict[str, Any]) -> None:
    try:
        await socket.send_json(document)
        await socket.close(1008)
    except (WebSocketDisconnect, RuntimeError):
        pass  # it has gone already
