"""What one process of a training has beside weights and optimizer: random states, metrics, the epoch's sums."""

import random
from typing import Any

import numpy as np
import torch
from torch import nn
from torchmetrics import Metric, MetricCollection

from lightning_base.distributed import tpu
from lightning_base.tasks.base import BaseModule


def capture(module: nn.Module) -> dict[str, Any]:
    """All of it, as tensors and plain values that torch.load takes with weights_only."""
    sums = {"sums": module.sums()} if isinstance(module, BaseModule) else {}
    device = {"xla": tpu.random_state()} if _is_xla(module) else {}
    return {"rng": rng_state(), "metrics": metric_states(module), **sums, **device}


def restore(module: nn.Module, state: dict[str, Any]) -> None:
    """Takes up what `capture` gave."""
    set_metric_states(module, state["metrics"])
    if isinstance(module, BaseModule):
        module.set_sums(state["sums"])
    set_rng_state(state["rng"])
    if "xla" in state and _is_xla(module):
        tpu.set_random_state(state["xla"])


def _is_xla(module: nn.Module) -> bool:
    return any(weight.device.type == "xla" for weight in module.parameters())


def rng_state() -> dict[str, Any]:
    """The state of the generators that `seed_all` seeds, as tensors and numbers."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    version, numbers, gauss = random.getstate()
    state = {
        "torch": torch.get_rng_state(),
        "numpy": (str(kind), torch.from_numpy(np.array(keys, dtype=np.uint32).view(np.int32)), *map(float, rest)),
        "python": (version, torch.from_numpy(np.array(numbers, dtype=np.uint32).view(np.int32)), gauss),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Takes the generators back to a state that `rng_state` gave."""
    kind, keys, position, has_gauss, gauss = state["numpy"]
    numbers = keys.cpu().numpy().view(np.uint32)
    np.random.set_state((kind, numbers, int(position), int(has_gauss), gauss))  # noqa: NPY002
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers.cpu().numpy().view(np.uint32).tolist()), gauss))
    torch.set_rng_state(state["torch"].cpu())
    if torch.cuda.is_available():
        devices = state.get("cuda", [])[: torch.cuda.device_count()]
        torch.cuda.set_rng_state_all([device.cpu() for device in devices])


def metric_states(module: nn.Module) -> dict[str, dict[str, Any]]:
    """What the module's metrics have gathered so far, by name; those that have nothing are left out."""
    for part in module.modules():
        if isinstance(part, MetricCollection):
            part.values(copy_state=False)  # members of a compute group take their leader's state
    return {
        name: {"updates": part.update_count, "state": dict(part.metric_state)}
        for name, part in module.named_modules()
        if isinstance(part, Metric) and part.update_called
    }


def set_metric_states(module: nn.Module, states: dict[str, dict[str, Any]]) -> None:
    """Gives the module's metrics back what `metric_states` found."""
    for name, part in module.named_modules():
        if isinstance(part, Metric) and name in states:
            for key, value in states[name]["state"].items():
                moved = [v.to(part.device) for v in value] if isinstance(value, list) else value.to(part.device)
                setattr(part, key, moved)
            part._update_count = states[name]["updates"]  # torchmetrics keeps it in no state_dict
