"""What a lower precision costs: scores on held-out samples, before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from lightning_base.errors import ConfigError
from lightning_base.exporting import onnx
from lightning_base.exporting.members import Member
from lightning_base.exporting.precision import Precision, quantized_nodes, reduce
from lightning_base.runtime.answers import Outputs
from lightning_base.runtime.graphs import Graph
from lightning_base.runtime.inputs import Encoded, Inputs
from lightning_base.samples.nested import Nested, joined
from lightning_base.samples.payload import spread
from lightning_base.training import evaluate
from lightning_base.training.evaluate import Predictions

MOST = 2000  # held-out samples, over all members
CALIBRATED = 200  # training samples
BATCH = 32


@dataclass(frozen=True)
class Loss:
    """Scores before and after.

    Attributes:
        precision: that was measured.
        n: held-out samples, each answered by a member that has not seen it; by one a repeat.
        metrics: by name, before and after.
        lead: the metric that is shown first.
    """

    precision: str
    n: int
    metrics: dict[str, dict[str, float]]
    lead: str

    def __str__(self) -> str:
        said = [f"{name} {one['before']:.4f} → {one['after']:.4f}" for name, one in list(self.metrics.items())[:4]]
        return f"{self.precision}, on {self.n:,} held-out samples: {', '.join(said)}"

    def as_json(self) -> dict[str, Any]:
        """As the manifest keeps it."""
        return {"precision": self.precision, "n": self.n, "lead": self.lead, "metrics": self.metrics}


def batches(inputs: Inputs, items: Sequence[Encoded], graph: Graph) -> list[dict[str, Any]]:
    """What a graph is fed, so many at a time."""
    fed = (inputs.feeds(items[i : i + BATCH]) for i in range(0, len(items), BATCH))
    return [{name: one[name] for name in graph.inputs} for one in fed]


def calibrating(member: Member, inputs: Inputs, graph: Graph) -> list[dict[str, Any]]:
    """Some of a member's training samples as the graph takes them."""
    some = spread(member.data.rows("train"), CALIBRATED)
    return batches(inputs, onnx.items_of(member, inputs, some), graph)


def measured(members: Sequence[Member], precision: Precision, folder: Path) -> Loss:
    """The scores of each member's held-out samples, by its graph as it is and in a lower precision.

    An ensemble's own answers to them would be of models most of which have trained on them.

    Args:
        members: of the model.
        precision: that graphs are brought to.
        folder: to work in; what is written there is removed.

    Raises:
        ConfigError: where no samples were held out, or nothing in the graph is of such a precision.
    """
    share = max(MOST // len(members), 1)
    rows, before, after = list[Any](), list[Nested](), list[Nested]()
    for member in members:
        held = spread(member.rows, share)
        if not len(held):
            raise ConfigError(
                f"export: what {precision} costs is measured on held-out samples, and a refit has none; export a fold, "
                "or the cross-validation"
            )
        with TemporaryDirectory(dir=folder) as temporary:
            home = Path(temporary)
            onnx.write_preprocessing([member], home)
            inputs = onnx.read_inputs(home, {"kind": ""})
            items = onnx.items_of(member, inputs, held)
            onnx.write_graphs([member], inputs, items[:20] if len(items) > 1 else items * 2, home)
            path = home / "model.onnx"
            graph = Graph(path)
            before.append(_answers(graph, inputs, items))
            reduce(path, precision, calibrating(member, inputs, graph) if precision == "int8-static" else [])
            if not quantized_nodes(path):
                raise ConfigError(f"export: nothing in the network is brought to {precision}; leave --precision out")
            after.append(_answers(Graph(path), inputs, items))
        rows.append(held)
    task, pool, every = members[0].task, members[0].pool, np.concatenate(rows)
    scores = [evaluate.scores(task, Predictions(pool, every, joined(one))) for one in (before, after)]
    metrics = {name: {"before": scores[0][name], "after": scores[1][name]} for name in scores[0]}
    return Loss(precision, len(np.unique(every)), metrics, next(iter(metrics)))


def _answers(graph: Graph, inputs: Inputs, items: Sequence[Encoded]) -> Nested:
    parts = [_nested(graph.run(feeds)) for feeds in batches(inputs, items, graph)]
    return joined(parts)


def _nested(outputs: Outputs) -> Nested:
    found = {name: torch.from_numpy(np.asarray(value)) for name, value in outputs.items()}
    return found["pred"] if list(found) == ["pred"] else found
