"""Claims about files of tables: written by one library and compared, value by value, with what another reads."""

import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from datamodules.ratings import Ratings
from datamodules.table import Table
from lightning_base.clean.cleaning import Cleaning
from lightning_base.errors import ConfigError, DataError, UserError
from lightning_base.samples.samples import Samples
from lightning_base.sources import csv_bytes, records, tables
from lightning_base.sources.csv_file import CsvFile
from lightning_base.sources.form import Format
from lightning_base.sources.schema import described, read_schema, write_schema

N = 60
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "amount": RNG.normal(1000, 300, N).round(2),
        "count": RNG.integers(0, 9, N),
        "plan": RNG.choice(["basic", "plus", "über"], N),
        "flag": RNG.random(N) < 0.5,
        "note": [f'said "{i}", then\nleft; {i % 3}' if i % 4 else "nothing, much" for i in range(N)],
        "y": RNG.choice(["no", "yes"], N),
    }
)
FRAME.loc[[3, 17], "amount"] = np.nan


def read(path: Path, **settings: Any) -> Samples:
    """The pool of a file."""
    return Table(**{"path": str(path), "target": "y", "categorical": ["note"], **settings}).dataset("pool")


def frame_of(samples: Samples) -> pd.DataFrame:
    """The inputs as a DataFrame, categories as their names, dates as moments."""
    x = np.asarray(samples.inputs[np.arange(len(samples))], dtype=np.float64)
    found: dict[str, Any] = {}
    for i, feature in enumerate(samples.features):
        if feature.categories is not None:
            found[feature.name] = [None if np.isnan(v) else feature.categories[int(v)] for v in x[:, i]]
        else:
            found[feature.name] = pd.to_datetime(x[:, i], unit="D").round("s") if feature.is_date else x[:, i]
    return pd.DataFrame(found)


def assert_reads(samples: Samples, frame: pd.DataFrame = FRAME) -> None:
    """Every value is what pandas wrote."""
    found = frame_of(samples)
    assert list(found) == [name for name in frame if name != "y"]
    for name in found:
        if frame[name].dtype == bool:
            assert found[name].tolist() == [str(value).lower() for value in frame[name]]
        elif pd.api.types.is_numeric_dtype(frame[name]):
            np.testing.assert_array_equal(found[name].to_numpy(float), frame[name].to_numpy(float))
        else:
            assert found[name].tolist() == frame[name].tolist()
    assert [samples.classes[t] for t in samples.table["target"]] == frame["y"].tolist()


def packed(path: Path, text: bytes) -> Path:
    """A file packed as its name says."""
    opener: Any = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix)
    if path.suffix == ".zst":
        with pa.output_stream(str(path), compression="zstd") as file:
            file.write(text)
    else:
        with opener(path, "wb") as file:
            file.write(text)
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_what_pandas_writes_is_read(tmp_path: Path, separator: str, ends: str) -> None:
    path = tmp_path / "t.csv"
    FRAME.to_csv(path, index=False, sep=separator, lineterminator=ends)
    assert_reads(read(path))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "latin-1", "cp1252"])
def test_encodings_are_told_by_their_mark_or_declared(tmp_path: Path, encoding: str) -> None:
    FRAME.to_csv(tmp_path / "t.csv", index=False, encoding=encoding)
    marked = encoding in ("utf-8-sig", "utf-16", "utf-32")
    assert_reads(read(tmp_path / "t.csv", **({} if marked else {"encoding": encoding})))


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_packed_files_are_read(tmp_path: Path, suffix: str) -> None:
    text = FRAME.to_csv(index=False).encode()
    assert_reads(read(packed(tmp_path / f"t.csv{suffix}", text)))
    (tmp_path / f"t.csv{suffix}").write_bytes((tmp_path / f"t.csv{suffix}").read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / f"t.csv{suffix}")


