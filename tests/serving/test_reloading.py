"""Claims about new versions: taken without a dropped request, refused where they are broken."""

import asyncio
import gc
import io
import os
import shutil
import weakref
from pathlib import Path
from typing import Any

from lightning_base.errors import ArtefactError
from lightning_base.serving.app import Application
from lightning_base.serving.logs import Log
from lightning_base.serving.settings import Settings
from tests.serving.conftest import Asked, run, serving, until
from tests.support.answering import Fake, risk
from tests.support.clients import ROW


def put(link: Path, version: str) -> None:
    """Makes a folder of a version, and leads a link to it, as a deployment does."""
    folder = link.parent / version
    folder.mkdir(exist_ok=True)
    (folder / "version").write_text(version)
    os.symlink(folder, link.parent / "new")
    os.replace(link.parent / "new", link)


def load(path: Path) -> Fake:
    version = (path / "version").read_text()
    if version.startswith("broken"):
        raise ArtefactError(f"{path}: model.onnx has been changed")
    fake = Fake(name="other" if version == "renamed" else "credit", version=version, seconds=0.01)
    fake.folder = path
    return fake


def made(work: Path) -> Fake:
    put(work / "current", "v1")
    return load(work / "current")


def said(asked: Asked) -> list[dict[str, Any]]:
    """What the log tells of new versions."""
    return [line for line in asked.lines() if line["event"] == "reload"]


async def served(asked: Asked, version: str) -> bool:
    return (await asked.client.post("/predict", json=ROW)).headers["x-model"] == f"credit/{version}"


def test_a_new_version_takes_the_place_of_the_old_one_without_a_dropped_request(work: Path) -> None:
    async def claim() -> None:
        first = made(work)
        async with serving(first, load=load, reload_seconds=0.05) as asked:
            seen: list[tuple[int, str]] = []
            is_over = False

            async def client(number: int) -> None:
                row = {"age": number, "job": "none"}
                while not is_over:
                    answer = await asked.client.post("/predict", json=row)
                    assert answer.json() == risk(row)
                    seen.append((answer.status_code, answer.headers["x-model"]))

            clients = [asyncio.create_task(client(number)) for number in range(16)]
            for version in ("v2", "v3"):
                await asyncio.sleep(0.2)
                put(work / "current", version)
                await until(lambda version=version: seen[-1][1] == f"credit/{version}")  # type: ignore[misc]
            catalogue = asked.application.catalogue
            assert catalogue is not None
            await until(lambda: not catalogue.replaced)
            is_over = True
            await asyncio.gather(*clients)
            assert {status for status, _ in seen} == {200}
            assert {label for _, label in seen} == {"credit/v1", "credit/v2", "credit/v3"}
            assert (await asked.client.post("/models/credit/versions/v1/predict", json=ROW)).status_code == 404
        assert [(line["outcome"], line["model"]) for line in said(asked)] == [
            ("taken", "credit/v2"), ("taken", "credit/v3"),
        ]  # fmt: skip

    run(claim)


def test_a_broken_version_is_refused_and_the_old_one_goes_on_until_it_is_mended(work: Path) -> None:
    async def claim() -> None:
        async with serving(made(work), load=load, reload_seconds=0.05) as asked:
            metrics = asked.application.metrics
            for version in ("broken", "renamed"):
                before = metrics.reloads.labels("credit", "refused")._value.get()
                put(work / "current", version)
                await until(lambda before=before: metrics.reloads.labels("credit", "refused")._value.get() > before)  # type: ignore[misc]
                assert await served(asked, "v1")
                await asyncio.sleep(0.25)  # is refused once
            (work / "renamed" / "version").write_text("v2")  # in place
            while not await served(asked, "v2"):
                await asyncio.sleep(0.02)
        lines = said(asked)
        assert [line["outcome"] for line in lines] == ["refused", "refused", "taken"]
        assert "model.onnx has been changed" in lines[0]["why"]
        assert "the model 'other'" in lines[1]["why"]
        assert [line["level"] for line in lines] == ["error", "error", "info"]

    run(claim)


def test_a_folder_that_is_gone_or_is_touched_changes_nothing(work: Path) -> None:
    async def claim() -> None:
        async with serving(made(work), load=load, reload_seconds=0.05) as asked:
            os.utime(work / "v1" / "version", (1, 1))
            await asyncio.sleep(0.5)
            shutil.rmtree(work / "v1")
            await asyncio.sleep(0.5)
            assert await served(asked, "v1")
        assert [line["outcome"] for line in said(asked)] == ["unchanged", "refused"]

    run(claim)


def test_a_model_that_was_replaced_is_forgotten() -> None:
    async def claim() -> None:
        model = Fake(version="a")
        there = weakref.ref(model)
        application = Application([(Path("exported"), model)], Settings(), Log("json", io.StringIO()))
        async with application.routes.router.lifespan_context(application.routes):
            del model
            catalogue = application.catalogue
            assert catalogue is not None
            old = catalogue.models[0]
            catalogue.swap(old, Fake(version="b"))
            await catalogue.retire(old)
            del old
            await asyncio.sleep(0.05)
            gc.collect()
            assert there() is None

    run(claim)
