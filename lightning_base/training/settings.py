"""Settings told apart: those that predictions depend on, which checkpoints keep, and those that a run's results do."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lightning_base.data.pool import DIVIDING, NEITHER
from lightning_base.errors import ArtefactError, ConfigError
from lightning_base.tools.places import places
from lightning_base.tools.yaml_file import read_yaml

Use: TypeAlias = Literal["fit", "val", "test", "predict"]
Difference: TypeAlias = tuple[str, Any, Any]  # a key as the command line has it, what it was, and what it is now

MEND = "give another --name, or --overwrite true to delete what is there"
BEGIN_ANEW = f"put it back, or {MEND}"
# keys that change what is shown and nothing that is computed: a run may be continued with others
FREE_KEYS = (
    *("audit", "trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.default_root_dir"),
    "model.init_args.steps_per_execution",  # results are the same bit for bit
)
DATA = "data.init_args."  # what stands before an option of the data module in a saved configuration
SPLIT_KEY = f"{DATA}split"
MODEL = "model.init_args."
# of a task: they make weights, or make it fast
LEARNING = (
    *("optimizer", "scheduler", "compile", "channels_last"),
    *("steps_per_execution", "init", "init_from", "freeze", "unfreeze", "lr_scale"),
)
# where a run's first weights stand; which they are a hash tells
INITIAL, INITIAL_PLACE = "initial_weights", (f"{MODEL}init_from", f"{MODEL}init_from.path")
# of data modules: how samples are got at; which ones a fold has is told by its hash
REACHING = ("fetch", "labels", "predict", "pack", "download", "cache", "max_cache_size", "ids", "group")
TIMING = ("time", "time_end", "role", "split_columns", "known_after")
# how a file is written, or calls its columns: one that is to be predicted may be written otherwise
FORM = (
    *("target", "rating", "user", "item", "text", "separator", "header", "encoding", "na_values", "decimal"),
    *("thousands", "quote", "comment", "skip_rows", "true_values", "false_values", "sheet", "date_format"),
)


def read_saved(path: Path) -> dict[str, Any]:
    """The configuration that a run has saved.

    Raises:
        ArtefactError: where it is not there, or is none.
    """
    try:
        found = read_yaml(path)
    except ConfigError as error:
        raise ArtefactError(f"{path}: cannot be read ({error}); {BEGIN_ANEW}") from error
    if not found.keys() & {"data", "objects"}:
        raise ArtefactError(f"{path}: is no run's configuration; {BEGIN_ANEW}")
    return found


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


def told(key: str) -> str:
    """A key of a saved configuration as the command line has it."""
    return key.replace(".init_args", "")


def predicting(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a saved configuration that predictions may depend on, by dotted key; null ones are left out.

    They are the task and its network with their arguments, and how samples are read and preprocessed. Paths, sizes of
    batches, the optimizer, devices and callbacks are none; nor is what chooses samples, which hashes tell.

    Args:
        config: as `Experiment.dump` gives it.
    """
    data = config.get("data")
    free = {*DIVIDING, *NEITHER, *REACHING, *TIMING}
    free |= {*places(str(data.get("class_path")))} if isinstance(data, Mapping) else set()
    found = {}
    for key, value in flatten({part: config.get(part) for part in ("model", "data", "objects")}).items():
        if key.startswith("objects."):
            counts = key in ("objects.task.source", "objects.data.source")
        elif key.startswith(MODEL):
            counts = key.removeprefix(MODEL).partition(".")[0] not in LEARNING
        elif key.startswith(f"{DATA}clean."):
            counts = value == "fix" or key.startswith((f"{DATA}clean.ranges", f"{DATA}clean.iqr"))
        else:
            counts = key.removeprefix(DATA).partition(".")[0] not in free
        if counts and value is not None:
            found[key] = value
    return found


def differing(was: Mapping[str, Any], now: Mapping[str, Any], use: Use = "test") -> Iterator[Difference]:
    """Where two of `predicting` differ: classes first, since their arguments follow from them.

    Args:
        was: the settings that a checkpoint was trained with.
        now: those that a run has.
        use: what for; what is to be predicted may be written otherwise, and made by another function.
    """
    for key in sorted(was.keys() | now.keys(), key=lambda key: (not key.endswith("class_path"), key)):
        name = key.removeprefix(DATA).partition(".")[0]
        spared = (key.startswith(DATA) and name in FORM) or key == "objects.data.source"
        if was.get(key) != now.get(key) and not (use == "predict" and spared):
            yield told(key), was.get(key), now.get(key)


def is_place(was: Any, now: Any) -> bool:
    """Whether a value that has changed names another file or folder that is there, or what is fetched to one."""
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return all(a == b or is_place(a, b) for a, b in zip(was, now, strict=True))
    if isinstance(was, dict) and isinstance(now, dict) and was.keys() == now.keys():
        return all(a == now[name] or is_place(a, now[name]) for name, a in was.items())
    named = isinstance(was, str) and isinstance(now, str)
    return named and ("/" in was + now or bool(Path(now).suffix)) and Path(now).exists()


def identity(config: Mapping[str, Any]) -> str:
    """SHA-256 (64 hex digits) over all settings that a run's results depend on: what a folder may not change.

    The name, the split, which has a hash of its own, and where samples are read are left out, as are null ones.

    Args:
        config: as `Experiment.dump` gives it.
    """
    data = config.get("data")
    read = places(str(data.get("class_path"))) if isinstance(data, Mapping) else ()
    flat = flatten({key: value for key, value in config.items() if key != "name"})
    kept = {
        key: value
        for key, value in flat.items()
        if value is not None
        and key not in (*FREE_KEYS, *INITIAL_PLACE)
        and not key.startswith(SPLIT_KEY)
        and not (key.startswith(DATA) and key.removeprefix(DATA).partition(".")[0] in read)
        and not (key.startswith("objects.") and key.endswith((".call", ".unknown")))
    }
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()