def test_excel_json_lines_and_parquet_give_the_same_samples(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    FRAME.to_excel(tmp_path / "t.xlsx", index=False)
    FRAME.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    FRAME.to_parquet(tmp_path / "t.parquet")
    first = read(tmp_path / "t.csv")
    assert_reads(first)
    for name in ("t.xlsx", "t.jsonl", "t.parquet"):
        assert read(tmp_path / name).fingerprint == first.fingerprint, name


def test_a_sheet_is_named_where_there_are_several(tmp_path: Path) -> None:
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        FRAME.to_excel(book, sheet_name="a", index=False)
        FRAME.iloc[::-1].to_excel(book, sheet_name="b", index=False)
    with pytest.raises(DataError, match=r"2 sheets \(a, b\); name one with data.sheet"):
        read(tmp_path / "t.xlsx")
    assert_reads(read(tmp_path / "t.xlsx", sheet="b"), FRAME.iloc[::-1])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"x": 1, "y": "a"}\n{"x": 2 "y"}\n', "line 2 is no JSON"),
        ('{"x": 1, "x": 2, "y": "a"}\n', "line 1 is no JSON .*a key stands in it twice"),
        ('{"x": 1, "y": "a"}\n[1, 2]\n', "line 2 is no object"),
        ('{"x": [1], "y": "a"}\n', "line 1 has a list as 'x'"),
        ("[" * 100_000, "line 1 is no JSON"),
    ],
)
def test_json_that_is_no_table_is_named(tmp_path: Path, lines: str, message: str) -> None:
    (tmp_path / "t.jsonl").write_text(lines)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "t.jsonl", categorical=())


def test_a_row_may_hold_line_ends_and_its_neighbours_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,"x\n\ny"\n\n2,z\n3\n4,"p ""q"" r"\n\n\n')
    file = CsvFile(Format(path))
    found = [(batch.to_pydict(), file.lines(numbers).tolist()) for batch, numbers in file.batches()]
    assert found == [({"a": ["1", "2", "4"], "b": ["x\n\ny", "z", 'p "q" r']}, [4, 6, 8])]
    assert file.findings == [
        ("line 5", "empty", "it is blank"),
        ("line 7", "unreadable", "1 fields where there are 2 columns"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a,b\n1,"x\n2,y\n3,z\n', "line 2 begins a record whose quotes are not closed"),
        ('a,b\n1,x\n2,"y"z\n3,"w"\n', "line 3 begins a record whose quotes are not closed, or have text behind them"),
    ],
)
def test_a_quote_that_swallows_lines_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        Table(path=str(tmp_path / "t.csv"), target="b").dataset("pool")


def test_quotes_that_are_text_are_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('size,y\n5" pipe,a\n6" pipe,b\n\n3\' pipe,a\n')
    samples = Table(path=str(tmp_path / "t.csv"), target="y", clean=Cleaning(empty="drop")).dataset("pool")
    assert samples.features[0].categories == ("3' pipe", '5" pipe', '6" pipe')
    assert samples.findings["id"].tolist() == ["line 4"]
    (tmp_path / "t.csv").write_text('size,y\n"5 pipe,a\n6 pipe,b\n')
    whole = Table(path=str(tmp_path / "t.csv"), target="y", quote=None).dataset("pool")
    assert whole.features[0].categories == ('"5 pipe', "6 pipe")


@pytest.mark.parametrize("mark", [";", ",", "|", "\t"])
def test_a_line_that_tells_excel_the_separator_is_no_header(mark: str, tmp_path: Path) -> None:
    rows = [["a", "b"], ["1,5", "x"], ["2;5", "y|z"]]
    lines = [mark.join(f'"{one}"' for one in row) for row in rows]
    (tmp_path / "t.csv").write_text("\n".join([f"sep={mark}", *lines, ""]))
    file = CsvFile(Format(tmp_path / "t.csv"))
    [(batch, numbers)] = file.batches()
    assert batch.to_pydict() == {"a": ["1,5", "2;5"], "b": ["x", "y|z"]}
    assert file.lines(numbers).tolist() == [3, 4]
    (tmp_path / "t.csv").write_text(f"sep={mark}\n")
    with pytest.raises(DataError, match="no records"):
        CsvFile(Format(tmp_path / "t.csv"))


