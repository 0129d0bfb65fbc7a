"""A user's file: where in a paragraph the answer to a question stands; a task whose predictions are texts."""

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection

from lightning_base.data import Batch, Texts
from lightning_base.tasks import BaseModule, Output
from lightning_base.tasks.agreement import consensus
from lightning_base.tasks.answer_scores import answer_metrics


class Reader(nn.Module):
    def __init__(self, size: int, n: int) -> None:
        super().__init__()
        self.embed, self.ask, self.read = nn.Embedding(size, n, 0), nn.Linear(n, 2 * n), nn.GRU(n, n, batch_first=True)

    def forward(self, question: Tensor, context: Tensor) -> Tensor:
        asked = self.ask(self.embed(question).sum(dim=1)).unflatten(1, (2, -1))
        return (asked @ self.read(self.embed(context))[0].mT).masked_fill(context[:, None] == 0, -1e4)  # (B, 2, T)


class Answers(BaseModule):
    takes = ("spans",)

    def forward(self, x: dict[str, Tensor]) -> Texts:
        first, last = self.outputs(x).argmax(dim=2).unbind(dim=1)  # an end before the start is no answer
        return Texts.cut(x["context_text"], x["context_places"], first, last)

    def step(self, batch: Batch) -> Output:
        count, logits = (batch.y.places >= 0).sum(), self.outputs(batch.x)
        loss = F.cross_entropy(logits.flatten(0, 1), batch.y.places.flatten(), reduction="sum")
        return Output(loss / count.clamp(min=1), self(batch.x), batch.y, count)

    def metrics(self) -> MetricCollection:
        return answer_metrics()

    def combine(self, members: Texts) -> Texts:
        return Texts(*consensus(members, orders=6))
