"""Graphs: ONNX models run by onnxruntime on the CPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from .errors import ExportError


class Graph:
    """A graph that is loaded; threads may run it at once.

    Args:
        path: of the .onnx file.
        threads: that one run takes; None for all cores.
        device: "cpu" or "cuda", the latter where onnxruntime was installed for it.

    Raises:
        ExportError: where onnxruntime does not take the file.
    """

    def __init__(self, path: Path, threads: int | None = None, device: str = "cpu") -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors alone
        if threads is not None:
            options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle servers stay idle
        providers = ["CUDAExecutionProvider", "CPUExecutionProvider"] if device == "cuda" else ["CPUExecutionProvider"]
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # a dozen kinds of its own, which have no common base
            raise ExportError(f"{path}: onnxruntime does not take it ({' '.join(str(error).split())[:200]})") from error
        self.inputs = [one.name for one in self.session.get_inputs()]
        self.outputs = [one.name for one in self.session.get_outputs()]

    def run(
        self, feeds: Mapping[str, npt.NDArray[Any]], only: Sequence[str] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """The outputs by name; what the graph does not take is left out of the feeds.

        Args:
            feeds: by input, (B, ...).
            only: the outputs that are wanted; all by default.
        """
        wanted = list(only or self.outputs)
        given = {name: np.ascontiguousarray(feeds[name]) for name in self.inputs}
        return dict(zip(wanted, self.session.run(wanted, given), strict=True))