@pytest.mark.parametrize("seed", range(40))
def test_records_read_and_lines_named_are_all_lines_of_any_file(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of fields, blank lines and faulty lines in any order, in blocks of any size."""
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(csv_bytes, "BLOCK", int(rng.integers(5, 80)))
    fields = ["7", "", "é", '"a,b"', '"x\ny"', '"say ""hi"""', "NA", ' "spaced"', "'", "a b"]
    kinds = rng.choice(["row", "row", "row", "blank", "short", "long"], 30)
    lines = [",".join(rng.choice(fields, {"row": 3, "short": 2, "long": 5, "blank": 0}[kind])) for kind in kinds]
    lines += ["1,2,3"]
    ends = "\r\n" if seed % 2 else "\n"
    (tmp_path / "t.csv").write_bytes(ends.join(["p,q,r", *lines, ""]).replace("\r\r", "\r").encode())
    file = CsvFile(Format(tmp_path / "t.csv"))
    read = pd.concat([batch.to_pandas() for batch, _ in file.batches()])
    assert len(read) == (kinds == "row").sum() + 1
    told = [kind for _, kind, _ in file.findings]
    assert told.count("empty") == (kinds == "blank").sum()
    assert told.count("unreadable") == np.isin(kinds, ["short", "long"]).sum()
    rows = [line for line, kind in zip(lines, [*kinds, "row"], strict=True) if kind == "row"]
    expected = pd.read_csv(
        io.StringIO("\n".join(["p,q,r", *rows])),
        dtype=str,
        skipinitialspace=True,
        keep_default_na=False,
        na_values=["", "NA"],
    )
    same = read.reset_index(drop=True).replace("x\r\ny", "x\ny")
    pd.testing.assert_frame_equal(same.astype(object), expected.astype(object), check_dtype=False)


def test_separators_of_several_characters_comments_and_skipped_lines(tmp_path: Path) -> None:
    (tmp_path / "r.dat").write_text("1::10::5::978300760\n2::10::3::978302109\n2::11::4::978301968\n")
    ratings = Ratings(
        path=str(tmp_path / "r.dat"), header=["user", "item", "rating", "time"], separator="::", time="time"
    )
    samples = ratings.dataset("pool")
    assert frame_of(samples).to_dict("list") == {"user": ["1", "2", "2"], "item": ["10", "10", "11"]}
    assert samples.table["target"].tolist() == [5, 3, 4]
    assert samples.table["time"].tolist() == [978300760, 978302109, 978301968]
    (tmp_path / "c.csv").write_text("made by a machine\n# units: m\nx;y\n1;a\n# half way\n2;b\n")
    samples = Table(path=str(tmp_path / "c.csv"), target="y", skip_rows=1, comment="#").dataset("pool")
    assert samples.inputs[np.arange(2)].tolist() == [[1], [2]]
    assert samples.findings.empty


WRITTEN = {
    "a decimal comma": (lambda v: f"{v:.2f}".replace(".", ","), "number ,||"),
    "thousands": (lambda v: f"{v:,.2f}", "number .|,|"),
    "Swiss thousands": (lambda v: f"{v:,.2f}".replace(",", "'"), "number .|'|"),
    "German thousands": (lambda v: f"{v:,.2f}".translate(str.maketrans(",.", ".,")), "number ,|.|"),
    "French thousands": (lambda v: f"{v:,.2f}".translate(str.maketrans(",.", "\u202f,")), "number ,| |"),
    "per cent": (lambda v: f"{v:.2f}%", "number .||%"),
    "per cent with blanks": (lambda v: f"{'- ' if v < 0 else ''}{abs(v):.2f} %", "number .||%"),
    "dollars": (lambda v: f"${v:,.2f}", "number .|,|$"),
    "dollars behind the sign": (lambda v: f"{'-' if v < 0 else ''}${abs(v):.2f}", "number .||$"),
    "euros": (lambda v: f"{v:,.2f} €".translate(str.maketrans(",.", ".,")), "number ,|.|€"),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_numbers_as_people_write_them_are_read_and_said(tmp_path: Path, kind: str) -> None:
    write, written = WRITTEN[kind]
    values = np.round(np.random.default_rng(1).lognormal(7, 2, N) + 1000, 2) * np.where(np.arange(N) % 3, 1, -1)
    frame = pd.DataFrame({"x": [write(v) for v in values], "k": range(N), "y": FRAME["y"]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    samples = Table(path=str(tmp_path / "t.csv"), target="y").dataset("pool")
    np.testing.assert_array_equal(samples.inputs[np.arange(N)][:, 0], values)
    assert samples.features[0].written == written
    [(name, detail)] = (
        samples.findings.loc[samples.findings["kind"] == "notation", ["id", "detail"]].to_numpy().tolist()
    )
    assert name == "x"
    assert repr(frame["x"][0]) in detail
    # a file to predict is read as the pool was, though alone it would say less
    frame.drop(columns="y")[:1].to_csv(tmp_path / "new.csv", index=False)
    data = Table(path=str(tmp_path / "t.csv"), target="y", predict=str(tmp_path / "new.csv"))
    assert data.dataset("predict").inputs[0][0] == values[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["1,234", "5,678", "2,100"],
            "'(1,234|5,678|2,100)' is .* or .*say which with data.decimal and data.thousands",
        ),
        (["01/02/2024", "03/04/2024", "05/06/2023"], "may be .* or .*say which with data.date_format"),
    ],
)
def test_what_can_be_read_in_two_ways_is_asked(tmp_path: Path, values: list[str], message: str) -> None:
    frame = pd.DataFrame({"x": values * 10, "y": ["a", "b", "a"] * 10})
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=message):
        Table(path=str(tmp_path / "t.csv"), target="y").dataset("pool")


def test_declared_marks_and_date_forms_settle_it(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": ["1,234", "5,678"] * 10, "d": ["01/02/2024", "03/04/2024"] * 10, "y": ["a", "b"] * 10})
    frame.to_csv(tmp_path / "t.csv", index=False)
    comma = Table(path=str(tmp_path / "t.csv"), target="y", decimal=",", date_format="%d/%m/%Y").dataset("pool")
    assert frame_of(comma)[:2].to_dict("list") == {
        "x": [1.234, 5.678],
        "d": [pd.Timestamp(2024, 2, 1), pd.Timestamp(2024, 4, 3)],
    }
    many = Table(path=str(tmp_path / "t.csv"), target="y", thousands=",", date_format="%m/%d/%Y").dataset("pool")
    assert frame_of(many)[:1].to_dict("list") == {"x": [1234], "d": [pd.Timestamp(2024, 1, 2)]}


FORMS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%d.%m.%Y",
    "%d %b %Y",
    "%B %d, %Y",
    "%Y/%m/%d",
    "%m/%d/%Y",
)


@pytest.mark.parametrize("form", [*FORMS, "Parquet", "a DataFrame"])
def test_dates_become_what_goes_on_and_what_repeats(tmp_path: Path, form: str) -> None:
    days = pd.date_range("2021-12-10", periods=N, freq="17h")
    days = days if "%H" in form or "%" not in form else days.floor("D")
    frame = pd.DataFrame({"when": days if "%" not in form else days.strftime(form), "k": range(N), "y": FRAME["y"]})
    path = tmp_path / ("t.parquet" if form == "Parquet" else "t.csv")
    frame.to_parquet(path) if form == "Parquet" else frame.to_csv(path, index=False)
    data = Table(path=str(path), target="y")
    samples = data.dataset("pool")
    assert frame_of(samples)["when"].tolist() == days.tolist()
    data.preprocess.fit(samples, np.arange(40))
    encoder = data.preprocess.encoder(samples)
    assert encoder is not None
    found = encoder(samples.inputs[np.arange(N)])[:, 2:]
    since = (days - days[:40].mean()) / days[:40].std(ddof=0)
    month, weekday, hour = days.month - 1, days.day_of_week, days.hour + days.minute / 60
    expected = [since, (days.year - days.year[:40].to_numpy().mean()) / np.std(days.year[:40].to_numpy())]
    for value, period in ((month, 12), (weekday, 7), (hour, 24)):
        expected += [np.sin(2 * np.pi * np.asarray(value) / period), np.cos(2 * np.pi * np.asarray(value) / period)]
    width = 8 if hour.to_numpy().any() else 6
    assert data.preprocess.widths()["when"] == found.shape[1] == width  # type: ignore[attr-defined]
    np.testing.assert_allclose(found, np.stack([np.asarray(one, float) for one in expected[:width]], 1), atol=1e-5)


def test_a_column_of_names_is_no_input_and_said(tmp_path: Path) -> None:
    frame = FRAME.assign(
        customer=[f"C{i:04d}" for i in range(N)], row=range(N), review=[f"a long tale of {i}" for i in range(N)]
    )
    frame.to_csv(tmp_path / "t.csv")  # with pandas' count of rows in a column without a name
    samples = Table(path=str(tmp_path / "t.csv"), target="y").dataset("pool")
    assert samples.schema is not None
    kinds = dict(zip(samples.schema["name"], samples.schema["kind"], strict=True))
    assert kinds == {
        "": "identifier",
        "amount": "number",
        "count": "number",
        "plan": "category",
        "flag": "boolean",
        "note": "category",
        "y": "target",
        "customer": "identifier",
        "row": "identifier",
        "review": "text",
    }
    assert [f.name for f in samples.features] == ["amount", "count", "plan", "flag", "note"]
    assert set(samples.findings["id"]) == {"", "customer", "row", "review"}
    with pytest.raises(ConfigError, match=r"data\.columns: 'customer' has a value of its own in nearly every row"):
        Table(path=str(tmp_path / "t.csv"), target="y", columns=["amount", "customer"]).dataset("pool")
    with pytest.raises(DataError, match=r"data\.clean\.identifier: drop"):
        Table(path=str(tmp_path / "t.csv"), target="y", clean=Cleaning(identifier="fail")).samples("pool")


def test_digits_with_zeros_in_front_are_categories(tmp_path: Path) -> None:
    codes = [f"{i % 7:05d}" for i in range(N)]
    pd.DataFrame({"zip": codes, "y": FRAME["y"]}).to_csv(tmp_path / "t.csv", index=False)
    samples = Table(path=str(tmp_path / "t.csv"), target="y").dataset("pool")
    assert frame_of(samples)["zip"].tolist() == codes


def test_pandas_index_names_the_rows_of_a_parquet_file_and_is_no_input(tmp_path: Path) -> None:
    named = FRAME.set_index(pd.Index([f"c{i}" for i in range(N)], name="customer"))
    named.to_parquet(tmp_path / "named.parquet")
    order = np.random.default_rng(2).permutation(N)
    FRAME.iloc[order].to_parquet(tmp_path / "turned.parquet")  # an index without a name, which does not count up
    samples = read(tmp_path / "named.parquet")
    assert samples.table["id"].tolist() == named.index.tolist()
    assert [f.name for f in samples.features] == ["amount", "count", "plan", "flag", "note"]
    turned = read(tmp_path / "turned.parquet")
    assert turned.table["id"].tolist() == [str(i) for i in order]
    assert_reads(turned, FRAME.iloc[order])


def test_a_boolean_pool_and_a_file_of_0_and_1_hash_alike(tmp_path: Path) -> None:
    frame = pd.DataFrame({"flag": FRAME["flag"], "n": FRAME["count"], "y": FRAME["y"]})
    frame.to_csv(tmp_path / "truths.csv", index=False)
    frame.assign(flag=frame["flag"].astype(int)).to_csv(tmp_path / "numbers.csv", index=False)
    frame.to_parquet(tmp_path / "truths.parquet")
    names = ("truths.csv", "numbers.csv", "truths.parquet")
    for pool in names:
        for test in names:
            data = Table(path=str(tmp_path / pool), target="y", test_path=str(tmp_path / test))
            assert np.array_equal(data.dataset("pool").content, data.dataset("test").content), (pool, test)


def test_the_schema_says_it_in_yaml_and_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    frame = FRAME.assign(
        when=pd.date_range("2024-01-01", periods=N).strftime("%d.%m.%Y"), zip=[f"0{i % 5}" for i in range(N)]
    )
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    data = Table(path=str(path), target="y")
    samples = data.samples("pool")
    data.setup("fit")
    widths = data.preprocess.widths()  # type: ignore[attr-defined]
    write_schema(tmp_path / "schema.yaml", samples, widths)
    said = {one["name"]: (one["kind"], one["missing"], one["width"]) for one in described(samples, widths)}
    assert said["amount"] == ("number", 2, 1)
    assert said["when"] == ("date", 0, 6)
    assert said["plan"] == ("category", 0, 3)
    given = Table(path=str(path), target="y", schema=str(tmp_path / "schema.yaml"))
    assert given.samples("pool").fingerprint == samples.fingerprint
    assert read_schema(str(tmp_path / "schema.yaml"), Format(path))[-1].categories == tuple(f"0{i}" for i in range(5))
    for changed, message in (
        (frame.drop(columns="plan"), r"data\.schema: .*has no column 'plan'"),
        (frame.assign(more=1), r"data\.schema: .*has no column 'more', which .*has"),
        (frame.assign(amount="lots"), r"column 'amount' was numbers before and holds none here"),
        (
            frame.assign(when=pd.to_datetime(frame["when"], dayfirst=True).dt.strftime("%Y/%m/%d")),
            r"column 'when' was dates such as %d\.%m\.%Y before and holds none here, .*'2024/01/01' in line 2",
        ),
        (
            frame.assign(zip=frame["zip"] + "x"),
            r"data\.schema: .*column 'zip': none of its values \('00x', .* is one of the categories there \('00', ",
        ),
        (
            frame.assign(when=frame["when"].mask(frame.index == 7, "soon")),
            r"when: 'soon' in line \d+, which is no date",
        ),
    ):
        changed.to_csv(path, index=False)
        with pytest.raises(UserError, match=message):
            Table(path=str(path), target="y", schema=str(tmp_path / "schema.yaml")).samples("pool")


@pytest.mark.parametrize(
    ("name", "mend"),
    [("t.xls", "save it as .xlsx"), ("t.json", r"as \.jsonl"), ("t.zip", "unpack it"), ("t.pkl", "Parquet")],
)
def test_a_table_of_another_format_is_named_and_not_taken_for_text(tmp_path: Path, name: str, mend: str) -> None:
    (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(UserError, match=rf"data\.path: .*{name} is .*{mend}"):
        Table(path=str(tmp_path / name), target="y").samples("pool")


@pytest.mark.parametrize("kind", ["names", "dates"])
def test_a_target_of_names_or_dates_is_refused(tmp_path: Path, kind: str) -> None:
    days = pd.date_range("2024-01-01", periods=N)
    frame = FRAME.assign(y=[f"K{i:03}" for i in range(N)] if kind == "names" else days.strftime("%Y-%m-%d"))
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(UserError, match=r"data\.target: column 'y' of .* has another value in nearly every row, '"):
        Table(path=str(tmp_path / "t.csv"), target="y").samples("pool")


def test_a_file_held_to_a_schema_has_that_very_schema(tmp_path: Path) -> None:
    frame = FRAME.assign(
        when=pd.date_range("2024-01-01", periods=N).strftime("%d.%m.%Y"), price="1.234,5", flag=np.arange(N) % 2 == 0
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    first, again = tmp_path / "schema.yaml", tmp_path / "again.yaml"
    for held, written in ((None, first), (str(first), again)):
        data = Table(path=str(tmp_path / "t.csv"), target="y", schema=held, test_size=0.25)
        data.setup("fit")
        write_schema(written, data.samples("pool"), data.preprocess.widths())  # type: ignore[attr-defined]
    assert first.read_text() == again.read_text()
    assert f"rows: {N}\n" in first.read_text(), "counts are over all rows, those that are sealed too"


def test_a_schema_tells_columns_of_more_codes_than_are_counted(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": [f"u{i % 1500}" for i in range(3000)], "y": np.arange(3000) / 7})
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = Table(path=str(tmp_path / "t.csv"), target="y", encode="code")
    data.setup("fit")
    (user, _) = described(data.samples("pool"), data.preprocess.widths())  # type: ignore[attr-defined]
    assert (user["distinct"], user["becomes"], user["width"]) == ("over 1000", "a number for each", 1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: number", "kind: nubmer", "column 'amount' is of kind 'nubmer', which is none of number, .*'number'"),
        ("kind: category", "kind: number", "column 'plan' is of kind number, and has categories"),
        ("kind: date", "kind: number", "column 'day' is of kind number, and written as 'date "),
        ("kind: number", "kind: date", "column 'amount' is of kind date, and written as 'nothing'"),
        ("written: number .|,|", "written: number ,", "column 'dear' is written as 'number ,'"),
        ("written: date", "written: dates", "column 'day' is of kind date, and written as 'dates"),
    ],
)
def test_a_schema_that_contradicts_itself_leaves_no_column_out(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    day = pd.date_range("2024-01-01", periods=N).strftime("%d.%m.%Y")
    frame = FRAME[["amount", "plan", "y"]].assign(day=day, dear=[f"{1000.5 + i:,.2f}" for i in range(N)])
    frame.to_csv(tmp_path / "t.csv", index=False)
    path, schema = tmp_path / "t.csv", tmp_path / "schema.yaml"
    samples = read(path, categorical=())
    write_schema(schema, samples, {feature.name: 1 for feature in samples.features})
    assert read(path, categorical=(), schema=str(schema)).features == samples.features
    text = schema.read_text()
    assert old in text
    schema.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        read(path, categorical=(), schema=str(schema))


def test_a_column_that_stops_being_numbers_late_is_read_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "PROBED", 5)
    monkeypatch.setattr(csv_bytes, "BLOCK", 200)
    frame = pd.DataFrame({f"c{k}": [*map(str, range(50)), *["word"] * 40] for k in range(5)} | {"y": ["a", "b"] * 45})
    frame.to_csv(tmp_path / "t.csv", index=False)
    for limit in (records.IN_MEMORY, 10):
        monkeypatch.setattr(tables, "IN_MEMORY", limit)
        monkeypatch.setattr(records, "IN_MEMORY", limit)
        assert_reads(Table(path=str(tmp_path / "t.csv"), target="y").dataset("pool"), frame)


def test_json_numbers_beyond_floats_stay_names(tmp_path: Path) -> None:
    ids = [2**60 + i for i in range(4)]
    lines = [json.dumps({"id": one, "x": i, "y": "ab"[i % 2]}) for i, one in enumerate(ids)]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    found = Table(path=str(tmp_path / "t.jsonl"), target="y", ids="id").dataset("pool")
    assert found.table["id"].tolist() == [str(one) for one in ids]


def numbers(tmp_path: Path, values: list[str], **settings: Any) -> Samples:
    """A column of these texts, and a continuous target."""
    frame = pd.DataFrame({"a": values, "y": np.arange(len(values)) + 0.5})
    frame.to_csv(tmp_path / "n.csv", index=False, sep=";")
    return Table(path=str(tmp_path / "n.csv"), target="y", **settings).dataset("pool")


@pytest.mark.parametrize("odd", ["1.234,5", "1,5"])
def test_one_odd_value_changes_no_plain_one_and_is_told(tmp_path: Path, odd: str) -> None:
    plain = [f"{i / 1000 + 0.1:.3f}" for i in range(99)]
    samples = numbers(tmp_path, [*plain, odd])
    np.testing.assert_array_equal(samples.inputs[np.arange(99)][:, 0], [float(one) for one in plain])
    assert samples.findings["kind"].tolist() == ["type"]
    assert f"the first {odd!r} in line 101" in samples.findings["detail"][0]


def test_a_value_that_is_grouped_otherwise_is_told(tmp_path: Path) -> None:
    samples = numbers(tmp_path, [*(f"{i}.234,50" for i in range(1, 40)), "12.5", "1.2.3"])
    assert samples.inputs[0][0] == 1234.5
    assert np.isnan(samples.inputs[np.array([39, 40])][:, 0]).all()
    assert [detail.split(" in line")[0] for detail in samples.findings["detail"]][1:] == ["'12.5'", "'1.2.3'"]


@pytest.mark.parametrize(
    "codes", [["030 123 456", "030 987 654"], ["192.168.101.101", "192.168.101.102"], ["1.1.11", "2.3.13"]]
)
def test_phone_numbers_addresses_and_versions_are_no_numbers(tmp_path: Path, codes: tuple[str, ...]) -> None:
    assert numbers(tmp_path, [*codes] * 20).features[0].categories == tuple(codes)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1.0, 5.0), (-1.0, 1.0)])
