"""An exported folder of a small network, written by hand: what serves and measures is tried on it without training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from lightning_base.runtime.folder import FORMAT, file_digest, version_of

WIDE = 16  # numbers of one input


def weights() -> npt.NDArray[np.float32]:
    """The network: one row of numbers."""
    return np.linspace(-1, 1, WIDE, dtype=np.float32)[:, None]


def write(folder: Path, name: str = "sums", wrong: bool = False, work: int = 0) -> Path:
    """Writes the folder.

    Args:
        folder: to write.
        name: of the model.
        wrong: whether the last example says an answer that the network does not give.
        work: how often a matrix of 512×512 is multiplied, too, whatever the batch: what makes batches worth it.
    """
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(graph(work))
    (folder / "preprocessing.json").write_text(
        json.dumps(
            {
                "inputs": {"x": {"kind": "array", "shape": [WIDE], "dtype": "float32"}},
                "members": [{"x": {"kind": "values"}}],
                "shared": ["x"],
            }
        )
    )
    drawn = np.random.default_rng(0).normal(size=(6, WIDE)).round(3)
    examples = [{"input": {"x": row.tolist()}, "answer": {"pred": float(row @ weights()[:, 0])}} for row in drawn]
    if wrong:
        examples[-1]["answer"]["pred"] += 5e-4 * max(1.0, abs(examples[-1]["answer"]["pred"]))
    (folder / "examples.json").write_text(json.dumps(examples))
    files = {path.name: file_digest(path) for path in folder.iterdir()}
    manifest: dict[str, Any] = {"format": FORMAT, "name": name, "version": "", "precision": "float32", "files": files}
    manifest |= {"answer": {"kind": "regression", "names": None}, "graphs": {"model": "model.onnx"}}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"version": version_of(manifest)}))
    return folder


def graph(work: int) -> bytes:
    """x (B, F) to pred (B,), by way of as much work as is asked for, the result of which is multiplied by zero."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Squeeze", ["y", "axes"], ["own"])]
    more = [numpy_helper.from_array(weights(), "w"), numpy_helper.from_array(np.array([1]), "axes")]
    last = "own"
    if work:
        square = np.full((512, 512), 1 / 512, dtype=np.float32)
        more += [numpy_helper.from_array(square, "square"), numpy_helper.from_array(np.float32(0), "zero")]
        nodes += [
            helper.make_node("ReduceMean", ["own"], ["mean"], keepdims=0),
            helper.make_node("Add", ["square", "mean"], ["m0"]),
            *(helper.make_node("MatMul", [f"m{i}", "square"], [f"m{i + 1}"]) for i in range(work)),
            helper.make_node("ReduceMean", [f"m{work}"], ["all"], keepdims=0),
            helper.make_node("Mul", ["all", "zero"], ["nothing"]),
            helper.make_node("Add", ["own", "nothing"], ["kept"]),
        ]
        last = "kept"
    nodes.append(helper.make_node("Identity", [last], ["pred"]))
    made = helper.make_graph(
        nodes,
        "sums",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", WIDE])],
        [helper.make_tensor_value_info("pred", TensorProto.FLOAT, ["B"])],
        more,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
