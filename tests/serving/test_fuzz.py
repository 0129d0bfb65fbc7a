"""Claims about requests that nobody would write: all are answered or refused as the OpenAPI document says."""

from collections.abc import Callable

import pytest

from tests.support.clients import Process
from tests.support.fuzzed import fuzz


@pytest.mark.slow
def test_fuzzed_requests_are_answered_or_refused_as_documented(process: Callable[..., Process]) -> None:
    server = process()
    statuses = fuzz(server.url, 500)
    assert statuses.total() >= 500
    assert set(statuses) <= {200, 400, 404, 405, 413, 415, 422, 503}
    assert min(statuses[200], statuses[400], statuses[422]) > 20
    assert statuses[503] < 10  # the table's model breaks at one age
    assert server.end() == 0
    assert not [line for line in server.lines() if line["event"] == "unforeseen"]
