"""Claims about bench on a server that is there: it counts what was asked, answered, wrong and refused, and says so."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from lightning_base.cli.entry import main
from tests.support.tiny_server import double, tiny

QUICK = ("--seconds", "0.4", "--warmup", "0.1")


def bench(*words: object) -> int:
    return main(["bench", *map(str, words)])


def step(path: str, sweep: str = "served") -> dict[str, Any]:
    """The first load of what was asked."""
    found = json.loads(Path(path).read_text())
    sweeps = {one["name"]: one["steps"] for one in found["sweeps"]}
    first: dict[str, Any] = sweeps[sweep][0]
    return first


def test_a_load_counts_what_the_server_was_asked(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tiny() as server:
        assert bench(server.url, *QUICK, "--concurrency", "1,3", "--out", "b.json", "--out", "b.svg") == 0
        asked = server.asked["/predict"]
    found = json.loads(Path("b.json").read_text())
    assert (found["model"], found["task"], found["inputs"]) == ("doubles/1a", "regression", 1)
    served, empty = found["sweeps"]
    assert [s["clients"] for s in served["steps"]] == [1, 3]
    assert sum(s["compared"] for s in served["steps"]) == asked - 1  # the one that was asked alone, before
    for s in served["steps"]:
        assert s["wrong"] == 0
        assert s["errors"] == {}
        assert abs(s["latency"]["n"] - s["per_second"] * 0.4) <= s["clients"] + 1e-6  # begun there, or ended there
        assert 0 < s["latency"]["p50"] <= s["latency"]["p95"] <= s["latency"]["p99"] <= s["latency"]["longest"]
    assert [s["compared"] for s in empty["steps"]] == [0, 0]
    said = capsys.readouterr().out
    assert "closed loop" in said
    assert f"{served['steps'][0]['latency']['n']:,}" in said
    texts = [e.text for e in ElementTree.parse("b.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert {"p50", "p95", "p99", "served", "empty handler", "clients"} <= set(texts)


def test_latency_is_the_time_that_the_server_takes(work: Path) -> None:
    with tiny(delay=0.05) as server:
        assert bench(server.url, *QUICK, "--concurrency", "4", "--out", "b.json") == 0
    found = step("b.json")
    assert 50 <= found["latency"]["p50"] < 500
    assert 5 <= found["per_second"] <= 80  # four clients, each at most twenty a second
    assert found["latency"]["p99"] is None  # of fewer than a hundred
    assert step("b.json", "empty handler")["latency"]["p50"] < 50


def test_a_stall_counts_for_all_that_was_due_meanwhile_in_an_open_loop(work: Path) -> None:
    """One connection, 20 ms an answer, and 100 a second asked: those due at the end wait for half of all others."""
    with tiny(delay=0.02) as server:
        assert (
            bench(server.url, "--seconds", 1, "--warmup", 0, "--rate", 100, "--concurrency", 1, "--out", "b.json") == 0
        )
    found = step("b.json")
    assert 70 <= found["latency"]["n"] <= 130
    assert found["latency"]["longest"] > 20 * 0.4 * found["latency"]["n"]
    assert found["per_second"] <= 51


def test_a_wrong_answer_is_counted_shown_and_fails(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = 0

    def every_tenth(n: int, given: Any) -> tuple[int, Any]:
        nonlocal wrong
        wrong += n % 10 == 5
        return (200, {"pred": -1.0}) if n % 10 == 5 else double(n, given)

    with tiny(every_tenth) as server:
        assert bench(server.url, *QUICK, "--concurrency", 2, "--out", "b.json") == 1
    found = step("b.json")
    assert found["wrong"] == wrong > 0
    assert found["first_wrong"] == {"input": 0, "answer": {"pred": -1.0}, "expected": {"pred": 4.0}}
    said = capsys.readouterr()
    assert f"WRONG: served, 2 clients: {wrong:,} of {found['compared']:,} answers" in " ".join(said.out.split())
    assert f"{wrong:,} answers were not the expected ones" in said.err


def test_rounding_in_another_batch_is_no_wrong_answer(work: Path) -> None:
    def rounded(n: int, given: Any) -> tuple[int, Any]:
        return 200, {"pred": 2 * given["x"] + 1e-6 * (n % 7)}

    with tiny(rounded) as server:
        assert bench(server.url, *QUICK, "--concurrency", 2, "--out", "b.json") == 0
    assert step("b.json")["wrong"] == 0


def test_refusals_are_errors_by_status_and_no_latency(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def overloaded(n: int, given: Any) -> tuple[int, Any]:
        return (503, {"error": "busy"}) if n % 2 else double(n, given)

    with tiny(overloaded) as server:
        assert bench(server.url, *QUICK, "--concurrency", 1, "--out", "b.json") == 0
    found = step("b.json")
    assert abs(found["errors"]["503"] - found["latency"]["n"]) <= 1
    assert "503: " in capsys.readouterr().out


def test_a_server_that_answers_nothing_fails(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tiny(lambda n, given: (503, {}) if n else double(n, given)) as server:
        assert bench(server.url, *QUICK, "--concurrency", 1) == 1
    assert "not one request was answered" in capsys.readouterr().err


def test_inputs_of_a_file_are_asked_in_turn_and_held_against_their_answers(work: Path) -> None:
    lines = [{"x": 1.0}, {"input": {"x": 3.0}, "answer": {"pred": 6.0}}, {"input": {"x": 4.0}, "answer": {"pred": 9.0}}]
    Path("inputs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with tiny() as server:
        assert bench(server.url, *QUICK, "--concurrency", 1, "--inputs", "inputs.jsonl", "--out", "b.json") == 1
    found = step("b.json")
    assert abs(found["wrong"] - found["compared"] / 3) < 1  # that of the third line
    assert found["first_wrong"] == {"input": 2, "answer": {"pred": 8.0}, "expected": {"pred": 9.0}}


def test_the_key_goes_with_each_request(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tiny(key="s3cret") as server:
        assert bench(server.url, *QUICK, "--concurrency", 1, "--api-key", "s3cret") == 0
        monkeypatch.setenv("LIGHTNING_BASE_API_KEY", "s3cret")
        assert bench(server.url, *QUICK, "--concurrency", 1) == 0


MISTAKES = [
    (["nowhere"], "nowhere is no folder"),
    (["http://127.0.0.1:9"], "127.0.0.1:9 cannot be reached"),
    (["ftp://somewhere"], "no URL of a server"),
    (["http://127.0.0.1:99999"], "no URL"),
    (["URL", "--concurrency", "1,0"], "'0' is no whole number from 1 to 500"),
    (["URL", "--seconds", "nan"], "'nan' is no number"),
    (["URL", "--rate", "-3"], "'-3' is no number"),
    (["URL", "--out", "b.png"], "neither FILE.json nor FILE.svg"),
    (["URL", "--out", "nowhere/b.json"], "no file in an existing folder"),
    (["URL", "--inputs", "nothing.jsonl"], "nothing.jsonl: cannot be read"),
    (["URL", "--inputs", "broken.jsonl"], "line 2 is no JSON"),
    (["URL", "--inputs", "empty.jsonl"], "holds no input"),
    (["URL/models/other/predict"], "the server has no such model; it has doubles/1a"),
    (["URL", "--", "--max-batch", "2"], "options of serve go with an export"),
    ([".", "--inputs", "empty.jsonl"], "--inputs: is for a URL"),
    ([], "the following arguments are required"),
    (["URL", "--second", "3"], "unrecognized arguments: --second"),
]


@pytest.mark.parametrize(
    ("words", "said"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_mistake_is_one_line(words: list[str], said: str, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.jsonl").write_text('{"x": 1}\n{"x": \n')
    Path("empty.jsonl").write_text("\n")
    with tiny() as server:
        assert bench(*(word.replace("URL", server.url) for word in words)) == 2
    out, error = capsys.readouterr()
    assert said in error
    assert error.count("\n") == 1
    assert not out
    assert "Traceback" not in error


def test_a_lacking_key_is_told(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tiny(key="s3cret") as server:
        assert bench(server.url) == 2
    assert "--api-key: the server answers 401" in capsys.readouterr().err
