"""Recurrent layers as one operator each, whose length torch's exporter would take for fixed.

torch.export decomposes RNN, GRU and LSTM while it traces, and the length that it traces with stays in the graph
(pytorch/pytorch#115092, #191855). Here each layer and direction is a custom operator with a shape of its own, which
becomes ONNX's operator of that name.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@torch.library.custom_op("lightning_base::recurrent", mutates_args=())
def recurrent(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, r: Tensor, bw: Tensor, br: Tensor, kind: str
) -> tuple[Tensor, Tensor, Tensor]:
    """States (T, B, H) of inputs (T, B, D), and the last ones (1, B, H); c and its last are of LSTM alone.

    Args:
        x: the inputs.
        h, c: (1, B, H), what it begins with.
        w, r, bw, br: torch's weights: (G · H, D), (G · H, H), (G · H,) and (G · H,).
        kind: "RNN" (tanh), "GRU" or "LSTM".
    """
    weights = [w, r, bw, br]
    if kind == "LSTM":
        y, last, cells = torch.lstm(x, [h, c], weights, True, 1, 0.0, False, False, False)
        return y, last, cells
    function = torch.gru if kind == "GRU" else torch.rnn_tanh
    y, last = function(x, h, weights, True, 1, 0.0, False, False, False)
    return y, last, c.clone()


@recurrent.register_fake
def _(x: Tensor, h: Tensor, c: Tensor, w: Tensor, r: Tensor, bw: Tensor, br: Tensor, kind: str) -> Any:
    hidden = r.shape[1]
    return x.new_empty(x.shape[0], x.shape[1], hidden), torch.empty_like(h), torch.empty_like(c)


def translation() -> dict[Any, Callable[..., Any]]:
    """What torch's exporter writes for the operator."""
    from onnxscript import opset20 as op

    def written(x: Any, h: Any, c: Any, w: Any, r: Any, bw: Any, br: Any, kind: str) -> Any:
        gates = GATES[kind]
        order = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}[kind]  # torch has r z n, and i f g o

        def ordered(value: Any) -> Any:
            if gates == 1:
                return value
            parts = op.Split(value, num_outputs=gates, axis=0)
            return op.Concat(*(parts[i] for i in order), axis=0)

        axis: Any = op.Constant(value_ints=[0])
        weights, again = op.Unsqueeze(ordered(w), axis), op.Unsqueeze(ordered(r), axis)
        bias = op.Unsqueeze(op.Concat(ordered(bw), ordered(br), axis=0), axis)
        hidden = r.shape[1]
        if kind == "LSTM":
            y, last, cells = op.LSTM(x, weights, again, bias, None, h, c, hidden_size=hidden)
        elif kind == "GRU":
            y, last = op.GRU(x, weights, again, bias, None, h, hidden_size=hidden, linear_before_reset=1)
            cells = op.Identity(c)
        else:
            y, last = op.RNN(x, weights, again, bias, None, h, hidden_size=hidden)
            cells = op.Identity(c)
        ways: Any = op.Constant(value_ints=[1])
        return op.Squeeze(y, ways), last, cells

    return {torch.ops.lightning_base.recurrent.default: written}


class Recurrent(nn.Module):
    """A layer of torch's as such operators; called as it is.

    Args:
        layer: RNN (tanh), GRU or LSTM, in evaluation mode; without projections.

    Raises:
        ValueError: for one of another kind.
    """

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.kind = {"RNN_TANH": "RNN"}.get(layer.mode, layer.mode)
        if self.kind not in GATES or layer.proj_size:
            raise ValueError(f"{type(layer).__name__} with {layer.mode} or projections has no operator of ONNX's")
        self.layer = layer

    def forward(self, x: Tensor, hx: Any = None) -> tuple[Tensor, Any]:
        """As the layer's own, of tensors (B, T, D) or (T, B, D).

        Raises:
            ValueError: for packed sequences, which no graph has.
        """
        if not isinstance(x, Tensor) or x.ndim != 3:
            raise ValueError("packed or single sequences cannot be exported; pad them, and mask what is behind an end")
        layer, ways = self.layer, 2 if self.layer.bidirectional else 1
        x = x.transpose(0, 1) if layer.batch_first else x
        zeros = x.new_zeros(layer.num_layers * ways, x.shape[1], layer.hidden_size)
        h, c = hx if isinstance(hx, tuple) else (zeros if hx is None else hx, zeros)
        last_h, last_c = list[Tensor](), list[Tensor]()
        for depth in range(layer.num_layers):
            found = []
            for way in range(ways):
                at, name = depth * ways + way, f"l{depth}{'_reverse' if way else ''}"
                w, r = getattr(layer, f"weight_ih_{name}"), getattr(layer, f"weight_hh_{name}")
                none = w.new_zeros(w.shape[0])
                bw = getattr(layer, f"bias_ih_{name}") if layer.bias else none
                br = getattr(layer, f"bias_hh_{name}") if layer.bias else none
                given = x.flip(0) if way else x
                y, one_h, one_c = recurrent(given, h[at : at + 1], c[at : at + 1], w, r, bw, br, self.kind)
                found.append(y.flip(0) if way else y)
                last_h.append(one_h)
                last_c.append(one_c)
            x = torch.cat(found, dim=2) if ways > 1 else found[0]
        out = x.transpose(0, 1) if layer.batch_first else x
        states = torch.cat(last_h), torch.cat(last_c)
        return out, states if self.kind == "LSTM" else states[0]


def with_operators(module: nn.Module) -> Callable[[], None]:
    """Puts `Recurrent` in the place of a module's recurrent layers; gives what puts them back."""
    changed: list[tuple[nn.Module, str, nn.Module]] = []
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.RNNBase) and not isinstance(parent, Recurrent):
                changed.append((parent, name, child))
                setattr(parent, name, Recurrent(child))

    def back() -> None:
        for parent, name, child in changed:
            setattr(parent, name, child)

    return back