def test_whole_targets_with_a_fraction_of_0_are_classes_in_every_format(
    tmp_path: Path, low: float, high: float
) -> None:
    frame = FRAME[["amount", "count"]].assign(y=np.where(FRAME["y"] == "yes", high, low))
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    for suffix in ("csv", "parquet", "jsonl", "xlsx"):
        samples = read(tmp_path / f"t.{suffix}", categorical=())
        assert samples.classes == (f"{low:.0f}", f"{high:.0f}"), suffix
        assert samples.table["target"].tolist() == (FRAME["y"] == "yes").astype(int).tolist()


def test_classes_may_be_called_anything(tmp_path: Path) -> None:
    for names in (["--1", "1"], ["+", "-"], ["1", "9" * 200], ["-1", "+1"]):
        FRAME[["amount"]].assign(y=[names[i % 2] for i in range(N)]).to_csv(tmp_path / "t.csv", index=False)
        samples = read(tmp_path / "t.csv", categorical=())
        assert [samples.classes[t] for t in samples.table["target"]] == [names[i % 2] for i in range(N)]


def test_zeros_in_front_count_wherever_they_stand_in_the_file(tmp_path: Path) -> None:
    codes = [str(10_000 + i % 50) for i in range(2_000)] + ["02134"] * 30
    for values in (codes, codes[::-1]):
        found = numbers(tmp_path, values)
        assert found.features[0].categories == tuple(sorted(set(codes)))


