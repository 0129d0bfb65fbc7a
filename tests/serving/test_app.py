"""Claims about answers: equal to the model's, refused with the field's name, and never a 500."""

from typing import Any

import pytest

from lightning_base.errors import ConfigError
from lightning_base.serving.app import Application
from lightning_base.serving.logs import Log
from lightning_base.serving.settings import Settings
from tests.serving.conftest import run, serving
from tests.support.answering import Fake, Pictures, Writer, risk
from tests.support.clients import ROW

CSV = "age,job\n30,clerk\n120,none\n"
JSON = {"Content-Type": "application/json"}


def test_an_answer_is_the_models_and_says_which_one_gave_it() -> None:
    async def claim() -> None:
        async with serving(Fake(), Fake(version="b2"), Writer()) as asked:
            for path, label in (
                ("/predict", "credit/a1"),
                ("/models/credit/predict", "credit/a1"),
                ("/models/credit/versions/b2/predict", "credit/b2"),
            ):
                answer = await asked.client.post(path, json=ROW)
                assert (answer.status_code, answer.json()) == (200, risk(ROW))
                assert answer.headers["x-model"] == label

    run(claim)


def test_the_default_is_the_first_or_the_one_that_is_named() -> None:
    async def claim() -> None:
        async with serving(Fake(), Fake(version="b2"), Writer(), default="credit/b2") as asked:
            assert (await asked.client.post("/predict", json=ROW)).headers["x-model"] == "credit/b2"
            assert (await asked.client.post("/models/credit/predict", json=ROW)).headers["x-model"] == "credit/b2"
            models = (await asked.client.get("/models")).json()["models"]
            assert [(one["name"], one["version"], one["default"]) for one in models] == [
                ("credit", "a1", False), ("credit", "b2", True), ("writer", "a1", False),
            ]  # fmt: skip
            assert models[0]["classes"] == ["bad", "good"]
            assert models[0]["schema"]["required"] == ["age", "job"]

    run(claim)


def test_models_that_cannot_be_told_apart_and_a_default_that_is_none_are_refused() -> None:
    log = Log()
    same = [(Fake().folder, Fake()), (Fake().folder, Fake())]
    with pytest.raises(ConfigError, match=r"hold the same model, credit, version a1"):
        Application(same, Settings(), log)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"--default: no model 'credits'.*did you mean 'credit'"):
        Application(same[:1], Settings(default="credits"), log)  # type: ignore[arg-type]
    log.close()


def test_many_inputs_are_answered_in_their_order_as_json_and_as_csv() -> None:
    rows = [{"age": age, "job": "farmer"} for age in range(90)]

    async def claim() -> None:
        async with serving(max_batch=16) as asked:
            answer = await asked.client.post("/predict/batch", json={"inputs": rows})
            assert answer.json() == {"answers": [risk(row) for row in rows]}
            both = [risk(ROW), risk({"age": 120.0, "job": "none"})]
            sent: list[dict[str, Any]] = [
                {"content": CSV, "headers": {"Content-Type": "text/csv"}},
                {"files": {"file": ("rows.csv", CSV.encode(), "text/csv")}},
            ]
            for options in sent:
                assert (await asked.client.post("/predict/batch", **options)).json() == {"answers": both}
            table = await asked.client.post("/predict/batch", json={"inputs": rows[:2]}, headers={"Accept": "text/csv"})
            assert table.headers["content-type"].startswith("text/csv")
            first, second = risk(rows[0]), risk(rows[1])
            assert table.text.splitlines() == [
                "pred,prob_bad,prob_good,threshold",
                f"{first['pred']},{first['prob']['bad']},{first['prob']['good']},0.5",
                f"{second['pred']},{second['prob']['bad']},{second['prob']['good']},0.5",
            ]

    run(claim)


def test_a_file_is_an_input_as_a_body_and_as_a_form() -> None:
    async def claim() -> None:
        async with serving(Pictures(), Writer()) as asked:
            for options in (
                {"content": b"12345", "headers": {"Content-Type": "image/png"}},
                {"content": b"12345", "headers": {"Content-Type": "application/octet-stream"}},
                {"files": {"file": ("a.png", b"12345", "image/png")}},
            ):
                assert (await asked.client.post("/predict", **options)).json() == {"pred": 5}  # type: ignore[arg-type]
            text = await asked.client.post(
                "/models/writer/predict", content="naïve trees", headers={"Content-Type": "text/plain; charset=utf-8"}
            )
            assert text.json() == {"pred": " trees naïve"}

    run(claim)


