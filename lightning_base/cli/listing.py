"""The verb list: every network, task, data module, splitter, augmentation, configuration and overlay, a line each."""

import re
import shutil
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from lightning_base.cli.described import Described, table
from lightning_base.cli.own import is_ours, read
from lightning_base.errors import ConfigError, suggest
from lightning_base.tools.shipped import IMPORTED

SHOWN = {
    "tasks": "tasks",
    "networks": "networks",
    "data": "data modules",
    "splitters": "splitters",
    "augmentations": "augmentations",
    "configs": "configurations",
    "overlays": "overlays",
}
ABSTRACT = ("BaseModule", "BaseDataModule", "TableSplitter", "Augmentation", "Preprocess")
MORE = {
    "splitters": "  and any of scikit-learn's, such as sklearn.model_selection.StratifiedGroupKFold",
    "networks": "  and any nn.Module, by its dotted name: your own files in models/ stand first",
}


def main(arguments: Sequence[str]) -> None:
    """Prints the kinds that the arguments name; all without arguments.

    Raises:
        ConfigError: for a kind that there is not.
    """
    if arguments[:1] and arguments[0] in ("-h", "--help"):
        print(f"usage: lightning-base list [{'|'.join(SHOWN)}]\n\nLists what YAML can name, a line each.")
        return
    for kind in arguments:
        if kind not in SHOWN:
            raise ConfigError(f"list {kind!r}: give {', '.join(SHOWN)}{suggest(kind, SHOWN)}")
    print("\n\n".join(listing(kind) for kind in arguments or SHOWN))


def listing(kind: str) -> str:
    """What there is of a kind, under its title."""
    if kind in ("configs", "overlays"):
        lines = table_of([(str(path), about(path)) for path in files(kind)])
        lines = lines or ["  none in the working directory's configs/; `lightning-base init .` lays some out"]
    else:
        lines = table_of([(one.path, one.about) for one in classes(kind)])
    return "\n".join([f"{SHOWN[kind]}:", *lines, *([MORE[kind]] if kind in MORE else [])])


def classes(kind: str) -> list[Described]:
    """The classes of a kind: the working directory's own, then ours that they do not stand before."""
    own, taken = _own()
    ours = [
        one
        for path, one in table().classes.items()
        if path.rpartition(".")[0] not in taken and path.rpartition(".")[2] not in ABSTRACT
    ]
    return [one for one in (*own, *ours) if one.kind == kind and not one.part]


def _own() -> tuple[list[Described], set[str]]:
    """What the working directory's models/ and datamodules/ hold that is not ours, and the names of their modules."""
    found, modules = [], set()
    for folder in IMPORTED:
        for path in sorted(Path(folder).glob("[!_]*.py")):
            module = f"{folder}.{path.stem}"
            if not is_ours(path, module):
                modules.add(module)
                found += read(path, module).described()
    return found, modules


def files(kind: str) -> list[Path]:
    """The working directory's configurations, or the overlays in the folders beside them."""
    return sorted(Path("configs").glob("*.yaml" if kind == "configs" else "*/*.yaml"))


def about(path: Path) -> str:
    """The first sentence of the comment that a file begins with; "" where it begins with none."""
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = takewhile(lambda line: line.startswith("#"), text.splitlines())
    return re.split(r"(?<=\.) (?=[A-Z])", " ".join(line.lstrip("# ") for line in lines), maxsplit=1)[0]


def table_of(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Names and explanations; on a terminal as much of each as one line holds."""
    longest = max((len(name) for name, _ in rows), default=0)
    lines = [f"  {name:<{longest}}  {text}".rstrip() for name, text in rows]
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000
    return [line if len(line) <= columns else f"{line[: columns - 1].rstrip()}…" for line in lines]
