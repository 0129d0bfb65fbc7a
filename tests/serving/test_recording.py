"""Claims about the log of predictions: what was chosen is kept, whole and once, and what was not kept is counted."""

import base64
import json
import sqlite3
import stat
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from lightning_base.errors import ConfigError
from lightning_base.runtime.inputs import Encoded
from lightning_base.runtime.model import load
from lightning_base.serving import recording, stores
from lightning_base.serving.app import Application
from lightning_base.serving.logs import Log
from lightning_base.serving.recording import Recording, is_chosen, plain, store_of
from lightning_base.serving.settings import Settings
from tests.helpers import refused
from tests.support.answering import Fake, Writer, risk
from tests.support.small_export import WIDE, write


def rows_in(path: Path) -> list[tuple[Any, ...]]:
    """All records of a SQLite file, or of a folder of Parquet files."""
    if path.is_file():
        return sqlite3.connect(path).execute("SELECT * FROM predictions ORDER BY request, place").fetchall()
    found = [tuple(row.values()) for file in path.glob("*.parquet") for row in pq.read_table(file).to_pylist()]
    return sorted(found, key=lambda row: (row[3], row[4]))


@pytest.mark.parametrize("place", ["log.sqlite", "log"])
def test_a_server_that_ends_has_kept_every_answer_with_its_request(work: Path, place: str) -> None:
    kept = Recording(store_of(work / place), inputs=True)
    model, log = Fake(), Log()
    sent = {
        f"request-{i}": [{"age": float(20 + i), "job": "clerk"}, {"age": float(80 - i), "job": "none"}]
        for i in range(50)
    }
    with TestClient(
        Application([(work, model), (work, Writer())], Settings(), log, observers=[kept.begin]).asgi
    ) as client:
        began = time.time()
        for request, inputs in sent.items():
            headers = {"X-Request-ID": request}
            assert client.post("/predict/batch", json={"inputs": inputs}, headers=headers).status_code == 200
        client.post("/models/writer/predict/stream", json={"text": "one two"}, headers={"X-Request-ID": "stream"})
    rows = rows_in(work / place)
    assert len(rows) == 101 == kept.kept
    for time_, name, version, request, at, answer, given in rows:
        assert began - 1 < time_ < time.time() + 1
        if request == "stream":
            assert (name, json.loads(answer), json.loads(given)) == (
                "writer",
                {"pred": " two one"},
                {"text": "one two"},
            )
            continue
        assert (name, version) == ("credit", "a1")
        assert json.loads(given) == sent[request][at]
        assert json.loads(answer) == risk(sent[request][at])
    assert (kept.dropped, kept.failed) == (0, 0)


def test_inputs_are_kept_only_where_they_are_asked_for_and_files_are_their_owners(work: Path) -> None:
    for place in ("log.sqlite", "log"):
        kept = Recording(store_of(work / place))
        kept.seen(Fake(), [{"age": 41, "job": "clerk"}], [risk({"age": 41})], "one")
        kept.close()
        assert rows_in(work / place)[0][-1] is None
    files = [work / "log.sqlite", *(work / "log").iterdir()]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert "clerk" not in (work / "log.sqlite").read_bytes().decode("latin-1")


def test_a_share_of_requests_is_kept_whole_evenly_and_the_same_each_time(work: Path) -> None:
    names = [f"{i:016x}" for i in range(20_000)]
    chosen = [name for name in names if is_chosen(name, 0.1)]
    assert 1850 < len(chosen) < 2150  # 0.1, give or take 3.5 deviations
    assert set(chosen) < {name for name in names if is_chosen(name, 0.3)}
    assert all(is_chosen(name, 1.0) for name in names[:1000])
    for round_ in range(2):
        kept = Recording(store_of(work / f"{round_}.sqlite"), share=0.1)
        for name in names[:2000]:
            kept.seen(Fake(), [{"age": 1}, {"age": 2}], [risk({"age": 1}), risk({"age": 2})], name)
        kept.close()
    first, second = ([row[3:5] for row in rows_in(work / f"{i}.sqlite")] for i in range(2))
    assert first == second == sorted((name, at) for name in names[:2000] if is_chosen(name, 0.1) for at in (0, 1))


class Slow:
    """A store that writes only once it may."""

    waits = False

    def __init__(self) -> None:
        self.may, self.rows = threading.Event(), 0

    def add(self, rows: Any) -> int:
        self.may.wait(30)
        self.rows += len(rows)
        return len(rows)

    def roll(self) -> int:
        return 0

    close = forget = roll