@pytest.mark.parametrize(
    ("path", "options", "status", "field", "words"),
    [
        ("/predict", {"json": {"age": 200, "job": "clerk"}}, 422, "age", "from 0 to 150"),
        ("/predict", {"json": {"age": 20}}, 422, "job", "none, clerk or farmer"),
        ("/predict", {"json": {**ROW, "x" * 500: 1}}, 422, "x" * 200, "no such column"),
        ("/predict", {"json": [1]}, 422, None, "give an object"),
        ("/predict", {"json": {"age": 98, "job": "clerk"}}, 422, "age", "98 cannot be answered"),
        ("/predict", {"json": {"age": 97, "job": "clerk"}}, 422, None, "no finite number"),
        ("/predict", {"json": {**{f"c{i}": i for i in range(10_000)}}}, 422, "c0", "no such column"),
        ("/predict/batch", {"json": {"inputs": [ROW, {"age": "x"}]}}, 422, "inputs[1].age", "from 0 to 150"),
        ("/predict/batch", {"json": {"inputs": [ROW, 3]}}, 422, "inputs[1]", "give an object"),
        ("/predict/batch", {"json": {"inputs": []}}, 422, "inputs", "empty list"),
        ("/predict/batch", {"json": {"inputs": [ROW] * 51}}, 413, "inputs", "at most 50"),
        ("/predict/batch", {"json": {"input": [ROW]}}, 422, "inputs", "a list of inputs"),
        ("/predict/batch", {"json": {"inputs": [ROW], "extra": 1}}, 422, "extra", "no key here"),
        ("/predict/batch", {"content": "age,job\nx,clerk\n", "headers": {"Content-Type": "text/csv"}}, 422,
         "line 2, age", "from 0 to 150"),
        ("/predict/batch", {"content": "age,job\n" + "1,clerk\n" * 51, "headers": {"Content-Type": "text/csv"}}, 413,
         "inputs", "at most 50"),
        ("/predict/batch", {"content": "age,job\n" * 300, "headers": {"Content-Type": "text/csv"}}, 413, None,
         "at most 50"),
        ("/predict/batch", {"content": "age,job\n", "headers": {"Content-Type": "text/csv"}}, 422, None, "no rows"),
        ("/predict", {"content": "{", "headers": JSON}, 400, None, "line 1, column 2"),
        ("/predict", {"content": b"\xff", "headers": JSON}, 400, None, "UTF-8"),
        ("/predict", {"content": '{"age": NaN}', "headers": JSON}, 400, None, "NaN"),
        ("/predict", {"content": '{"age": 1, "age": 2}', "headers": JSON}, 400, "age", "twice"),
        ("/predict", {"content": '{"job": "\\ud800"}', "headers": JSON}, 400, None, "surrogate"),
        ("/predict", {"content": "[" * 50_000, "headers": JSON}, 400, None, "nested"),
        ("/predict", {"content": "9" * 9999, "headers": JSON}, 400, None, "too long"),
        ("/predict", {"content": "[" + "[]," * 600_000 + "[]]", "headers": JSON}, 413, None, "values"),
        ("/predict", {"content": "1" * 3_000_000, "headers": JSON}, 413, None, "2097152"),
        ("/predict", {"content": "a=1", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 415, None,
         "application/json"),
        ("/predict", {"content": "{}"}, 415, None, "Content-Type"),
        ("/predict", {"content": "{}", "headers": {**JSON, "Content-Encoding": "gzip"}}, 415, None, "gzip"),
        ("/models/pictures/predict", {"files": {"picture": b"1"}}, 422, "file", "named 'file'"),
        ("/models/pictures/predict", {"files": [("file", b"1"), ("file", b"2")]}, 422, "file", "one part"),
        ("/models/pictures/predict", {"content": b"--b\r\n", "headers": {"Content-Type": "multipart/form-data"}}, 400,
         None, "boundary"),
        ("/models/pictures/predict", {"content": b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n123",
                                      "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400, None,
         "cut"),
        ("/models/pictures/predict", {"content": b"garbage",
                                      "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400, None,
         "form"),
        ("/models/pictures/predict", {"content": b"", "headers": {"Content-Type": "image/png"}}, 422, "image", "empty"),
        ("/models/pictures/predict", {"content": b"1", "headers": {"Content-Type": "audio/wav"}}, 415, None, "image/*"),
        ("/models/other/predict", {"json": ROW}, 404, None, "credit, pictures"),
        ("/models/credit/versions/z/predict", {"json": ROW}, 404, None, "a1"),
        ("/predict/stream", {"json": ROW}, 404, None, "piece by piece"),
        ("/nowhere", {"json": ROW}, 404, None, "nothing here"),
        ("/health", {"json": ROW}, 405, None, "method"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused_in_one_form(
    path: str, options: dict[str, Any], status: int, field: str | None, words: str
) -> None:
    async def claim() -> None:
        async with serving(Fake(), Pictures(), max_inputs=50, max_body=2 * 2**20) as asked:
            answer = await asked.client.post(path, **options)
            said = answer.json()
            assert answer.status_code == status, said
            assert said.keys() == {"error", "field"}
            assert said["field"] == field
            assert words in said["error"]
            assert len(said["error"]) <= 600
            if status == 405:
                assert "GET" in answer.headers["allow"]

    run(claim)


def test_what_breaks_is_a_503_with_an_id_that_the_log_has_and_no_path_or_traceback() -> None:
    async def claim() -> None:
        async with serving() as asked:
            answer = await asked.client.post("/predict", json={"age": 99, "job": "clerk"})
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert "secret" not in answer.text
            assert "Traceback" not in answer.text
        (fault,) = [line for line in asked.lines() if line["event"] == "model"]
        assert fault["request"] == answer.headers["x-request-id"]
        assert fault["request"] in answer.json()["error"]
        assert fault["kind"] == "RuntimeError"
        assert any("answering.py" in frame for frame in fault["where"])

    run(claim)


def test_what_nobody_foresaw_is_a_503_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def claim() -> None:
        async with serving() as asked:
            monkeypatch.setattr(asked.application.catalogue, "find", lambda *_: 1 / 0)
            answer = await asked.client.post("/predict", json=ROW)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert "division" not in answer.text
        assert any(line["event"] == "unforeseen" and line["kind"] == "ZeroDivisionError" for line in asked.lines())

    run(claim)


def test_the_log_has_a_line_a_request_and_nothing_of_what_was_given() -> None:
    async def claim() -> None:
        async with serving(Fake(), Writer()) as asked:
            await asked.client.post("/predict", json=ROW, headers={"X-Request-ID": "mine-1"})
            await asked.client.post("/models/writer/predict", json={"text": "a private matter"})
            await asked.client.post("/predict", json={"age": "private", "job": "private"})
            await asked.client.get("/private/matter?private=1")
            await asked.client.post("/models/private/predict", json=ROW)
            await asked.client.get("/health")
        lines = [line for line in asked.lines() if line["event"] == "request"]
        assert [(line["route"], line["status"]) for line in lines] == [
            ("/predict", 200), ("/models/{name}/predict", 200), ("/predict", 422),
            ("", 404), ("/models/{name}/predict", 404),
        ]  # fmt: skip
        assert lines[0].keys() >= {"time", "level", "request", "model", "ms", "inputs", "batch"}
        assert (lines[0]["request"], lines[0]["model"], lines[0]["batch"]) == ("mine-1", "credit/a1", 1)
        assert "private" not in asked.written.getvalue()

    run(claim)


def test_metrics_count_requests_by_route_model_and_status() -> None:
    async def claim() -> None:
        async with serving() as asked:
            for age in (1, 2, 200):
                await asked.client.post("/predict", json={"age": age, "job": "none"})
            await asked.client.post("/predict/batch", json={"inputs": [ROW] * 5})
            text = (await asked.client.get("/metrics")).text
        for line in (
            'lightning_base_requests_total{model="credit",route="/predict",status="200"} 2.0',
            'lightning_base_requests_total{model="credit",route="/predict",status="422"} 1.0',
            'lightning_base_request_seconds_count{model="credit",route="/predict"} 3.0',
            'lightning_base_batch_inputs_sum{model="credit"} 7.0',
            'lightning_base_batch_inputs_count{model="credit"} 3.0',
            'lightning_base_queue_inputs{model="credit"} 0.0',
            'lightning_base_held_requests{model="credit"} 0.0',
            "lightning_base_in_flight 1.0",
            'lightning_base_model{default="true",name="credit",version="a1"} 1.0',
        ):
            assert line in text.splitlines(), line
        assert "process_resident_memory_bytes" in text

    run(claim)


def test_pages_load_nothing_from_elsewhere_and_answers_cannot_be_framed() -> None:
    async def claim() -> None:
        async with serving() as asked:
            page = await asked.client.get("/docs")
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy
            assert page.headers["x-frame-options"] == "DENY"
            for name in ("docs.js", "docs.css"):
                part = await asked.client.get(f"/docs/{name}")
                assert part.status_code == 200
                assert "://" not in part.text
                assert f"docs/{name}" in page.text
            answer = await asked.client.post("/predict", json=ROW)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            for path in ("/docs/../app.py", "/page/..%2fapp.py", "/page/%2e%2e/app.py", "/docs//etc/passwd"):
                assert (await asked.client.get(path)).status_code == 404

    run(claim)
