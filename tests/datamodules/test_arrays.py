"""Claims about arrays: what is read, what is sealed, and what is said of data that cannot be used."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datamodules.arrays import Arrays
from datamodules.table import Table
from lightning_base.clean.cleaning import Cleaning
from lightning_base.errors import UserError
from lightning_base.tasks import Classification
from models.mlp import MLP


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "iris", "diabetes"])
def test_the_sealed_share_and_the_pool_are_a_partition(name: str) -> None:
    whole, data = Arrays(source=name).samples("pool"), Arrays(source=name, test_size=0.2)
    pool, sealed = data.samples("pool").table["id"], data.samples("test").table["id"]
    assert not set(pool) & set(sealed)
    assert sorted([*pool, *sealed]) == whole.table["id"].tolist()


def test_named_classes_and_a_test_source_of_ones_own(tmp_path: Path) -> None:
    path = str(tmp_path / "own.npz")
    np.savez(path, x=np.zeros((4, 2)), y=["dog", "cat", "dog", "cat"], x_test=np.ones((2, 2)), y_test=["dog", "dog"])
    data = Arrays(source=path)
    assert data.samples("pool").classes == ("cat", "dog")
    assert data.samples("test").target.tolist() == [1, 1]
    np.savez(path, x=np.zeros((4, 2)), y=[-1, 1, 1, -1])
    assert Arrays(source=path).samples("pool").target.tolist() == [0, 1, 1, 0]


X, Y = np.zeros((6, 2)), np.arange(6) % 2
BAD = {
    "no target": ({"x": X}, "no array 'y', only x"),
    "another length": ({"x": X, "y": Y[:5]}, "y has shape"),
    "a missing value": ({"x": np.where(np.arange(12).reshape(6, 2) == 7, np.nan, 0), "y": Y}, "row '3' has NaN"),
    "a missing target": ({"x": X, "y": np.array([0, 1, np.nan, 0, 0, 0])}, "row '2' has target nan"),
    "an id twice": ({"x": X, "y": Y, "id": list("abcdda")}, "id 'd' stands in two rows"),
    "an unknown class": ({"x": X, "y": list("abcabz"), "classes": list("abc")}, "y has 'z'"),
    "words for numbers": ({"x": np.array([["a"]] * 6), "y": Y}, "inputs are numbers"),
    "no rows": ({"x": X[:0], "y": Y[:0]}, "no samples"),
    "no values": ({"x": X[:, :0], "y": Y}, r"x has shape \(6, 0\)"),
    "moments": ({"x": X.astype("M8[s]"), "y": Y}, r"x is of type datetime64\[s\]; inputs are numbers"),
    "spans of time": ({"x": X.astype("m8[s]"), "y": Y}, r"x is of type timedelta64\[s\]; inputs are numbers"),
    "complex numbers": ({"x": X * 1j, "y": Y}, "x is of type complex128; inputs are numbers"),
    "complex targets": ({"x": X, "y": Y * 1j}, "y is of type complex128; give numbers or text"),
    "moments as targets": ({"x": X, "y": Y.astype("M8[D]")}, r"y is of type datetime64\[D\]; give numbers or text"),
    "records": ({"x": np.zeros(6, "f4,i8"), "y": Y}, "x is records; inputs are numbers"),
    "large whole numbers": ({"x": np.full((6, 2), 2**53 + 1), "y": Y}, "x has whole numbers beyond ±2⁵³"),
    "a class twice": ({"x": X, "y": Y, "classes": ["a", "a"]}, "classes has shape .* or a name twice"),
    "no blank ids": ({"x": X, "y": Y, "id": ["a", "", "b", "c", "d", "e"]}, "id is missing or blank in row 1"),
    "test samples of another shape": (
        {"x": X, "y": Y, "x_test": X[:, :1], "y_test": Y},
        r"samples of x_test have shape \(1,\), those of x \(2,\)",
    ),
    "groups": ({"x": X, "y": Y, "groups": Y}, "has 'groups', which is not read; did you mean 'group'"),
    "another x": ({"X": X, "y": Y}, "has 'X', which is not read; did you mean 'x'"),
    "labels": ({"x": X, "labels": Y}, "has 'labels', which is not read; did you mean 'y'"),
    "test labels": ({"x": X, "y": Y, "x_test": X, "labels_test": Y}, "did you mean 'y_test'"),
    "a slip": ({"x": X, "y": Y, "clases": ["a", "b"]}, "did you mean 'classes'"),
    "an unknown number": ({"x": X, "y": np.arange(6), "classes": ["a", "b"]}, "row '2' has target 2, out of range"),
    "a part of a class": ({"x": X, "y": Y / 2, "classes": ["a", "b"]}, r"row '1' has target 0\.5, out of range"),
    "bytes that are no text": ({"x": X, "y": np.array([b"\xff"] * 6)}, "can't decode byte 0xff"),
}


@pytest.mark.parametrize("case", BAD)
def test_arrays_that_cannot_be_used_say_why(case: str, tmp_path: Path) -> None:
    arrays, message = BAD[case]
    path = str(tmp_path / "bad.npz")
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=message):
        Arrays(source=path).samples("pool")


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "bad.npz")
    np.savez(path, x=np.array([{"a": 1}], dtype=object), y=np.array([0]))
    with pytest.raises(UserError, match="plain arrays"):
        Arrays(source=path).samples("pool")


TARGETS: dict[str, tuple[Any, tuple[str, ...]]] = {  # values that are written, and the classes that they name
    "booleans": (np.array([True, False, True]), ("false", "true")),
    "text of booleans": (np.array(["True", "false", "TRUE"]), ("false", "true")),
    "whole numbers": (np.array([10, 9, 10]), ("9", "10")),
    "small whole numbers": (np.array([1, 0, 1], np.uint8), ("0", "1")),
    "other bytes first": (np.array([1, 0, 1], ">i4"), ("0", "1")),
    "text of whole numbers": (np.array(["10", "9", "10"]), ("9", "10")),
    "text of fractions that are whole": (np.array(["1.0", "0", "1"]), ("0", "1")),
    "words": (np.array(["b", "a", "b"]), ("a", "b")),
    "bytes": (np.array([b"b", b"a", b"b"]), ("a", "b")),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_is_the_same_class_however_it_is_written_and_as_in_a_table(name: str, tmp_path: Path) -> None:
    y, classes = TARGETS[name]
    np.savez(tmp_path / "a.npz", x=np.arange(6.0).reshape(3, 2), y=y)
    samples = Arrays(source=str(tmp_path / "a.npz")).samples("pool")
    assert samples.classes == classes
    assert samples.target is not None
    assert samples.target.tolist() == [1, 0, 1]
    if name == "text of fractions that are whole":  # values in a table, which cannot know that they are text
        return
    shown = np.char.decode(y) if y.dtype.kind == "S" else y.astype(y.dtype.newbyteorder("="))
    pd.DataFrame({"x": [1.5, 2, 3], "target": shown}).to_csv(tmp_path / "a.csv", index=False)
    table = Table(path=str(tmp_path / "a.csv"), target="target").samples("pool")
    assert table.classes == classes
    assert table.target is not None
    assert table.target.tolist() == [1, 0, 1]


def test_fractions_are_values_even_where_they_are_whole_and_a_classifier_says_so(tmp_path: Path) -> None:
    path = str(tmp_path / "a.npz")
    np.savez(path, x=X, y=Y.astype(np.float64))
    data = Arrays(source=path)
    assert data.samples("pool").classes == ()
    with pytest.raises(UserError, match="give whole numbers or text as targets"):
        Classification(MLP(num_outputs=2, hidden=[2])).demand_kind(data.samples("pool"))
    np.savez(path, x=X, y=Y.astype(np.float64), classes=["cat", "dog"])
    assert Arrays(source=path).samples("pool").target.tolist() == Y.tolist()
    np.savez(path, x=X, y=Y.astype(np.float64), x_test=X, y_test=Y)  # whole numbers, where the pool has values
    test = Arrays(source=path).samples("test")
    assert (test.classes, test.target.tolist()) == ((), Y.tolist())
    np.savez(path, x=X, y=Y, x_test=X, y_test=Y.astype(np.float64))
    assert Arrays(source=path).samples("test").classes == ("0", "1")


def test_declared_names_are_those_of_numbers_booleans_and_text(tmp_path: Path) -> None:
    path = str(tmp_path / "a.npz")
    for y, classes in (
        (Y, ["dog", "cat"]),
        (Y == 1, ["dog", "cat"]),
        (np.where(Y == 1, "cat", "dog"), ["dog", "cat"]),
        (Y == 0, ["True", "False"]),
        (np.where(Y == 1, "NA", "EU"), ["EU", "NA"]),  # a name that else means "missing"
    ):
        np.savez(path, x=X, y=y, classes=classes)
        samples = Arrays(source=path).samples("pool")
        assert samples.classes == tuple(classes)
        assert samples.target.tolist() == Y.tolist()


def test_text_that_means_missing_is_no_class(tmp_path: Path) -> None:
    path = str(tmp_path / "a.npz")
    np.savez(path, x=X, y=np.array(["a", "b", "", "nan", "b", "a"]))
    with pytest.raises(UserError, match=r"2: no target \(2 of kind target\)"):
        Arrays(source=path).samples("pool")
    samples = Arrays(source=path, clean=Cleaning(target="drop")).samples("pool")
    assert samples.classes == ("a", "b")
    assert samples.target.tolist() == [0, 1, 1, 0]


NUMBERS = ["?", "i1", "u1", ">i2", "<u2", "i4", ">u4", "i8", "u8", "f2", ">f2", "f4", ">f4", "f8", ">f8", "g"]


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_of_every_type_and_order_have_their_values(tmp_path: Path, kind: str, order: Any) -> None:
    rng = np.random.default_rng(0)
    dtype = np.dtype(kind)
    values = (
        rng.normal(size=(6, 2, 3, 4)) if dtype.kind == "f" else rng.integers(0, 2 if kind == "?" else 100, (6, 2, 3, 4))
    )
    x = np.array(values, dtype=dtype, order=order)
    path = str(tmp_path / "a.npz")
    np.savez(path, x=x, y=Y)
    inputs = Arrays(source=path).samples("pool").inputs
    assert inputs.dtype == (np.uint8 if kind == "u1" else np.float32)
    found = inputs[np.arange(6)]
    for place in np.ndindex(x.shape):  # one by one, by Python's own numbers
        assert found[place] == np.float32(float(x[place]))
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "x.npy", np.asarray(found, order=order))
    np.save(tmp_path / "folder" / "y.npy", Y)
    loose = Arrays(source=str(tmp_path / "folder")).samples("pool")
    assert isinstance(loose.inputs, np.memmap)
    assert np.array_equal(loose.inputs, found)


def test_longer_numbers_beyond_float64_are_findings(tmp_path: Path) -> None:
    x = X.astype(np.longdouble)
    x[3, 1] = np.longdouble(10) ** 400
    np.savez(tmp_path / "a.npz", x=x, y=Y)
    with pytest.raises(UserError, match="row '3' has NaN or infinite inputs"):
        Arrays(source=str(tmp_path / "a.npz")).samples("pool")


def test_arrays_that_are_not_read_are_findings(tmp_path: Path) -> None:
    arrays = {"x": X, "y": Y, "rates": Y, "x_val": X, "about": np.array("text")}
    np.savez(tmp_path / "a.npz", **arrays)
    (tmp_path / "a").mkdir()
    for name, values in arrays.items():
        np.save(tmp_path / "a" / f"{name}.npy", values.astype(np.float32) if name == "x" else values)
    (tmp_path / "a" / "README.md").write_text("about")
    packed, loose = (Arrays(source=str(tmp_path / name)).dataset("pool") for name in ("a.npz", "a"))
    assert packed.findings[["id", "kind"]].to_numpy().tolist() == [
        [name, "unused"] for name in ("rates", "x_val", "about")
    ]
    assert set(loose.findings["id"]) == {"rates", "x_val", "about", "README.md"}
    Arrays(source=str(tmp_path / "a")).samples("pool")


def test_what_is_predicted_keeps_its_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=Y, x_predict=X[:2], id_predict=["p", "q"])
    np.savez(tmp_path / "b.npz", x=X[:3], id=[7.0, 8.0, 9.0])
    source = str(tmp_path / "a.npz")
    assert Arrays(source=source).samples("predict").table["id"].tolist() == ["p", "q"]
    other = Arrays(source=source, predict=str(tmp_path / "b.npz")).samples("predict")
    assert other.table["id"].tolist() == ["7", "8", "9"]


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """A .npy file with this header."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + content