def test_what_a_slow_disk_has_no_room_for_is_dropped_counted_and_said(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_BYTES", 50_000)
    store = Slow()
    with open("log.jsonl", "w") as file:
        log = Log(file=file)
        kept = Recording(store, log=log)
        began = time.monotonic()
        for i in range(1000):
            kept.seen(Fake(), [{"age": 1}], [risk({"age": 1})], str(i))
        assert time.monotonic() - began < 2  # nothing waits for the disk
        store.may.set()
        kept.close()
        log.close()
    assert kept.dropped > 500
    assert kept.kept + kept.dropped == 1000
    assert store.rows == kept.kept
    said = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert said[-1]["event"] == "recorded"
    assert said[-1]["dropped"] == kept.dropped


def test_a_file_that_can_no_longer_be_written_loses_what_is_counted_and_goes_on(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "SECONDS", 0.05)
    kept = Recording(store_of(work / "log.sqlite"))
    other = sqlite3.connect(work / "log.sqlite")

    def seen(request: str, kept_or_failed: int) -> None:
        kept.seen(Fake(), [{"age": 1}], [risk({"age": 1})], request)
        for _ in range(200):
            if kept.kept + kept.failed == kept_or_failed:
                return
            time.sleep(0.02)

    seen("a", 1)
    other.execute("ALTER TABLE predictions RENAME TO away")
    other.commit()
    seen("b", 2)
    other.execute("ALTER TABLE away RENAME TO predictions")
    other.commit()
    seen("c", 3)
    other.close()
    kept.close()
    assert (kept.kept, kept.failed) == (2, 1)
    assert [row[3] for row in rows_in(work / "log.sqlite")] == ["a", "c"]


def test_parquet_files_are_rolled_by_size_and_by_time_and_none_is_half_there(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "ROWS", 100)
    monkeypatch.setattr(stores, "SECONDS", 0.2)
    monkeypatch.setattr(recording, "SECONDS", 0.05)
    kept = Recording(store_of(work / "log"))
    for i in range(1000):
        kept.seen(Fake(), [{"age": 1}], [risk({"age": 1})], f"{i:04d}")
    kept.seen(Fake(), [{"age": 2}], [risk({"age": 2})], "last")
    for _ in range(200):
        if kept.kept == 1001:  # while it runs: by time
            break
        time.sleep(0.02)
    assert kept.kept == 1001
    files = sorted((work / "log").iterdir())
    assert len(files) >= 2
    assert all(file.suffix == ".parquet" and not file.name.startswith(".") for file in files)
    assert len({row[3] for row in rows_in(work / "log")}) == 1001
    kept.close()
    assert len(rows_in(work / "log")) == 1001


def test_images_sounds_and_arrays_come_back_from_their_base64() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)

    class Picture:
        def __init__(self) -> None:
            self.pixels = pixels

    found = json.loads(json.dumps(plain({"image": Picture(), "x": np.float32(0.5), "words": ["a", "b"]})))
    image = found["image"]
    again = np.frombuffer(base64.b64decode(image["base64"]), image["dtype"]).reshape(image["shape"])
    assert np.array_equal(again, pixels)
    assert (found["x"], found["words"]) == (0.5, ["a", "b"])


def test_places_that_hold_something_else_are_refused_in_one_line(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "log.txt").write_text("x")
    (work / "other.sqlite").write_bytes(b"no database" * 200)
    sqlite3.connect(work / "mine.sqlite").execute("CREATE TABLE predictions (a INTEGER)").connection.close()
    for place, part in (
        ("log.txt", "neither a SQLite file"),
        ("other.sqlite", "is no SQLite file"),
        ("mine.sqlite", "has another table"),
    ):
        with pytest.raises(ConfigError, match=part):
            store_of(work / place)
    refused(capsys, ["serve", "nowhere", "--log-inputs"], "need --log-predictions")
    refused(capsys, ["serve", "nowhere", "--log-predictions", "x.sqlite", "--log-share", "1.5"], "--log-share", "1.5")


def test_inputs_of_exported_models_are_kept_as_they_were_asked(work: Path) -> None:
    """Of exports an input is no plain dictionary, but what graphs take beside what was read."""
    sums = load(write(work / "export"))
    numbers = [[float(i + j) for j in range(WIDE)] for i in range(3)]
    kept = Recording(store_of(work / "log.sqlite"), inputs=True)
    with TestClient(Application([(work, sums)], Settings(), Log(), observers=[kept.begin]).asgi) as client:  # type: ignore[list-item]
        for x in numbers:
            assert client.post("/predict", json={"x": x}).status_code == 200
    found = [json.loads(row[-1])["x"] for row in rows_in(work / "log.sqlite")]
    back = [np.frombuffer(base64.b64decode(x["base64"]), x["dtype"]).reshape(x["shape"]).tolist() for x in found]
    assert sorted(back) == numbers
    assert (kept.kept, kept.dropped, kept.failed) == (3, 0, 0)
    row = {"age": 41.0, "job": "clerk"}
    assert recording.asked(Fake(), Encoded({"row": row}, {"row": np.ones(2)})) == row  # type: ignore[arg-type]
    text = Encoded({"text": "one"}, {}, options={"new": 5, "top_k": None})
    assert recording.asked(Writer(), text) == {"text": "one", "new": 5, "top_k": None}  # type: ignore[arg-type]


def test_what_cannot_be_written_is_counted_as_failed_and_not_a_number_is_null(work: Path) -> None:
    kept = Recording(store_of(work / "log.sqlite"), inputs=True)
    with pytest.raises(TypeError):  # which a server logs
        kept.seen(Fake(), [{"age": object()}], [risk({"age": 1})], "one")
    kept.seen(Fake(), [{"age": float("nan"), "job": "none"}], [risk({"age": 1})], "two")
    kept.close()
    assert (kept.kept, kept.dropped, kept.failed) == (1, 0, 1)
    assert rows_in(work / "log.sqlite")[0][-1] == '{"age": null, "job": "none"}'
