"""Files and folders that a configuration names and that are not there: told before torch is imported."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_base.errors import ConfigError, near_file, suggest
from lightning_base.tools.places import POOL
from lightning_base.training.known_names import options

READ = {  # by verb: the options whose files it surely reads
    **dict.fromkeys(("prepare", "audit", "fit", "crossval", "validate"), ("pool", "labels")),
    "test": ("test_path",),
    "predict": ("predict",),
}
EMBEDDED = ("digits", "breast_cancer", "wine", "iris", "diabetes")  # data sets that Arrays takes by name
NOTHING = (None, "", "null", "~")


def demand_data(verb: str, path: str, values: Mapping[str, Any]) -> None:
    """Refuses a file or folder of the data that a verb reads, and that is not there.

    Args:
        verb: what is done.
        path: the data module's dotted name.
        values: its options.

    Raises:
        ConfigError: naming the option.
    """
    pool = POOL.get(path.removeprefix("lightning_base."))
    fetched = values.get("fetch") not in (None, (), [], "[]", "null") or str(values.get("download")).lower() == "true"
    if pool is None or fetched or verb not in READ:
        return
    for name in (pool if one == "pool" else one for one in READ[verb]):
        value = values.get(name)
        if value in NOTHING or not isinstance(value, str) or (name == "source" and value in EMBEDDED):
            continue
        if not Path(value).exists():
            mend = near_file(value) or "; mend the path, or name in data.fetch what to fetch"
            if name == "source":
                known = f", and no embedded data set of that name ({', '.join(EMBEDDED)})"
                mend = known + (suggest(value, EMBEDDED) or mend)
            raise ConfigError(f"data.{name}: no file or folder {value}{mend}")


def demand_checkpoint(verb: str, words: Sequence[str]) -> None:
    """Refuses a checkpoint or a directory that is to be read and is not there.

    Raises:
        ConfigError: naming the option.
    """
    for name, value in options(words):
        if name == "ckpt_path" and value not in NOTHING and not Path(value).exists():
            example = "runs/NAME/fit/version_0/checkpoints/last.ckpt" if verb == "fit" else "runs/NAME/crossval"
            mend = near_file(value) or f"; give a run's, as {example}"
            raise ConfigError(f"--ckpt_path: no file or directory {value}{mend}")
