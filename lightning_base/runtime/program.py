"""Programs: models that torch runs, of torch.export or compiled by AOTInductor."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .errors import ExportError

NAMES = ".names.json"  # beside a program, its inputs and outputs
COMPILED = ".aoti.pt2"


class Program:
    """A program that is loaded; called as `graphs.Graph` is.

    A compiled one runs code of its own: load only what you have exported, or have from whom you trust.

    Args:
        path: of the .pt2 file.
        threads: that torch takes in this process; None leaves it.

    Raises:
        ExportError: where torch does not take the file.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        names = json.loads(path.with_name(path.name + NAMES).read_text(encoding="utf-8"))
        self.inputs, self.outputs = list(names["inputs"]), list(names["outputs"])
        try:
            if path.name.endswith(COMPILED):
                self._run: Any = torch._inductor.aoti_load_package(str(path))
            else:
                from . import recurrent  # noqa: F401  # operators that programs may have

                self._run = torch.export.load(str(path)).module()
        except Exception as error:  # torch's kinds have no common base
            raise ExportError(f"{path}: torch does not take it ({' '.join(str(error).split())[:200]})") from error

    def run(
        self, feeds: Mapping[str, npt.NDArray[Any]], only: Sequence[str] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """The outputs by name, as NumPy arrays."""
        given = [torch.from_numpy(np.ascontiguousarray(feeds[name])) for name in self.inputs]
        with torch.no_grad():
            found = self._run(*given)
        values = found if isinstance(found, tuple | list) else (found,)
        every = {name: value.numpy() for name, value in zip(self.outputs, values, strict=True)}
        return every if only is None else {name: every[name] for name in only}
