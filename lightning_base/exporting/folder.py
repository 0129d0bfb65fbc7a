"""The exported folder: written beside its place, checked, and moved there whole."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning_base
from lightning_base.errors import ConfigError
from lightning_base.runtime.folder import FORMAT, MANIFEST, file_digest, version_of
from lightning_base.tools.files import write_text

RUNTIME = Path(lightning_base.__file__).parent / "runtime"
PREDICT = '''"""{what} inputs: python {name}.py --help. Needs what requirements.txt names, and nothing else."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
from runtime.command import {name}  # noqa: E402

raise SystemExit({name}(Path(__file__).resolve().parent))
'''
OF_TORCH = ("program.py", "recurrent.py")
NEEDED = {"image": ["pillow>=11"], "sound": ["soundfile>=0.13", "soxr>=0.5"]}  # by kind of input


@contextmanager
def placed(out: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to write into, which is moved to `out` when all is there, and removed on an error.

    Raises:
        ConfigError: where `out` is there and is not to be replaced, or is no exported folder.
    """
    if out.exists():
        if not overwrite:
            raise ConfigError(f"export: {out} is there already; replace it (overwrite), or name another folder (out)")
        if not (out / MANIFEST).is_file():
            raise ConfigError(f"export: {out} is no exported folder, and is not replaced; name another (out)")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        if out.exists():
            out.rename(old)
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_runtime(folder: Path, kinds: Mapping[str, str], ending: str = ".onnx") -> None:
    """Writes the runtime, predict.py, verify.py and requirements.txt."""
    (folder / "runtime").mkdir()
    for path in sorted(RUNTIME.glob("*.py")):
        if ending == ".onnx" and path.name in OF_TORCH:
            continue
        shutil.copyfile(path, folder / "runtime" / path.name)
    for name, what in (("predict", "Answers"), ("verify", "Holds the answers to known")):
        write_text(folder / f"{name}.py", PREDICT.format(name=name, what=what))
    engine = "onnxruntime>=1.24" if ending == ".onnx" else f"torch=={version('torch')}"
    needed = ["numpy>=2.1", engine]
    needed += [one for kind in sorted({*kinds.values()}) for one in NEEDED.get(kind, [])]
    if any(folder.glob("tokenizer-*.json")):
        needed.append("tokenizers>=0.21")
    write_text(folder / "requirements.txt", "\n".join(needed) + "\n")


def write_plain(path: Path, content: Any) -> None:
    """Writes JSON that no sum of ours stands in: other programs read it, and the manifest has its hash."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def sealed(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the hashes of all files, written last; its version is a hash of these."""
    files = {
        str(path.relative_to(folder)): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST and "__pycache__" not in path.parts
    }
    whole: dict[str, Any] = json.loads(json.dumps({**manifest, "files": files}, allow_nan=False))  # as it will be read
    whole["version"] = version_of(whole)
    write_plain(folder / MANIFEST, whole)
    return whole


def begun(name: str, answer: Mapping[str, Any], graphs: Mapping[str, str], precision: str) -> dict[str, Any]:
    """A manifest of what is known before anything is checked."""
    libraries = ("lightning-base", "torch", "onnx", "onnxruntime", "onnxscript", "numpy")
    return {
        "format": FORMAT,
        "name": name,
        "version": "",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "answer": dict(answer),
        "graphs": dict(graphs),
        "precision": precision,
        "files": {},
        "made_with": {one: version(one) for one in libraries},
    }


def readable(sizes: Sequence[int]) -> str:
    """Bytes in words."""
    total = float(sum(sizes))
    for unit in ("bytes", "kB", "MB"):
        if total < 1000:
            return f"{total:.0f} {unit}" if unit == "bytes" else f"{total:.1f} {unit}"
        total /= 1000
    return f"{total:.1f} GB"
