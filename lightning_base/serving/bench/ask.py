"""One request outside of what is measured."""

import http.client
import ssl
from collections.abc import Mapping

from lightning_base.serving.bench.wire import Address


def ask(
    address: Address,
    path: str,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30.0,
) -> tuple[int, bytes]:
    """Status and body of a GET, or of a POST of JSON where there is a body.

    Raises:
        OSError: where the server cannot be reached, or what comes is no HTTP.
    """
    if address.tls:
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            address.host, address.port, timeout=timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    try:
        kind = {} if body is None else {"Content-Type": "application/json"}
        connection.request("GET" if body is None else "POST", path, body, {**kind, **(headers or {})})
        reply = connection.getresponse()
        return reply.status, reply.read()
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP: {error!r}") from error
    finally:
        connection.close()
