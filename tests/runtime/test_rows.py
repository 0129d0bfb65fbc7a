"""Claims about rows of tables: a file is read as training reads it, and what is misspelt is not taken for missing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lightning_base.runtime.errors import InputError
from lightning_base.runtime.model import load
from lightning_base.runtime.rows import Column, RowReader
from tests.helpers import CONFIGS, run_in

COLUMNS = ("colour", "code", "flag", "amount", "day")
ROWS = [  # blanks around, other spellings of one value, other notations, and missing values
    ("red", "007", "true", "1.234,5", "03.05.2021"),
    (" red", "007 ", " TRUE", " 1234,5 ", "3.5.2021"),
    ("Green\u00a0", "7.0", "1", "-2.000,25", "31.12.2019"),
    ("NA", " NA ", "0", "", ""),
    ("RED", "07", "false", "1e3", "29.02.2020"),
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small table's model, exported, and the run that it comes from."""
    work = tmp_path_factory.mktemp("rows")
    draw = np.random.default_rng(0)
    n = 120
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 900, n), unit="D")
    table = pd.DataFrame(
        {
            "colour": draw.choice(["red", "Green ", "blue"], n),
            "code": draw.choice(["007", "012", "7"], n),
            "flag": draw.choice(["true", "false"], n),
            "amount": [f"{a}.{b:03},{c}" for a, b, c in draw.integers((1, 0, 0), (9, 999, 9), (n, 3))],
            "day": days.strftime("%d.%m.%Y"),
            "y": draw.choice(["1", "2"], n),
        }
    )
    table.to_csv(work / "train.csv", sep=";", index=False)
    run_in(
        work,
        *("fit", "--config", CONFIGS / "german_credit_binary.yaml", "--name", "rows", "--model.positive", "2"),
        *("--data", "datamodules.table.Table", "--data.path", "train.csv", "--data.target", "y"),
        *("--data.header", "true", "--data.categorical", "[code]", "--data.test_size", "null", "--audit", "off"),
        *("--trainer.max_epochs", 2),
    )
    run_in(work, "export", "runs/rows/fit/version_0", "--out", "rows", "--samples", 10)
    return work


def test_a_csv_is_answered_as_predict_answers_it(exported: Path) -> None:
    pd.DataFrame(ROWS, columns=list(COLUMNS)).to_csv(exported / "new.csv", sep=";", index=False)
    run_in(
        exported,
        *("predict", "--ckpt_path", "runs/rows/fit/version_0", "--data.predict", "new.csv", "--out", "said.csv"),
    )
    model = load(exported / "rows")
    answers = model.run(model.read_rows((exported / "new.csv").read_bytes()))
    said = pd.read_csv(exported / "said.csv")
    assert [one["prob"]["2"] for one in answers] == pytest.approx(said["prob_2"].tolist(), abs=1e-6)
    assert [one["pred"] for one in answers] == said["pred"].astype(str).tolist()
    assert [len(one.get("notes", [])) for one in answers] == [0, 0, 0, 0, 2]
    alone = model.run([model.read(dict(zip(COLUMNS, ROWS[1], strict=True)))])[0]
    assert alone["prob"]["2"] == pytest.approx(said["prob_2"][1], abs=1e-6)


def test_a_csv_without_a_column_is_refused_as_predict_refuses_it(exported: Path) -> None:
    model = load(exported / "rows")
    for header in ("colour;code;flag;Amount;day", "colour;code;flag;day"):
        content = f"{header}\n{';'.join(ROWS[0][: len(header.split(';'))])}\n"
        with pytest.raises(InputError) as refused:
            model.read_rows(content.encode())
        assert refused.value.field == "amount"


def test_a_separator_is_the_one_outside_quotes_and_names_are_of_single_blanks() -> None:
    reader = RowReader((Column("a, b, or c"), Column("two words")))
    (row,) = reader.rows(b'"a, b, or c";two  words\n1.5;2\n')
    assert row == {"a, b, or c": 1.5, "two words": 2.0}
