"""Claims about exported folders: what has been changed in one, its manifest too, is not loaded."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lightning_base.errors import ConfigError
from lightning_base.runtime.errors import ExportError
from lightning_base.runtime.folder import file_digest, version_of
from lightning_base.runtime.model import load
from lightning_base.serving.loading import load as load_served
from tests.support import small_export


def changed(folder: Path, honest: bool, **more: Any) -> None:
    """Changes a manifest; an honest one has the version that goes with it."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) | more
    path.write_text(json.dumps(manifest | ({"version": version_of(manifest)} if honest else {})))


@pytest.mark.parametrize(
    "more",
    [
        {"answer": {"kind": "classification", "classes": ["yes", "no"]}},
        {"graphs": {"model": "other.onnx"}},
        {"precision": "float16"},
        {"version": "000000000000"},
    ],
)
def test_a_manifest_that_was_changed_is_refused(work: Path, more: dict[str, Any]) -> None:
    folder = small_export.write(work / "sums")
    load(folder)
    changed(folder, honest=False, **more)
    with pytest.raises(ExportError, match=r"manifest.json: is not as it was exported"):
        load(folder)


def test_nothing_outside_the_folder_is_loaded(work: Path) -> None:
    folder = small_export.write(work / "sums")
    shutil.move(folder / "model.onnx", work / "model.onnx")
    files = json.loads((folder / "manifest.json").read_text())["files"]
    changed(folder, honest=True, graphs={"model": "../model.onnx"}, files=files | {"model.onnx": "0"})
    with pytest.raises(ExportError, match=r"no hash of '../model.onnx'"):
        load(folder)
    del files["model.onnx"]
    files["../model.onnx"] = file_digest(work / "model.onnx")
    changed(folder, honest=True, files=files)
    with pytest.raises(ExportError, match="outside the folder"):
        load(folder)


def test_a_program_is_served_only_where_that_is_asked_for(work: Path) -> None:
    folder = small_export.write(work / "sums")
    (folder / "model.onnx").rename(folder / "model.aoti.pt2")
    files = json.loads((folder / "manifest.json").read_text())["files"]
    files["model.aoti.pt2"] = files.pop("model.onnx")
    changed(folder, honest=True, files=files, graphs={"model": "model.aoti.pt2"})
    with pytest.raises(ConfigError, match=r"model.aoti.pt2, a program that torch runs.*--programs"):
        load_served(folder)
