"""Files of arrays, an .npz or a folder of .npy files, held against what they declare before memory is asked for."""

import difflib
import math
import os
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lightning_base.errors import DataError, one_line

Arrays = dict[str, npt.NDArray[Any]]
INPUTS = ("x", "x_test", "x_predict")
BESIDE = ("y", "id", "group", "time", "time_end")
KNOWN = (*INPUTS, *BESIDE, *(f"{name}_test" for name in BESIDE), "id_predict", "classes", "weight")
FOLD = "fold"  # what the names of further columns begin with
MEANT = {  # what others call them
    **dict.fromkeys(("data", "input", "inputs", "image", "images", "features", "x_train", "train_x"), "x"),
    **dict.fromkeys(("label", "labels", "target", "targets", "y_train", "train_y"), "y"),
    **dict.fromkeys(("class_names", "target_names", "class_name", "label_names"), "classes"),
    "groups": "group",
    "times": "time",
    "ids": "id",
    "test_x": "x_test",
    "test_y": "y_test",
}
KINDS = {"x": "biuf", "weight": "biuf", "y": "biufSU", "classes": "biuSU"}  # NumPy's letters for types; of others:
OTHERS = "biufSUM"
DEFLATE = 1100  # bytes that a byte can unpack to: zlib's documentation says 1,032
WRONG = (
    *(ValueError, OSError, EOFError, KeyError, TypeError, RuntimeError, MemoryError, SyntaxError, tokenize.TokenError),
    *(zipfile.BadZipFile, zlib.error),
)


def read_npz(path: str) -> tuple[Arrays, list[str]]:
    """The arrays of an .npz that are known by name, and the names of the others, which are not read.

    Raises:
        DataError: for a file that is none, has a member that is no plain array or is not as large as it says, or two
            of one name, or takes more memory than the machine has.
    """
    try:
        with warnings.catch_warnings(), zipfile.ZipFile(path) as archive:
            warnings.simplefilter("ignore")  # what NumPy says of headers by Python 2
            members = _members(archive)
            wanted = {key: info for key, info in members.items() if is_known(key)}
            _demand_memory(sum(info.file_size for info in wanted.values()))
            arrays = {key: _plain(_member(archive, info, key)) for key, info in wanted.items()}
    except WRONG as error:
        raise DataError(
            f"{path} is not a readable .npz of plain arrays ({one_line(error)}); write it with numpy.savez(x=…, y=…)"
        ) from error
    return arrays, [key for key in members if key not in arrays]


def read_npy_folder(folder: Path) -> tuple[Arrays, list[str]]:
    """The arrays of a folder of .npy files that are known by name, and the names of its other files.

    Inputs are memory-mapped, and uint8 or float32.

    Raises:
        DataError: for a file that is no plain array, is not as large as it says, or inputs of another type.
    """
    arrays: Arrays = {}
    others = []
    for file in sorted(folder.iterdir()):
        key = file.stem
        if file.name.startswith("."):
            continue
        if file.suffix != ".npy" or not is_known(key):
            others.append(key if file.suffix == ".npy" else file.name)
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with open(file, "rb") as opened:
                    _check_header(opened, os.fstat(opened.fileno()).st_size, key)
                mode: Any = "r" if key in INPUTS else None
                arrays[key] = _plain(np.load(file, mmap_mode=mode, allow_pickle=False))
        except WRONG as error:
            raise DataError(f"{file} is not a readable .npy of plain numbers ({one_line(error)})") from error
        if key in INPUTS and arrays[key].dtype not in (np.uint8, np.float32):
            raise DataError(f"{file}: type {arrays[key].dtype}; write uint8 or float32, which stay on the disk")
    return arrays, others


def is_known(key: str) -> bool:
    """Whether an array of that name is read."""
    return key in KNOWN or key.startswith(FOLD)


def unused(others: Iterable[str], arrays: Iterable[str], origin: str) -> Iterator[tuple[str, str, str]]:
    """A finding for each array or file that is not read.

    Raises:
        DataError: for one whose name is close to that of an array that is not there: it may be meant.
    """
    there = set(arrays)
    for key in others:
        meant = _meant(key)
        if meant is not None and meant not in there:
            raise DataError(
                f"{origin}: has {key!r}, which is not read; did you mean {meant!r}? Rename it, or remove it"
            )
        yield key, "unused", "no name of an array that is read here"


def _meant(key: str) -> str | None:
    """The known name that another may stand for."""
    low = key.casefold()
    for suffix in ("", "_test", "_predict"):
        stem = low.removesuffix(suffix) if suffix else low
        name = MEANT.get(stem, stem) + suffix
        if low.endswith(suffix) and name in KNOWN:
            return name
    near = difflib.get_close_matches(low, KNOWN, n=1, cutoff=0.8)
    return near[0] if near else None


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members by their arrays' names."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        key = info.filename.removesuffix(".npy")
        if key == info.filename or "/" in key or "\\" in key or not key:
            raise ValueError(f"member {info.filename!r} is no array by its name")
        if key in found:
            raise ValueError(f"two members are named {key!r}")
        if info.flag_bits & 1:
            raise ValueError(f"member {key!r} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"member {key!r} is packed in a way that numpy.savez does not write")
        if info.file_size > DEFLATE * (info.compress_size + 1):
            raise ValueError(f"member {key!r} has {info.compress_size} bytes and says that they are {info.file_size}")
        found[key] = info
    return found


def _demand_memory(size: int) -> None:
    """Refuses what is larger than the machine's memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory:
        raise ValueError(
            f"its arrays are {size / 2**30:.1f} GiB and the machine's memory {memory / 2**30:.1f}: a folder of .npy "
            "files stays on the disk"
        )


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, key: str) -> npt.NDArray[Any]:
    """A member's array, once its header was checked."""
    with archive.open(info) as file:
        _check_header(file, info.file_size, key)
    with archive.open(info) as file:
        array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        file.read(1)  # the end, where its check sum is compared
    return array


def _check_header(file: IO[bytes], size: int, key: str) -> None:
    """Refuses an array that is not as large as its file, or of a type that is not read."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{key!r} is of version {'.'.join(map(str, version))}, as only records need")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read(file)
    except WRONG as error:
        raise ValueError(f"{key!r} has a header that is none") from error
    kinds = next((KINDS[name] for name in KINDS if key in (name, f"{name}_test", f"{name}_predict")), OTHERS)
    if dtype.kind not in kinds:
        what = "objects" if dtype.hasobject else "records" if dtype.names else f"of type {dtype}"
        raise ValueError(f"{key} is {what}; {'inputs are numbers' if kinds == KINDS['x'] else 'give numbers or text'}")
    if any(n < 0 for n in shape):
        raise ValueError(f"{key!r} says that it has shape {shape}")
    needed = file.tell() + math.prod(shape) * dtype.itemsize
    if needed != size:
        raise ValueError(f"{key!r} has shape {shape} of {dtype}, which is {needed} bytes, and is {size}")


def _plain(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array, bytes as the text that they are in UTF-8; text must be of characters that there are."""
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8")
    if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
        codes = np.array(array, dtype=array.dtype.newbyteorder("="), ndmin=1).view(np.uint32)
        if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any():
            raise ValueError("text with numbers that are no characters")
    return array
