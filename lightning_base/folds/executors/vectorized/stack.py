"""Tasks of one architecture trained as one: weights stacked along a new first axis, losses by torch.func.vmap."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils.flop_counter import FlopCounterMode

from lightning_base.samples.batch import Batch
from lightning_base.tasks.base import BaseModule

# optimizers whose update of a weight depends on no other weight, so that a stack of weights is updated as each alone
ELEMENTWISE = (
    torch.optim.SGD,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.RMSprop,
    torch.optim.Adagrad,
    torch.optim.Adadelta,
    torch.optim.Adamax,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.Rprop,
    torch.optim.ASGD,
)
Fields = Mapping[str, Tensor]  # those of a Batch that are tensors, each (K, B, ...) or, for one task, (B, ...)
Part = tuple[Sequence[int], Fields]  # which of the tasks, and their batches of one size


def tensors(batch: Batch) -> Fields:
    """The batch's fields that are tensors: what a stack takes."""
    return {name: field for name, field in batch._asdict().items() if isinstance(field, Tensor)}


class Masks:
    """The dropout masks of a step, in the order in which the network asks for them."""

    def __init__(self) -> None:
        self.given: Iterator[Tensor] = iter(())
        self.asked: list[tuple[float, Tensor]] | None = None  # while a step is only looked at: rate, and one to draw in


class Masked(nn.Module):
    """Stands in for nn.Dropout: x · mask, where a mask is drawn as nn.Dropout draws it, and beforehand.

    Args:
        p: share of values that are 0.
        masks: where they come from.
    """

    def __init__(self, p: float, masks: Masks) -> None:
        super().__init__()
        self.p, self.masks = p, masks

    def forward(self, x: Tensor) -> Tensor:
        """(...) as they are given, some of them 0."""
        if not self.training or self.p == 0:
            return x
        if self.p == 1:  # nn.Dropout draws nothing then
            return x * torch.zeros((), device=x.device)
        if self.masks.asked is not None:
            self.masks.asked.append((self.p, torch.empty_like(x)))
            return x
        return x * next(self.masks.given)


class Step(nn.Module):
    """A task's training step as a module: what is minimised (), and the loss without penalties ()."""

    def __init__(self, task: BaseModule) -> None:
        super().__init__()
        self.task = task

    def forward(self, fields: Fields) -> tuple[Tensor, Tensor]:
        """What is minimised () and the loss without penalties (), for a batch's fields (B, ...)."""
        batch: dict[str, Any] = {"y": None, **fields}
        loss = self.task.step(Batch(**batch)).loss
        return loss + self.task.penalty() if self.task.penalized else loss, loss.detach()


