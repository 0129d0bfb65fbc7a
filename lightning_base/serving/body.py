"""A request's body, read up to a limit and within a time; what is said to be too large is not read at all."""

import asyncio

from starlette.requests import Request

from lightning_base.serving.budget import Share
from lightning_base.serving.refused import Gone, Refused
from lightning_base.serving.settings import Settings


async def read_body(request: Request, settings: Settings, share: Share) -> bytes:
    """The body of a request.

    Args:
        request: whose body has not been read.
        settings: max_body and read_timeout.
        share: takes the bytes while they come.

    Raises:
        Refused: 413 for one that is, or is said to be, too large; 408 for one that does not come; 415 for one that is
            compressed; 503 where too much is held already.
        Gone: where the client goes away.
    """
    if (encoding := request.headers.get("content-encoding", "identity").strip().lower()) != "identity":
        raise Refused(415, f"Content-Encoding {encoding[:40]!r} is not read; send the body as it is")
    most = settings.max_body
    said = request.headers.get("content-length", "0")
    if not (said.isascii() and said.isdigit()):
        raise Refused(400, "a Content-Length that is no number")
    if len(said) > 18 or int(said) > most:
        raise Refused(413, f"a body of {said[:24]} bytes; send at most {most}")
    parts: list[bytes] = []
    size, is_more = 0, True
    try:
        async with asyncio.timeout(settings.read_timeout):
            while is_more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                if part := message.get("body", b""):
                    size += len(part)
                    if size > most:
                        raise Refused(413, f"a body of over {most} bytes; send at most that")
                    share.add(len(part))
                    parts.append(part)
                is_more = message.get("more_body", False)
    except TimeoutError as error:
        raise Refused(408, f"the body did not come within {settings.read_timeout:g} s") from error
    return parts[0] if len(parts) == 1 else b"".join(parts)
