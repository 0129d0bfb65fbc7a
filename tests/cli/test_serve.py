"""Claims about the verb serve: a real export is answered from, and a mistake is one line."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lightning_base.cli.entry import main
from tests.helpers import CONFIGS, environment, refused, run_in, run_without
from tests.support.fuzzed import fuzz


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which scikit-learn's breast cancer data were fitted, predicted, and the run was exported."""
    work = tmp_path_factory.mktemp("work")
    config = CONFIGS / "breast_cancer_mlp.yaml"
    run_in(work, "fit", "--config", config, "--trainer.max_epochs", "2", "--name", "cancer")
    (run,) = (work / "runs/cancer/fit").iterdir()
    run_in(work, "export", run, "--out", "cancer")
    return work


class Served:
    """A server of an exported folder, as a process of its own."""

    def __init__(self, *words: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lightning_base", "serve", *map(str, words), "--port", "0", "--drain", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(OMP_NUM_THREADS="1"),
        )  # fmt: skip
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]

    def end(self) -> list[dict[str, Any]]:
        """Ends it; what it has logged."""
        self.process.terminate()
        _, said = self.process.communicate(timeout=30)
        assert self.process.returncode == 0
        return [json.loads(line) for line in said.splitlines()]


@pytest.fixture
def served(exported: Path) -> Iterator[Served]:
    server = Served(exported / "cancer", "--threads", 1)
    yield server
    server.process.kill()
    server.process.communicate()


def test_answers_are_the_examples_and_requests_without_a_model_are_refused(served: Served, exported: Path) -> None:
    examples = json.loads((exported / "cancer/examples.json").read_text())
    for path in ("/predict", "/models/cancer/predict"):
        for one in examples:
            answer = httpx.post(f"{served.url}{path}", json=one["input"])
            assert answer.status_code == 200
            assert answer.json()["pred"] == one["answer"]["pred"]
            assert answer.json()["prob"] == pytest.approx(one["answer"]["prob"], abs=1e-4)
    together = httpx.post(f"{served.url}/predict/batch", json={"inputs": [one["input"] for one in examples]})
    assert [one["pred"] for one in together.json()["answers"]] == [one["answer"]["pred"] for one in examples]
    wrong = httpx.post(f"{served.url}/predict", json={"x": [1.0] * 29})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "x")
    (model,) = httpx.get(f"{served.url}/models").json()["models"]
    assert model["example"] == examples[0]["input"]
    assert model["classes"] == ["malignant", "benign"]
    lines = served.end()
    assert [line["event"] for line in lines[-2:]] == ["stopping", "stopped"]
    assert str(examples[0]["input"]["x"][0]) not in json.dumps(lines)


@pytest.mark.slow
def test_fuzzed_requests_to_a_real_model_are_answered_or_refused(served: Served) -> None:
    statuses = fuzz(served.url, 300)
    assert set(statuses) <= {200, 400, 404, 405, 413, 415, 422}
    assert min(statuses[200], statuses[422]) > 20


def test_it_starts_without_torch_and_pandas(exported: Path) -> None:
    code = (
        "import sys, threading, os, signal\n"
        "from lightning_base.cli.entry import main\n"
        "threading.Timer(3, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()\n"
        "status = main(['serve', sys.argv[1], '--port', '0', '--drain', '0'])\n"
        "found = {'torch', 'lightning', 'pandas', 'sklearn', 'scipy', 'jsonargparse'} & set(sys.modules)\n"
        "sys.exit(', '.join(found) or status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(exported / "cancer")],
        capture_output=True, text=True, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("serving cancer/")


def test_a_changed_folder_is_refused_while_the_old_one_answers_on(exported: Path, work: Path) -> None:
    shutil.copytree(exported / "cancer", work / "v1")
    os.symlink("v1", work / "current")
    server = Served("current", "--reload-seconds", 0.1)
    try:
        label = httpx.get(f"{server.url}/models").json()["models"][0]["version"]
        shutil.copytree(work / "v1", work / "v2")
        with open(work / "v2/model.onnx", "r+b") as file:
            file.seek(1000)
            file.write(b"changed")
        os.symlink("v2", work / "new")
        os.replace(work / "new", work / "current")
        end = time.monotonic() + 20
        while 'outcome="refused"} 1.0' not in httpx.get(f"{server.url}/metrics").text:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert httpx.get(f"{server.url}/models").json()["models"][0]["version"] == label
        lines = server.end()
    finally:
        server.process.kill()
    (line,) = [line for line in lines if line["event"] == "reload"]
    assert "model.onnx" in line["why"]


def test_a_mistake_is_one_line(exported: Path, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = exported / "cancer"
    Path("empty").mkdir()
    Path("keys").write_text("\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words, parts in (
            (["nowhere"], ["nowhere is not there"]),
            (["keys"], ["keys is a file"]),
            (["empty"], ["empty/manifest.json", "is it an exported folder?"]),
            ([good, good, "--port", 0], ["the same model, cancer"]),
            ([good, "--port", port], [f"--port: {port} is in use"]),
            ([good, "--port", 0, "--default", "cancr"], ["--default", "did you mean 'cancer'"]),
            ([good, "--port", 0, "--host", "no.such.host.invalid"], ["--host", "no address of this machine"]),
            ([good, "--port", "x"], ["--port: 'x' is no whole number, 0 to 65535"]),
            ([good, "--timeout", "0"], ["--timeout: '0' is no number above 0"]),
            ([good, "--max-body", "16MB"], ["'16MB' is no size"]),
            ([good, "--cors", "shop.example"], ["--cors: 'shop.example' is no origin"]),
            ([good, "--api-key-file", "keys"], ["keys holds no key"]),
            ([good, "--api-key-file", "nokeys"], ["nokeys cannot be read"]),
            ([good, "--max-batches", 3], ["--max-batches", "serve --help"]),
            ([], ["EXPORT"]),
        ):
            refused(capsys, ["serve", *words], *parts)


def test_an_empty_key_in_the_environment_is_refused(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIGHTNING_BASE_API_KEY", " ")
    refused(capsys, ["serve", exported / "cancer"], "LIGHTNING_BASE_API_KEY is empty")


def test_help_says_each_option_and_needs_neither_torch_nor_a_server() -> None:
    done = run_without(("torch", "pandas", "fastapi", "onnxruntime"), "serve", "--help")
    assert done.returncode == 0
    for option in ("--max-batch", "--max-wait-ms", "--timeout", "--queue", "--rate", "--cors", "--reload-seconds"):
        assert option in done.stdout


def test_a_missing_library_is_named(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    for name in [name for name in sys.modules if name.startswith("lightning_base.serving.")]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["serve", str(exported / "cancer")]) == 2
    assert "fastapi is not installed; pip install 'lightning-base[serve]'" in capsys.readouterr().err
