"""Image files whose mode, size or type tells the class: what was collected in two ways is told apart by the way."""

import numpy as np
import pandas as pd

from lightning_base.auditing.report import Leak
from lightning_base.auditing.suspicions.evidence import areas, telling_value
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples

AREA = 0.985


def telling_headers(pool: Samples, train: Rows) -> list[Leak]:
    """At most one suspicion for each of mode, size and type of the files of a training role (N,)."""
    if pool.files is None or pool.target is None or not pool.classes:
        return []
    files, y = pool.files.iloc[train], pool.target[train]
    size = files["width"].astype(str) + "x" + files["height"].astype(str)
    found = []
    for what, values in (("mode", files["mode"]), ("size", size), ("type", files["type"])):
        said = _told(what, values, y, pool.classes)
        if said is None and what == "size":
            said = _ordered(files, y, pool.classes)
        if said is not None:
            mend = "make the files of all classes alike, or make sure that new ones will differ likewise"
            found.append(Leak("files", None, f"{said}; {mend}", level="suspicious"))
    return found


def _told(
    what: str, values: "pd.Series[str]", y: "np.typing.NDArray[np.int64]", classes: tuple[str, ...]
) -> str | None:
    """What is said of a value that only one class has."""
    codes, names = pd.factorize(values, sort=True)
    telling = telling_value(codes.astype(np.int64), y)
    if telling is None:
        return None
    right = telling.size - telling.others
    name, label = names[telling.value], classes[telling.label]
    return f"files of {what} {name!r} are of class {label!r} ({right} of {telling.size} in training)"


def _ordered(files: pd.DataFrame, y: "np.typing.NDArray[np.int64]", classes: tuple[str, ...]) -> str | None:
    """What is said where width, height, their product or ratio tells one class from all others."""
    width, height = (files[key].to_numpy(dtype=np.float64) for key in ("width", "height"))
    for what, values in (
        ("width", width),
        ("height", height),
        ("number of pixels", width * height),
        ("ratio of sides", width / np.maximum(height, 1)),
    ):
        for label, name in enumerate(classes):
            mine = (y == label).astype(np.int64)
            if min(mine.sum(), len(mine) - mine.sum()) < 20:
                continue
            if (area := areas(values, mine)[0, 1]) >= AREA:
                return f"the {what} of files tells class {name!r} from the others (AUC {area:.4f} in training)"
    return None
