"""Claims about bench's parts: percentiles, answers that are the same, replies as they come, URLs, pictures."""

from itertools import pairwise

import numpy as np
import pytest

from lightning_base.errors import ConfigError
from lightning_base.serving.bench.answers import same, slack_of
from lightning_base.serving.bench.latency import latency
from lightning_base.serving.bench.plot import Line, apart, bounds, steps_between
from lightning_base.serving.bench.target import target
from lightning_base.serving.bench.wire import Address, arrived, request


@pytest.mark.parametrize("n", [2, 19, 20, 99, 100, 1001])
def test_percentiles_are_those_of_sorted_times_and_given_where_a_request_lies_above(n: int) -> None:
    times = np.random.default_rng(n).exponential(0.01, n)
    found = latency(times.tolist())
    rising = np.sort(times) * 1000

    def at(q: float) -> float:
        place = q * (n - 1)
        low = int(place)
        return float(rising[low] + (place - low) * (rising[min(low + 1, n - 1)] - rising[low]))

    assert found.n == n
    assert found.longest == pytest.approx(rising[-1])
    assert found.p50 == pytest.approx(at(0.5))
    assert found.p95 == (pytest.approx(at(0.95)) if n >= 20 else None)
    assert found.p99 == (pytest.approx(at(0.99)) if n >= 100 else None)


def test_of_no_times_nothing_is_said() -> None:
    found = latency([])
    assert (found.n, found.p50, found.p95, found.p99, found.longest) == (0, None, None, None, None)


@pytest.mark.parametrize(
    ("answer", "expected", "alike"),
    [
        ({"pred": "cat", "prob": {"cat": 0.7}}, {"pred": "cat", "prob": {"cat": 0.70009}}, True),
        ({"pred": "cat", "prob": {"cat": 0.7}}, {"pred": "cat", "prob": {"cat": 0.7002}}, False),
        ({"pred": "dog"}, {"pred": "cat"}, False),
        ({"pred": 1}, {"pred": 1.0}, True),
        ({"pred": 1}, {"pred": 2}, False),
        ({"pred": 10000.5}, {"pred": 10001.0}, True),  # to 1e-4 of the largest value
        ({"pred": 10000}, {"pred": 10001}, False),  # whole numbers exactly
        ({"pred": True}, {"pred": 1}, False),
        ({"pred": float("nan")}, {"pred": 1.0}, False),
        ({"boxes": [[1.0, 2.0]]}, {"boxes": [[1.0, 2.0], [3.0, 4.0]]}, False),
        ({"pred": 1.0, "more": 1}, {"pred": 1.0}, False),
        ("text", "text", True),
        (None, None, True),
        ([], {}, False),
    ],
)
def test_answers_are_the_same_up_to_rounding_alone(answer: object, expected: object, alike: bool) -> None:
    assert same(answer, expected, slack_of([expected], 1e-4)) is alike


def test_boxes_are_the_same_in_any_order_and_other_boxes_are_not() -> None:
    one = {"boxes": [[0, 0, 9.0, 9.0], [5.0, 5, 8, 8]], "scores": [0.9, 0.9], "labels": ["a", "a"], "size": [10, 20]}
    other = {**one, "boxes": one["boxes"][::-1]}
    moved = {**one, "boxes": [[0, 0, 9.0, 9.5], [5.0, 5, 8, 8]]}
    assert same(one, other, 1e-4)
    assert not same(one, moved, 1e-4)
    assert not same({**one, "scores": ["?"]}, one, 1e-4)


REPLIES = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", False),
    "empty": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", False),
    "chunks": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
        200,
        b"hello",
        False,
    ),
    "trailer": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
        200,
        b"hello",
        False,
    ),
    "closes": (b"HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx", 503, b"x", True),
    "go on first": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False),
}


@pytest.mark.parametrize("kind", REPLIES)
def test_a_reply_is_whole_at_its_last_byte_and_no_sooner(kind: str) -> None:
    sent, status, body, closes = REPLIES[kind]
    for n in range(len(sent)):
        assert arrived(bytearray(sent[:n])) is None
    whole = arrived(bytearray(sent + b"HTTP/1.1 200 OK"))
    assert whole is not None
    assert (whole.reply.status, whole.reply.body, whole.used, whole.closes) == (status, body, len(sent), closes)


def test_a_reply_without_length_ends_with_its_connection() -> None:
    sent = bytearray(b"HTTP/1.1 200 OK\r\n\r\nhel")
    assert arrived(sent) is None
    whole = arrived(sent, ended=True)
    assert whole is not None
    assert whole.reply.body == b"hel"
    with pytest.raises(ValueError, match="no reply"):
        arrived(bytearray(b"SSH-2.0-OpenSSH\r\n\r\n"))


def test_a_request_is_that_of_http() -> None:
    sent = request(Address("example.org", 443, True), "/predict", b"{}", {"Authorization": "Bearer k"})
    head, _, body = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == "POST /predict HTTP/1.1"
    assert dict(line.split(": ") for line in lines) == {
        "Content-Type": "application/json",
        "Host": "example.org",
        "Authorization": "Bearer k",
        "Content-Length": "2",
    }
    assert body == b"{}"
    assert request(Address("::1", 8000), "/health").startswith(b"GET /health HTTP/1.1\r\nHost: [::1]:8000\r\n")


@pytest.mark.parametrize(
    ("url", "path", "before", "name"),
    [
        ("http://a:1", "/predict", "", None),
        ("http://a:1/", "/predict", "", None),
        ("http://a/predict", "/predict", "", None),
        ("http://a/models/m", "/models/m/predict", "", "m"),
        ("https://a/ml/models/m/versions/2/predict", "/ml/models/m/versions/2/predict", "/ml", "m"),
        ("http://a/score", "/score", "/score", None),
    ],
)
def test_a_url_leads_to_its_model(url: str, path: str, before: str, name: str | None) -> None:
    found = target(url)
    assert (found.path, found.before, found.name) == (path, before, name)
    assert found.address.port == (1 if ":1" in url else 443 if url.startswith("https") else 80)


def test_a_url_with_a_password_is_refused() -> None:
    with pytest.raises(ConfigError, match="no URL of a server"):
        target("http://me:secret@a/predict")


def test_axes_have_round_ends_and_no_name_covers_another() -> None:
    assert bounds([0.3, 7.0]) == (0.2, 10.0)
    assert steps_between(0.2, 10.0) == pytest.approx([0.2, 0.5, 1, 2, 5, 10])
    assert steps_between(0.01, 100.0) == pytest.approx([0.01, 0.1, 1, 10, 100])
    named = apart([(100.0, Line(str(i), "a", ())) for i in range(4)])
    heights = sorted(at for at, _ in named)
    assert min(b - a for a, b in pairwise(heights)) >= 14
