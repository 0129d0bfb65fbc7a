"""What tests of exports share: a run of a shipped configuration, exported, and its answers beside predict's."""

import io
import json
import subprocess
import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import lightning_base as lb
from lightning_base.runtime.command import predict
from tests.helpers import CONFIGS


def trained(folder: Path, verb: str, config: str, **overrides: Any) -> Any:
    """A run of a shipped configuration in a folder, its keys with "__" for points."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        keys = {key.replace("__", "."): value for key, value in overrides.items()}
        return getattr(lb, verb)(CONFIGS / f"{config}.yaml", overrides=keys, audit="off")


def exported(run: Any, **options: Any) -> Path:
    """The folder that a run is exported to."""
    return Path(lb.export(run, **options).directory)


def answers(folder: Path, *files: Path) -> list[dict[str, Any]]:
    """What an exported folder's predict.py answers to files."""
    out = io.StringIO()
    with redirect_stdout(out):
        assert predict(folder, list(map(str, files))) == 0
    return [json.loads(line) for line in out.getvalue().splitlines()]


def predicted(run: Any, files: Any, **overrides: Any) -> pd.DataFrame:
    """What `predict` says of the same files."""
    given = {"data.predict": files if isinstance(files, list) else str(files), **overrides}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of unseen categories, and samples that were trained on
        found: pd.DataFrame = lb.predict(run, overrides=given)
    return found


def assert_classes_equal(found: Sequence[dict[str, Any]], expected: pd.DataFrame) -> None:
    """Answers of a classifier are predict's, class by class."""
    assert len(found) == len(expected)
    for answer, (_, row) in zip(found, expected.iterrows(), strict=True):
        assert answer["pred"] == row["pred"]
        for name, probability in answer["prob"].items():
            assert probability == pytest.approx(row[f"prob_{name}"], abs=1e-5), name


def verified(folder: Path) -> subprocess.CompletedProcess[str]:
    """verify.py in a process of its own, which fails where it imports torch, pandas or this package."""
    code = (
        "import runpy, sys\n"
        "try:\n"
        f"    runpy.run_path({str(folder / 'verify.py')!r}, run_name='__main__')\n"
        "except SystemExit as stop:\n"
        "    status = stop.code\n"
        "foreign = {'torch', 'lightning', 'lightning_base', 'pandas', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'imports {foreign}' if foreign else status)\n"
    )
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
