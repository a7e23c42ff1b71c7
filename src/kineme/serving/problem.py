"""The one form of all errors of the service: ``{"error": {"code": ..., "message": ...}}``."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

log = logging.getLogger("kineme.serving")

_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}
_WORDS = {404: "there is nothing under this address", 405: "this address does not take this method"}


class ServiceError(Exception):
    """A request that is refused.

    Args:
        status: of HTTP.
        code: for programs; it does not change.
        message: for people, one line.
        retry_after_s: when to ask again.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after_s = status, code, message, retry_after_s

    def response(self) -> JSONResponse:
        """The answer that says it."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(max(1, round(self.retry_after_s)))}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(document(self.code, self.message), self.status, headers)


def document(code: str, message: str) -> dict[str, Any]:
    """The form."""
    return {"error": {"code": code, "message": message}}


def install(app: FastAPI) -> None:
    """Bring every error of ``app`` into the form."""

    @app.exception_handler(ServiceError)
    def refused(_: Request, problem: ServiceError) -> JSONResponse:
        return problem.response()

    @app.exception_handler(HTTPException)
    def by_framework(request: Request, error: HTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code, "refused")
        words = _WORDS.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        if error.status_code == 405:  # several routes may share an address, and the framework names the first one's
            found = [one for one in app.routes if one.matches(request.scope)[0] != Match.NONE]
            headers["Allow"] = ", ".join(sorted({method for one in found for method in getattr(one, "methods", ())}))
        return JSONResponse(document(code, words), error.status_code, headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return JSONResponse(document("invalid", f"{where}: {first['msg']}".removeprefix(": ")), 422)

    @app.exception_handler(Exception)
    def unexpected(_: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", exc_info=error)
        return JSONResponse(document("internal", "something went wrong here; the server's log says what"), 500)
