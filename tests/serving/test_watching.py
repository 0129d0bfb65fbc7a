"""Claims about watching a server: drift is told at /metrics and in a report, and never in the way of an answer."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from lightning_base.runtime.columns import Categories, Numbers
from lightning_base.runtime.drift import Reference, Side
from lightning_base.runtime.measured import Part
from lightning_base.serving.app import Application
from lightning_base.serving.logs import Log
from lightning_base.serving.settings import Settings
from lightning_base.serving.watching import VERSIONS, Watching
from tests.support.answering import JOB, Fake, Writer, risk

RNG = np.random.default_rng(0)
AGES = RNG.normal(60, 15, 3000).clip(18, 96).round()
JOBS = RNG.choice(JOB["enum"][:2], 3000)  # no farmer


def reference() -> Reference:
    """That of a model which has trained on AGES and JOBS."""
    answers = [risk({"age": age}) for age in AGES]
    held = Side(
        "held-out",
        {
            "class": Categories.of([one["pred"] for one in answers], ["bad", "good"]),
            "confidence": Numbers.of(np.array([max(one["prob"].values()) for one in answers])),
        },
    )
    columns = {"age": Numbers.of(AGES), "job": Categories.of(JOBS.tolist())}
    part = Part("table", {"age": True, "job": False})
    return Reference({"row": part}, Side("3,000 samples that trained", columns), held, ("bad", "good"))


@pytest.fixture
def model(work: Path) -> Fake:
    (work / "reference.json").write_text(json.dumps(reference().written()))
    fake = Fake()
    fake.folder = work
    return fake


@pytest.fixture
def client(model: Fake) -> Iterator[TestClient]:
    with open("log.jsonl", "w") as file:
        log = Log(file=file)
        models = [(model.folder, model), (Path("b"), Writer())]
        with TestClient(Application(models, Settings(), log, watching=Watching()).asgi) as client:
            yield client
        log.close()


def ask(client: TestClient, ages: Any, jobs: Any) -> None:
    inputs = [{"age": float(age), "job": str(job)} for age, job in zip(ages, jobs, strict=True)]
    for start in range(0, len(inputs), 100):
        answer = client.post("/predict/batch", json={"inputs": inputs[start : start + 100]})
        assert answer.status_code == 200, answer.text


def until(done: Callable[[], bool]) -> None:
    for _ in range(200):
        if done():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen within four seconds")


def report(client: TestClient, total: int) -> dict[str, Any]:
    """The report, once all answers have been looked at."""
    until(lambda: client.get("/models/credit/drift").json()["total"] == total)
    found: dict[str, Any] = client.get("/models/credit/drift").json()
    return found


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {row["column"]: row["verdict"] for row in found["columns"]}


def test_inputs_as_in_training_are_steady(client: TestClient) -> None:
    some = RNG.integers(0, 3000, 600)
    ask(client, AGES[some], JOBS[some])
    found = report(client, 600)
    assert set(verdicts(found).values()) == {"steady"}
    assert (found["n"], found["unmeasured"], found["watched"]) == (600, 0, True)
    bad = sum(risk({"age": age})["pred"] == "bad" for age in AGES[some]) / 600
    assert found["class_shares"]["bad"]["now"] == pytest.approx(bad)


def test_changed_inputs_are_told_in_the_report_and_to_prometheus(client: TestClient) -> None:
    some = RNG.integers(0, 3000, 400)
    jobs = JOBS[some].astype(object)
    jobs[::4] = "farmer"
    ask(client, np.minimum(AGES[some] + 20, 96), jobs)
    found = report(client, 400)
    assert verdicts(found)["age"] == "large"
    assert next(row for row in found["columns"] if row["column"] == "job")["unseen"] == [0.0, 0.25]
    gauges = {
        (sample.name, sample.labels.get("column", sample.labels.get("class"))): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }
    prefix = "lightning_base_"
    rows = {row["column"]: row for row in found["columns"]}
    for column in ("age", "job", "class", "confidence"):
        assert gauges[f"{prefix}drift_psi", column] == pytest.approx(rows[column]["psi"])
        assert gauges[f"{prefix}drift_psi_expected", column] == pytest.approx(rows[column]["psi_expected"])
    assert gauges[f"{prefix}drift_changed", "age"] == 1
    assert gauges[f"{prefix}drift_unseen_share", "job"] == 0.25
    assert gauges[f"{prefix}drift_answers", None] == 400
    assert gauges[f"{prefix}class_share", "bad"] == pytest.approx(found["class_shares"]["bad"]["now"])
    assert gauges[f"{prefix}class_share", "bad"] > gauges[f"{prefix}class_share_training", "bad"]
    text = client.get("/models/credit/drift", headers={"Accept": "text/plain"}).text
    assert text.splitlines()[4].split()[:3] == ["input", found["columns"][0]["column"], "400"]
    assert "large: shares, values differ" in text


def test_few_answers_are_said_to_be_too_few_and_none_are_no_gauges(client: TestClient) -> None:
    assert "drift_psi{" not in client.get("/metrics").text
    ask(client, AGES[:8], JOBS[:8])
    found = report(client, 8)
    assert set(verdicts(found).values()) == {"too few"}
    assert "needs about" in next(row for row in found["columns"] if row["column"] == "age")["why"]
    assert client.get("/models/credit/versions/a1/drift").json()["total"] == 8


def test_a_model_without_a_reference_says_so_and_answers(client: TestClient) -> None:
    assert client.post("/models/writer/predict", json={"text": "one two"}).status_code == 200
    found = client.get("/models/writer/drift").json()
    assert (found["watched"], found["why"]) == (False, "the model was exported without reference.json")
    assert "not watched" in client.get("/models/writer/drift", headers={"Accept": "text/plain"}).text
    assert client.get("/models/nobody/drift").status_code == 404


def test_a_reference_that_cannot_be_read_is_told_without_a_path(model: Fake) -> None:
    (model.folder / "reference.json").write_text("{")
    watching = Watching()
    watching.seen(model, [{"age": 1, "job": "none"}], [risk({"age": 1})])
    assert watching.described(model)["why"] == "reference.json cannot be read; export the model again"


def test_a_server_that_watches_nothing_has_no_report(model: Fake) -> None:
    with TestClient(Application([(model.folder, model)], Settings(), Log()).asgi) as client:
        assert client.get("/models/credit/drift").status_code == 404


def test_of_many_versions_the_last_that_were_asked_are_watched(model: Fake) -> None:
    watching = Watching(window=16)
    for i in range(3 * VERSIONS):
        one = Fake(version=f"v{i}")
        one.folder = model.folder
        watching.seen(one, [{"age": 50, "job": "clerk"}], [risk({"age": 50})])
    kept = {
        sample.labels["version"]
        for family in watching.collect()
        for sample in family.samples
        if sample.name.endswith("drift_answers")
    }
    assert kept == {f"v{i}" for i in range(2 * VERSIONS, 3 * VERSIONS)}


def test_the_document_has_the_reports_path(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/models/credit/drift", "/models/credit/versions/a1/drift"} <= set(paths)