class Stack:
    """K tasks that take their steps together.

    Each slice of a stacked gradient is that task's own. Tasks whose batches differ in size are computed size by size,
    so that every one's loss stays the mean over its own batch.

    Args:
        tasks: of one architecture; they are not changed before `give_back`.
        clip_val: bound on each task's gradient; None or 0 for none.
        clip_by: its norm over all weights, or each value's size.
        device: where to compute.
    """

    def __init__(
        self,
        tasks: Sequence[BaseModule],
        clip_val: float | None = None,
        clip_by: Literal["norm", "value"] = "norm",
        device: torch.device | None = None,
    ) -> None:
        self.tasks, self.clip_val, self.clip_by = tasks, clip_val, clip_by
        self.device = device or torch.device("cpu")
        self.masks = Masks()
        self.template = Step(copy.deepcopy(tasks[0])).to(self.device)
        for module in list(self.template.modules()):
            for name, child in list(module.named_children()):
                if type(child) is nn.Dropout:
                    setattr(module, name, Masked(child.p, self.masks))
        weights = [dict(Step(task).named_parameters()) for task in tasks]
        buffers = [dict(Step(task).named_buffers()) for task in tasks]
        every = {name: torch.stack([w[name].detach() for w in weights]).to(self.device) for name in weights[0]}
        self.weights = {name: every[name].requires_grad_() for name, w in weights[0].items() if w.requires_grad}
        self.frozen = {name: every[name] for name in every if name not in self.weights}
        self.buffers = {name: torch.stack([b[name] for b in buffers]).to(self.device) for name in buffers[0]}
        self.used: list[str] = []  # weights that the loss depends on
        self.generators = [torch.Generator() for _ in tasks]
        self._asked: dict[int, list[tuple[float, Tensor]]] = {}  # by batch size
        self._work: dict[int, int] = {}  # likewise
        self.optimizer = tasks[0].make_optimizer(list(self.weights.values()))
        self.sums = torch.zeros(len(tasks), device=self.device)  # of losses since `begin`, each times its samples
        self.counts = torch.zeros(len(tasks), device=self.device)
        self.finite = torch.zeros(len(tasks), dtype=torch.int64, device=self.device)  # steps before a loss was none

    @property
    def drops(self) -> bool:
        """Whether dropout is at work."""
        return any(isinstance(module, Masked) and 0 < module.p < 1 for module in self.template.modules())

    def begin(self, seeds: Sequence[int]) -> None:
        """Begins an epoch, each task's dropout drawn from its seed."""
        for generator, seed in zip(self.generators, seeds, strict=True):
            generator.manual_seed(seed)
        self.sums.zero_()
        self.counts.zero_()
        self.finite.zero_()

    def step(self, parts: Sequence[Part]) -> None:
        """One optimizer step of every task.

        Args:
            parts: the tasks' batches by size; each task in one of them.
        """
        self.optimizer.zero_grad()
        for chosen, fields in parts:
            grads, (_, loss) = self.gradients(chosen, fields)
            size, at = fields["x"].shape[1], torch.tensor(chosen, device=self.device)
            for name in self.used:
                weight = self.weights[name]
                if len(parts) == 1:
                    weight.grad = grads[name]
                else:
                    weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
                    weight.grad.index_copy_(0, at, grads[name])
            self.sums.index_add_(0, at, loss * size)
            self.counts[at] += size
        self.finite += self.sums.isfinite()
        if self.clip_val:
            self.clip()
        self.optimizer.step()

    def gradients(self, chosen: Sequence[int], fields: Fields) -> tuple[Fields, tuple[Tensor, Tensor]]:
        """Some tasks' gradients (K', ...) by name, what is minimised (K',), and the losses without penalties (K',).

        Args:
            chosen: the tasks.
            fields: their batches, of one size.
        """
        size = self._look(fields)
        state = [self.weights, self.frozen, self.buffers]
        if len(chosen) < len(self.tasks):
            at = torch.tensor(chosen, device=self.device)
            state = [{name: tensor.index_select(0, at) for name, tensor in part.items()} for part in state]

        def minimised(weights: Fields, rest: Fields, masks: Sequence[Tensor], fields: Fields) -> Any:
            self.masks.given = iter(masks)
            total, loss = functional_call(self.template, (dict(weights), dict(rest)), (fields,))
            return total, (total.detach(), loss)

        found: tuple[Fields, tuple[Tensor, Tensor]] = vmap(grad(minimised, has_aux=True))(
            state[0], {**state[1], **state[2]}, self.draw(chosen, size), fields
        )
        return found

    def work(self, parts: Sequence[Part]) -> int:
        """Floating-point operations of a step, those of matrix products and convolutions."""
        return sum(len(chosen) * self._work[self._look(fields)] for chosen, fields in parts)

    def _look(self, fields: Fields) -> int:
        """Takes a step of one task apart, once per batch size, which it returns.

        Found are the masks that it asks for, the weights that its loss depends on, and how much it computes.
        """
        size = fields["x"].shape[1]
        if size in self._asked:
            return size
        weights = dict(self.template.named_parameters())
        self.masks.asked = []
        with FlopCounterMode(display=False) as counter:
            total, _ = self.template({name: field[0] for name, field in fields.items()})
            found = torch.autograd.grad(total, [weights[name] for name in self.weights], allow_unused=True)
        self._asked[size], self.masks.asked = self.masks.asked, None
        self._work[size] = counter.get_total_flops()
        # an optimizer leaves a weight without gradient alone, where one with a gradient of 0 decays
        self.used = [name for name, gradient in zip(self.weights, found, strict=True) if gradient is not None]
        return size

    def draw(self, chosen: Sequence[int], size: int) -> list[Tensor]:
        """The masks (K', B, ...) of a step: what nn.Dropout draws on a CPU, call by call, from each task's generator.

        It fills an empty tensor like its input with Bernoulli(1 - p), and divides by 1 - p (aten/native/Dropout.cpp).
        """
        masks = []
        for p, like in self._asked[size]:
            mask = torch.empty((len(chosen), *like.shape), dtype=like.dtype)
            for k, task in enumerate(chosen):
                mask[k] = like.bernoulli_(1 - p, generator=self.generators[task])
            masks.append(mask.div_(1 - p))
        return masks

    def clip(self) -> None:
        """Clips each task's gradient as torch.nn.utils.clip_grad_norm_ and clip_grad_value_ do."""
        assert self.clip_val is not None
        grads = [w.grad for w in self.weights.values() if w.grad is not None]
        if self.clip_by == "value":
            for each in grads:
                each.clamp_(-self.clip_val, self.clip_val)
            return
        norms = torch.stack([each.reshape(len(each), -1).norm(dim=1) for each in grads]).norm(dim=0)  # (K,)
        scale = (self.clip_val / (norms + 1e-6)).clamp(max=1)
        for each in grads:
            each.mul_(scale.reshape(-1, *(1 for _ in each.shape[1:])))

    @property
    def mean_losses(self) -> list[float]:
        """Each task's mean loss over the samples since `begin`."""
        means: list[float] = (self.sums / self.counts).tolist()
        return means

    def diverged(self) -> dict[int, int]:
        """The tasks whose loss was NaN or infinite since `begin`, each with the step from 0."""
        bad = (~self.sums.isfinite()).nonzero().flatten().tolist()
        return {k: int(self.finite[k]) for k in bad}

    def give_back(self) -> None:
        """Puts the weights into the tasks."""
        with torch.no_grad():
            for k, task in enumerate(self.tasks):
                for name, weight in Step(task).named_parameters():
                    if name in self.weights:
                        weight.copy_(self.weights[name][k])
