"""Claims about formats and precisions: each answers as the run does, and what a lower precision costs is true."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import lightning_base as lb
from lightning_base.errors import ConfigError
from lightning_base.exporting.graph import dynamic, export
from lightning_base.runtime.graphs import Graph
from lightning_base.runtime.model import load
from models.cnn import CNN
from models.recurrent import GRU, LSTM, RNN
from tests.exporting.helpers import exported, trained, verified


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cross-validation of digits, three epochs long."""
    folder = tmp_path_factory.mktemp("digits")
    three = {"class_path": "sklearn.model_selection.StratifiedKFold", "init_args": {"n_splits": 3, "shuffle": True}}
    return trained(folder, "crossval", "digits_cnn", trainer__max_epochs=3, data__split=three)


def test_an_ensemble_is_one_graph_of_any_batch_and_the_mean_of_its_folds(run: Any, tmp_path: Path) -> None:
    whole = load(exported(run, samples=20))
    folds = [load(exported(Path(run.directory) / f"fold_{k}", out=tmp_path / str(k), samples=20)) for k in range(3)]
    x = np.random.default_rng(0).integers(0, 17, (5, 1, 8, 8)).tolist()
    found = whole.run([whole.read({"x": one}) for one in x])
    each = [[answer["prob"] for answer in fold.run([fold.read({"x": one}) for one in x])] for fold in folds]
    for i, answer in enumerate(found):
        mean = {name: np.mean([fold[i][name] for fold in each]) for name in answer["prob"]}
        assert answer["prob"] == pytest.approx(mean, abs=1e-9)
    assert list(whole.graphs) == ["model"]
    batch = onnx.load(str(whole.folder / "model.onnx")).graph.input[0].type.tensor_type.shape.dim[0]
    assert batch.dim_param


@pytest.mark.parametrize("format", ["torch", "compiled"])
def test_programs_of_torch_answer_as_the_graph_does(run: Any, tmp_path: Path, format: Any) -> None:
    if format == "compiled":
        pytest.importorskip("torch._inductor")
    folder = exported(Path(run.directory) / "fold_0", out=tmp_path / format, samples=20, format=format)
    graph = load(exported(Path(run.directory) / "fold_0", out=tmp_path / "onnx", samples=20))
    program = load(folder)
    x = np.random.default_rng(0).integers(0, 17, (3, 1, 8, 8)).tolist()
    one, other = (model.run([model.read({"x": row}) for row in x]) for model in (graph, program))
    for a, b in zip(one, other, strict=True):
        assert a["prob"] == pytest.approx(b["prob"], abs=1e-5)
    assert "torch" in (folder / "requirements.txt").read_text()


def test_weights_load_into_the_network_alone(run: Any, tmp_path: Path) -> None:
    folder = exported(run, out=tmp_path / "weights", format="safetensors")
    told = json.loads((folder / "manifest.json").read_text())["weights"]
    assert list(told) == ["fold_0.safetensors", "fold_1.safetensors", "fold_2.safetensors"]
    network = CNN(num_outputs=10, in_channels=1, widths=[32, 64], dropout=0.2)
    network.load_state_dict(load_file(folder / "fold_1.safetensors"))
    kept = torch.load(Path(run.directory) / "fold_1/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, kept[f"network.{name}"]) for name, value in network.state_dict().items())
    with pytest.raises(ValueError, match="weights alone"):
        load(folder)


@pytest.mark.parametrize("precision", ["float16", "int8", "int8-static"])
def test_what_a_lower_precision_costs_is_told_of_samples_that_were_held_out(
    run: Any, tmp_path: Path, precision: Any
) -> None:
    folder = exported(run, out=tmp_path / precision, samples=20, precision=precision)
    loss = json.loads((folder / "manifest.json").read_text())["loss"]
    assert loss["n"] == len(run.oof) == 1437  # each sample, by the fold that has not seen it
    assert loss["metrics"]["accuracy"]["before"] == pytest.approx(run.summary.metrics["accuracy"].score, abs=1e-6)
    assert loss["metrics"]["loss"]["before"] == pytest.approx(run.summary.metrics["loss"].score, abs=1e-4)
    assert loss["metrics"]["accuracy"]["after"] == pytest.approx(loss["metrics"]["accuracy"]["before"], abs=0.02)
    assert loss["metrics"]["loss"]["after"] != loss["metrics"]["loss"]["before"]
    assert f"| accuracy | {loss['metrics']['accuracy']['before']:.4f} |" in (folder / "card.md").read_text()
    assert verified(folder).returncode == 0
    kinds = {node.op_type for node in onnx.load(str(folder / "model.onnx")).graph.node}
    assert kinds & {"int8": {"MatMulInteger"}, "int8-static": {"QuantizeLinear"}, "float16": {"Cast"}}[precision]


def test_a_refit_has_nothing_to_measure_a_precision_by(run: Any, tmp_path: Path) -> None:
    again = lb.crossval(run.experiment, refit=True)
    folder = exported(Path(again.directory) / "refit", out=tmp_path / "refit", samples=20)
    assert "refit on the whole pool" in (folder / "card.md").read_text()
    with pytest.raises(ConfigError, match="a refit has none"):
        lb.export(Path(again.directory) / "refit", out=tmp_path / "low", samples=20, precision="int8")


@pytest.mark.parametrize(("kind", "depth", "pool"), [(RNN, 1, "mean"), (GRU, 2, "max"), (LSTM, 2, "last")])
def test_recurrent_layers_take_any_length(tmp_path: Path, kind: Any, depth: int, pool: Any) -> None:
    torch.manual_seed(0)
    network = kind(50, 3, dim=8, hidden=8, depth=depth, bidirectional=True, pool=pool).eval()

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"pred": self.network(given["x"])}

    given = {"x": torch.randint(1, 50, (2, 9))}
    export(Named().eval(), given, dynamic(given, ["x"]), ["pred"], tmp_path / "model.onnx")
    graph = Graph(tmp_path / "model.onnx")
    for shape in ((2, 9), (1, 1), (5, 30), (3, 2)):
        x = torch.randint(1, 50, shape)
        with torch.no_grad():
            expected = network(x).numpy()
        np.testing.assert_allclose(graph.run({"x": x.numpy()})["pred"], expected, atol=1e-5)
        padded = np.pad(x.numpy(), ((0, 0), (0, 4)))
        np.testing.assert_allclose(graph.run({"x": padded})["pred"], expected, atol=1e-5)
    assert isinstance(network.layers.ways[0][0], nn.RNNBase)  # the network is as it was