def test_the_form_of_dates_is_that_which_most_fit_and_ties_are_asked(tmp_path: Path) -> None:
    both = [f"{a:02}/{b:02}/2024" for a in range(1, 13) for b in range(1, 13)]
    telling = numbers(tmp_path, [*both, "03/25/2024", "unknown"])
    assert telling.features[0].written == "date %m/%d/%Y"
    with pytest.raises(DataError, match="may be %d/%m/%Y or %m/%d/%Y"):
        numbers(tmp_path, [*both, "unknown"])
    days = pd.date_range("2000-01-01", "2019-12-31").strftime("%d/%m/%Y")
    assert numbers(tmp_path, days.tolist()).features[0].written == "date %d/%m/%Y"
    names = [f"name {i}" for i in range(8_000)]
    mixed = numbers(
        tmp_path, [*pd.date_range("2000-01-01", periods=2_100).strftime("%Y-%m-%d"), *names], categorical=["a"]
    )
    assert not mixed.features[0].is_date


def test_numbers_and_moments_of_typed_files_are_what_they_are(tmp_path: Path) -> None:
    """A model is trained on a CSV with decimal commas and days first; Parquet and a DataFrame are predicted."""
    days = pd.date_range("2024-01-20", periods=40)
    made = {"a": [f"{i}.234,5" for i in range(1, 41)], "d": days.strftime("%d/%m/%Y"), "y": ["p", "q"] * 20}
    pd.DataFrame(made).to_csv(tmp_path / "t.csv", index=False, sep=";")
    asked = pd.DataFrame({"a": [12.5, 1234.5, 0.125], "d": days[:3]})
    asked.to_parquet(tmp_path / "new.parquet")
    data = Table(path=str(tmp_path / "t.csv"), target="y", predict=str(tmp_path / "new.parquet"))
    data.preprocess.fit(data.samples("pool"), np.arange(40))
    for samples in (data.dataset("predict"), data.given(asked)):
        found = frame_of(samples)
        assert found["a"].tolist() == [12.5, 1234.5, 0.125]
        assert found["d"].tolist() == days[:3].tolist()


