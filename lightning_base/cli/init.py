"""The verb init: lays out a folder to work in, with configurations, a network and data of one's own; needs no torch."""

import argparse
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from lightning_base.cli.arguments import Parser
from lightning_base.errors import ConfigError
from lightning_base.tools.files import replace
from lightning_base.tools.shipped import shipped

NEXT = """
next:
{cd}  lightning-base crossval --config configs/digits_cnn.yaml   the demo, handwritten digits
  lightning-base crossval --config configs/mine.yaml         models/mine.py on datamodules/mine.py
  lightning-base test --ckpt_path runs/mine/crossval         … on its sealed test samples
"""


def main(arguments: Sequence[str]) -> int:
    """Lays out the folder that the arguments name, and says what was written, what was kept, and what to run next.

    Raises:
        ConfigError: for a mistake in the arguments, or a folder that cannot be written.
    """
    folder = Path(_parser().parse_args(list(arguments)).directory)
    files = layout()
    refuse_obstacles(folder, files)
    kept = [name for name in files if (folder / name).exists()]
    written = [name for name in files if name not in kept]
    try:
        for name in written:
            with replace(folder / name) as temporary:
                shutil.copyfile(files[name], temporary)
    except OSError as error:
        place = error.filename or folder
        raise ConfigError(f"init: {place}: {error.strerror or error}; name another folder") from error
    there = f"; {count(kept)} were there and kept" if kept else ""
    print(f"{folder}: {count(written)} written{there}")
    for part in dict.fromkeys(Path(name).parts[0] for name in written):
        print(f"  {part}{'/' if (folder / part).is_dir() else ''}")
    if changed := [name for name in kept if (folder / name).read_bytes() != files[name].read_bytes()]:
        print(f"kept, and not as they are shipped: {', '.join(changed)}")
    print(NEXT.format(cd="" if folder.resolve() == Path.cwd() else f"  cd {folder}\n"), end="")
    return 0


def count(files: Sequence[str]) -> str:
    """`1 file`, `2 files`, …"""
    return f"{len(files)} file{'' if len(files) == 1 else 's'}"


def layout() -> dict[str, Path]:
    """The files of a workspace by their path in it: those of its own, then configurations and launchers."""
    parts = {"workspace": Path(), "configs": Path("configs"), "launch": Path("launch")}
    found = {}
    for part, place in parts.items():
        for file in sorted(shipped(part).rglob("*")):
            if file.is_file() and not {"__pycache__", ".pytest_cache", "runs"} & set(file.parts):
                found[(place / file.relative_to(shipped(part))).as_posix()] = file
    return found


def refuse_obstacles(folder: Path, names: Iterable[str]) -> None:
    """Refuses a folder in which a file stands where a folder is to be, or the reverse, before anything is written.

    Raises:
        ConfigError: naming the first.
    """
    for name in names:
        for place in reversed([folder / name, *(folder / name).parents]):
            wanted = "file" if place == folder / name else "folder"
            if (place.exists() or place.is_symlink()) and place.is_dir() != (wanted == "folder"):
                raise ConfigError(f"init: {place} is no {wanted}; move it, or name another folder")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "init",
        shows="what it takes",
        description="Lays out a folder to work in: configs/ (the demo, an experiment per kind of data, overlays), "
        "models/mine.py and datamodules/mine.py with configs/mine.yaml, which run and are yours to change, "
        "test_mine.py, launch/ and a README. Files that are there are kept as they are.",
    )
    parser.add_argument(
        "directory", nargs="?", default=".", help="the folder, made where it is missing; by default the one you are in"
    )
    return parser
