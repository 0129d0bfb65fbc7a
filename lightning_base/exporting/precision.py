"""Graphs of less precision: half floats, and whole numbers of 8 bits with or without calibration."""

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lightning_base.errors import ConfigError, one_line
from lightning_base.exporting.graph import hushed

Precision: TypeAlias = Literal["float32", "float16", "int8", "int8-static"]
Feeds: TypeAlias = Sequence[Mapping[str, Any]]
QUANTIZED = ("Conv", "ConvTranspose", "MatMul", "Gemm")


class _Reader:
    """What onnxruntime calibrates with."""

    def __init__(self, feeds: Feeds) -> None:
        self.feeds: Iterator[Mapping[str, Any]] = iter(feeds)

    def get_next(self) -> Any:
        """A batch by the graph's inputs; None at the end."""
        return next(self.feeds, None)


def reduce(path: Path, precision: Precision, feeds: Feeds) -> None:
    """Rewrites a graph in a lower precision.

    Args:
        path: of the .onnx file, which is replaced.
        precision: "float16": weights and arithmetic of 16 bits, what goes in and out as it was; "int8": weights of
            matrices of 8 bits, activations quantised as they come; "int8-static": activations too, by the ranges that
            `feeds` gives, and convolutions.
        feeds: batches of training samples, to calibrate by.

    Raises:
        ConfigError: where onnxruntime cannot convert it.
    """
    made = path.with_name(f"{path.stem}.reduced.onnx")
    with hushed(), _importable():
        try:
            if precision == "float16":
                _half(path, made)
            else:
                _quantized(path, made, precision, feeds)
        except Exception as error:  # onnx and onnxruntime raise a dozen kinds
            told = one_line(error)[:300]
            raise ConfigError(f"export: {path.name} cannot be brought to {precision} ({told})") from error
    made.replace(path)
    path.with_name(f"{path.stem}.prepared.onnx").unlink(missing_ok=True)


@contextmanager
def _importable() -> Iterator[None]:
    """Lets onnxruntime's tools import each other by plain names, for which they expect their folder on the path."""
    found = importlib.util.find_spec("onnxruntime.transformers")
    assert found is not None
    before = list(sys.path)
    sys.path += list(found.submodule_search_locations or ())
    try:
        yield
    finally:
        sys.path[:] = before


def _half(path: Path, made: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    model = onnx.load(str(path))
    # spectra and far means would lose what they are taken for
    blocked = [*DEFAULT_OP_BLOCK_LIST, "STFT", "DFT", "Sub", "Log", "Cast", "RandomNormalLike"]
    onnx.save(convert_float_to_float16(model, keep_io_types=True, op_block_list=blocked), str(made))


def _quantized(path: Path, made: Path, precision: Precision, feeds: Feeds) -> None:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_dynamic,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_name(f"{path.stem}.prepared.onnx")
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    if precision == "int8":
        quantize_dynamic(str(prepared), str(made), op_types_to_quantize=["MatMul", "Gemm"], weight_type=QuantType.QInt8)
        return
    CalibrationDataReader.register(_Reader)  # an abstract class, of which any with `get_next` is one
    quantize_static(
        str(prepared),
        str(made),
        _Reader(feeds),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        op_types_to_quantize=list(QUANTIZED),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def quantized_nodes(path: Path) -> int:
    """How many of a graph's nodes compute with whole numbers of 8 bits, or half floats."""
    import onnx

    model = onnx.load(str(path))
    names = ("QLinear", "Integer", "Quantize")
    half = onnx.TensorProto.FLOAT16
    whole = sum(any(name in node.op_type for name in names) for node in model.graph.node)
    return whole + sum(int(one.data_type == half) for one in model.graph.initializer)