def header(shape: str = "(6, 2)", descr: str = "'<f8'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def saved(values: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


HOSTILE: dict[str, tuple[dict[str, bytes], str]] = {  # members beside y, and what is said
    "more than there is": ({"x.npy": npy(header("(10000000000000, 2)"))}, "'x' has shape .* which is 1600000000000"),
    "less than there is": ({"x.npy": npy(header(), bytes(97))}, "'x' has shape .* bytes, and is"),
    "beyond 64 bits": ({"x.npy": npy(header("(18446744073709551617, 2)"))}, "'x' has shape"),
    "a negative shape": ({"x.npy": npy(header("(-6, -2)"), bytes(96))}, r"'x' says that it has shape \(-6, -2\)"),
    "no shape": ({"x.npy": npy(header("'ab'"))}, "'x' has a header that is none"),
    "no header": ({"x.npy": npy("os.system('true')")}, "'x' has a header that is none"),
    "deep brackets": ({"x.npy": npy("(" * 9000)}, "'x' has a header that is none"),
    "objects": ({"x.npy": npy(header(descr="'|O'"), bytes(96))}, "x is objects; inputs are numbers"),
    "no array": ({"x.npy": b"hello"}, "not a readable"),
    "no array's name": ({"x.npy": saved(X), "README.txt": b"hello"}, "member 'README.txt' is no array by its name"),
    "a folder": ({"data/x.npy": saved(X)}, "member 'data/x.npy' is no array by its name"),
    "nothing": ({}, "has no array 'x', only y"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_before_memory_is_asked_for(case: str, tmp_path: Path) -> None:
    members, message = HOSTILE[case]
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**members, "y.npy": saved(Y)}.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match=message) as caught:
        Arrays(source=str(path)).samples("pool")
    assert "\n" not in str(caught.value)
    if set(members) == {"x.npy"}:
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "x.npy").write_bytes(members["x.npy"])
        np.save(tmp_path / "bad" / "y.npy", Y)
        with pytest.raises(UserError, match=message):
            Arrays(source=str(tmp_path / "bad")).samples("pool")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_a_name_and_a_size_that_lies_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for _ in range(2):
            archive.writestr("x.npy", saved(X))
    with pytest.raises(UserError, match="two members are named 'x'"):
        Arrays(source=str(path)).samples("pool")
    np.savez(path, x=X, y=Y)
    raw = path.read_bytes()
    size = struct.pack("<I", len(saved(X)))
    path.write_bytes(raw.replace(size, struct.pack("<I", 2**31 - 1)))
    with pytest.raises(UserError, match="not a readable"):
        Arrays(source=str(path)).samples("pool")
    path.write_bytes(raw[:-30])
    with pytest.raises(UserError, match="not a zip file"):
        Arrays(source=str(path)).samples("pool")
    np.savez(path, x=X, y=Y)
    monkeypatch.setattr("os.sysconf", lambda name: 10)
    with pytest.raises(UserError, match="the machine's memory 0"):
        Arrays(source=str(path)).samples("pool")
