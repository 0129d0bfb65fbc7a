"""Claims about bench on an exported folder: the bare model, start-up, memory, what serving costs and batching gives."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from lightning_base.cli.entry import main
from lightning_base.serving.bench.bare import measure
from lightning_base.serving.bench.jobs import BareJob, Job, Seen
from lightning_base.serving.bench.processes import run_load
from tests.support.small_export import write

QUICK = ("--seconds", "0.5", "--warmup", "0.1", "--starts", "2", "--out", "b.json")


def bench(*words: object) -> int:
    return main(["bench", *map(str, words)])


def found() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path("b.json").read_text())
    return content


@pytest.mark.slow
def test_an_export_is_measured_bare_and_served(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a graph whose batches take as long as one input: what batching gives is then sure to be seen."""
    monkeypatch.setenv("LIGHTNING_BASE_API_KEY", "of another server")
    version = json.loads((write(work / "export", work=4) / "manifest.json").read_text())["version"]
    assert bench("export", *QUICK, "--concurrency", "1,16", "--out", "b.svg", "--", "--max-batch", "12") == 0
    all_ = found()
    assert (all_["model"], all_["inputs"]) == (f"sums/{version}", 6)
    assert [step["batch"] for step in all_["bare"]] == [1, 2, 4, 8, 12]
    for step in all_["bare"]:
        assert step["wrong"] == 0
        assert 0 < step["answering"]["p50"] <= step["whole"]["p50"]
        assert step["with_reading"] < step["per_second"]
    for process in all_["processes"]:
        assert len(process["starts"]) == 2
        assert 0.05 < min(process["starts"]) < 60
        assert 20 * 2**20 < process["loaded"] <= process["most"] < 2**30
    served, single, empty = all_["sweeps"]
    assert [one["path"] for one in all_["sweeps"]] == ["/predict", "/predict", "/health"]
    for sweep in all_["sweeps"]:
        for step in sweep["steps"]:
            assert step["errors"] == {}
            assert step["wrong"] == 0
            assert 0 < step["server"] < 1.5 * all_["machine"]["cores"]
    ratios = all_["ratios"]
    rate = served["steps"][1]["per_second"]
    assert ratios["batching"] == pytest.approx(rate / single["steps"][1]["per_second"])
    assert ratios["batching"] > 2
    limit = min(empty["steps"][1]["per_second"], max(step["per_second"] for step in all_["bare"]))
    assert ratios["of_limit"] == pytest.approx(rate / limit)
    assert ratios["one_client_p50"] == served["steps"][0]["latency"]["p50"]
    assert ratios["bare_p50"] == all_["bare"][0]["whole"]["p50"]
    said = capsys.readouterr().out
    assert f"batching, 16 clients: {ratios['batching']:.2f}×" in said
    assert "bare model" in Path("b.svg").read_text()


def test_an_example_that_is_answered_otherwise_is_counted_bare_and_not_served(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(work / "export", wrong=True)
    seen = measure(BareJob("export", (1, 4), 0, 0.05))
    for step in seen.steps:
        answers = step.batch * len(step.answering)
        assert abs(step.wrong - answers / 6) < 2  # one of six examples
    assert bench("export", *QUICK) == 2
    error = capsys.readouterr().err
    assert "bench: serve ended: serve: export: an example's answer differs" in error
    assert error.count("\n") == 1


MISTAKES = [
    (["--", "--max-bach", "3"], "serve: unrecognized arguments: --max-bach"),
    (["--", "--port", "80"], "--port is set by bench"),
    (["--", "--threads=0"], "--threads"),
    (["--api-key", "k"], "--api-key: is for a URL"),
]


@pytest.mark.parametrize(
    ("words", "said"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_mistake_in_what_serve_is_told_is_one_line(
    words: list[str], said: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(work / "export")
    assert bench("export", *QUICK, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not Path("b.json").exists()


def test_a_folder_that_is_no_export_and_one_that_was_changed_are_one_line(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "empty").mkdir()
    assert bench("empty", *QUICK) == 2
    assert "empty: is no exported folder" in capsys.readouterr().err
    write(work / "export")
    (work / "export" / "model.onnx").write_bytes(b"")
    assert bench("export", *QUICK) == 2
    error = capsys.readouterr().err
    assert "model.onnx: is not as it was exported" in error
    assert error.count("\n") == 1


def test_a_server_that_dies_under_load_is_told_in_one_line(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def killing(job: Job) -> Seen:
        if job.pid is not None:
            os.kill(job.pid, signal.SIGKILL)
        return run_load(job)

    write(work / "export")
    monkeypatch.setattr("lightning_base.serving.bench.measure.run_load", killing)
    words = ("--seconds", "0.2", "--warmup", "0.1", "--starts", "1", "--concurrency", "2", "--", "--max-batch", "1")
    assert bench("export", *words) == 1
    error = capsys.readouterr().err
    assert "serve ended under load" in error
    assert error.count("\n") == 1
