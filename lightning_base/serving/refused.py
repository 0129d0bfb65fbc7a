"""Refused: why a request gets no answer, and the one form in which that is said."""

import json
import math
from collections.abc import Mapping

from starlette.responses import Response


class Refused(Exception):
    """A request that is not answered.

    Args:
        status: 4xx; 503, with a `retry` in seconds; or 504.
        message: one sentence; never a path or a traceback.
        field: which part of the input does not fit, where it is one.
        retry: seconds after which to try again.
        headers: more headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        field: str | None = None,
        *,
        retry: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.field = status, message, field
        self.headers = dict(headers or {})
        if retry is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry)))

    def body(self) -> bytes:
        """The JSON that is sent."""
        return said(self.message, self.field)

    def response(self) -> Response:
        """What is sent."""
        return Response(self.body(), self.status, self.headers, "application/json")


class Gone(Exception):
    """The client has gone away: nobody is left to answer."""


def said(message: str, field: str | None = None) -> bytes:
    """An error as JSON; what cannot be written in UTF-8 is escaped."""
    return json.dumps({"error": message, "field": field or None}).encode()


def cannot_answer(request: str) -> Refused:
    """The answer where something unforeseen broke; the log has more under the request's id."""
    return Refused(503, f"cannot answer now; the server's log has more under request {request}", retry=1)