def test_a_continuous_target_with_a_slip_stays_one_and_the_slip_is_told(tmp_path: Path) -> None:
    values = [f"{v:.4f}" for v in np.random.default_rng(0).normal(size=100)]
    pd.DataFrame({"x": range(101), "y": [*values, "-"]}).to_csv(tmp_path / "t.csv", index=False)
    samples = Table(path=str(tmp_path / "t.csv"), target="y").dataset("pool")
    assert samples.classes == ()
    assert samples.findings[["kind", "detail"]].to_numpy().tolist()[-1] == [
        "target",
        "line 102 has target -, no number",
    ]


def test_separators_within_quotes_stay_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a::b::y\n"p::q"::2::3.5\nr::4::1.5\n')
    samples = Table(path=str(tmp_path / "t.csv"), target="y", separator="::").dataset("pool")
    assert samples.features[0].categories == ("p::q", "r")


def test_rows_of_a_sheet_and_lines_of_json_are_named_as_they_stand(tmp_path: Path) -> None:
    rows = pd.DataFrame([[None] * 3, ["x ", "y", "z"], [1, "a", 5], [2, "b", 6], [3, "c", 7]])
    rows.to_excel(tmp_path / "t.xlsx", index=False, header=False)
    with pytest.raises(DataError, match=r"line 5 has target c"):
        Table(path=str(tmp_path / "t.xlsx"), target="y", class_names=["a", "b"], ids="x").samples("pool")
    pd.DataFrame([["a", "a", "y"], [1, 2, "p"]]).to_excel(tmp_path / "twice.xlsx", index=False, header=False)
    with pytest.raises(DataError, match="two columns are named 'a'"):
        Table(path=str(tmp_path / "twice.xlsx"), target="y").dataset("pool")
    (tmp_path / "t.jsonl").write_text('{"x": 1, "y": "a"}\n\n\n{"x": 2, "y": "c"}\n{"x": 3, "y": "b"}\n')
    with pytest.raises(DataError, match=r"line 4 has target c"):
        Table(path=str(tmp_path / "t.jsonl"), target="y", class_names=["a", "b"]).samples("pool")


def test_an_index_that_names_no_row_is_told_and_whole_numbers_of_any_size_are_read(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"a": [2**60, 1, 2, 3], "y": [0.5, 1.5, 2.5, 3.5]}, index=pd.Index(list("ppqq"), name="patient")
    )
    frame.to_parquet(tmp_path / "t.parquet")
    samples = Table(path=str(tmp_path / "t.parquet"), target="y").dataset("pool")
    assert ["patient", "unused"] in samples.findings[["id", "kind"]].to_numpy().tolist()
    assert samples.inputs[0][0] == 2.0**60
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pa.parquet.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(DataError, match="two columns are named 'a'"):
        Table(path=str(tmp_path / "twice.parquet"), target="y").dataset("pool")


def test_rows_that_all_miss_the_header_say_so(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,y\n1,2,3,\n4,5,6,\n")
    with pytest.raises(DataError, match=r"no record fits the header; line 2: 4 fields where there are 3 columns"):
        Table(path=str(tmp_path / "t.csv"), target="y").dataset("pool")
