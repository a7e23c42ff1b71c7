"""The one document of all errors of the service: ``{"error": {"code": ..., "message": ...}}``."""

from __future__ import annotations

import logging
import sqlite3
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from kineme.serving.store import is_disk_full

log = logging.getLogger("kineme.serving")

INTERNAL = "something went wrong here; the server's log says what"

_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}
_MESSAGES = {404: "there is nothing under this address", 405: "this address does not take this method"}


class ErrorText(BaseModel):
    """What went wrong."""

    code: str = Field(description="for programs; it does not change", examples=["bad_video"])
    message: str = Field(description="for people, one line", examples=["clip.mp4: is not a video that can be read"])


class Error(BaseModel):
    """The body of every error."""

    error: ErrorText


def error_document(code: str, message: str) -> dict[str, Any]:
    """The body of an error, as in :class:`Error`."""
    return {"error": {"code": code, "message": message}}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI descriptions of the errors that a route may answer."""
    return {status: {"model": Error, "description": "refused"} for status in statuses}


class ServiceError(Exception):
    """A request that is refused.

    Args:
        status: HTTP status.
        code: for programs; it does not change.
        message: for people, one line.
        retry_after_s: when to ask again.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after_s = status, code, message, retry_after_s

    def response(self) -> JSONResponse:
        """The error as an HTTP response."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(max(1, round(self.retry_after_s)))}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(error_document(self.code, self.message), self.status, headers)


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error with an :class:`Error`."""

    @app.exception_handler(ServiceError)
    def refused(_: Request, error: ServiceError) -> JSONResponse:
        return error.response()

    @app.exception_handler(HTTPException)
    def by_framework(request: Request, error: HTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code, "refused")
        message = _MESSAGES.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        if error.status_code == 405:  # several routes may share an address, and the framework names the first one's
            found = [route for route in app.routes if route.matches(request.scope)[0] != Match.NONE]
            headers["Allow"] = ", ".join(sorted({method for one in found for method in getattr(one, "methods", ())}))
        return JSONResponse(error_document(code, message), error.status_code, headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return JSONResponse(error_document("invalid", f"{where}: {first['msg']}".removeprefix(": ")), 422)

    @app.exception_handler(OSError)
    @app.exception_handler(sqlite3.Error)
    def perhaps_full(request: Request, error: Exception) -> JSONResponse:
        if is_disk_full(error):
            return ServiceError(429, "disk_full", "the server's disk is full", retry_after_s=600).response()
        return unexpected(request, error)

    @app.exception_handler(Exception)
    def unexpected(_: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", exc_info=error)
        return JSONResponse(error_document("internal", INTERNAL), 500)
