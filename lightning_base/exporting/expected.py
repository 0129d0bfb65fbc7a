"""A run's own answers, in the form that an exported model gives them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from lightning_base.errors import DataError
from lightning_base.exporting.members import Member
from lightning_base.runtime.answers import answers_of
from lightning_base.runtime.errors import InputError
from lightning_base.runtime.inputs import Encoded
from lightning_base.samples.nested import Nested, stacked
from lightning_base.tasks.sums import texts_of


def expected_answers(
    members: Sequence[Member], answer: Mapping[str, Any], items: Sequence[Encoded]
) -> list[dict[str, Any]]:
    """The answers to samples, from the predictions that `predict` gives of them.

    Raises:
        DataError: where the run itself predicts what is no finite number.
    """
    preds: Nested = members[0].predictions.preds
    if len(members) > 1:
        preds = members[0].task.combine(stacked([one.predictions.preds for one in members]))
    if answer["kind"] in ("translation", "language_model"):
        return [{"pred": text} for text in texts_of(preds["pred"])]
    outputs = {"pred": preds} if isinstance(preds, Tensor) else dict(preds)
    arrays = {name: np.asarray(value.numpy()) for name, value in outputs.items()}
    try:
        return answers_of(answer, arrays, [item.size for item in items])
    except InputError as error:
        raise DataError(
            f"export: of the samples that are compared, {error}; train it anew, or mend the data"
        ) from error
