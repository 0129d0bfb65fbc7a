"""Several: each of a sample's inputs preprocessed in a way of its own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lightning_base.errors import DataError
from lightning_base.preprocess.base import Preprocess, Unseen
from lightning_base.samples.batch import Batch
from lightning_base.samples.feed import Feed
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples
from lightning_base.samples.several import Part
from lightning_base.samples.several import Several as Inputs


class Several(Preprocess):
    """Preprocessing by the inputs' names, each fitted on the training role of its own input.

    Args:
        parts: one for each input of the samples.
    """

    def __init__(self, parts: Mapping[str, Preprocess]) -> None:
        self.parts = dict(parts)

    @property
    def numeric_parts(self) -> dict[str, int | None]:
        """`numeric` of each input by name."""
        return {name: part.numeric for name, part in self.parts.items()}

    def fit(self, samples: Samples, rows: Rows) -> None:
        """Fits each on its input.

        Raises:
            DataError: where the samples have other inputs.
        """
        self._demand(samples)
        for name, part in self.parts.items():
            part.fit(samples.part(name), rows)
        self.fitted = True

    def _demand(self, samples: Samples) -> None:
        there = tuple(samples.inputs.parts) if isinstance(samples.inputs, Inputs) else ("one input",)
        if set(there) != set(self.parts):
            raise DataError(
                f"{samples.origin}: has {', '.join(there)} where the preprocessing is of {', '.join(self.parts)}; give "
                "one for each input, in make_preprocess"
            )

    def recoded(self, samples: Samples) -> Samples:
        """The samples with each input recoded, where its preprocessing does it as a whole."""
        self._demand(samples)
        assert isinstance(samples.inputs, Inputs)
        parts = {}
        for name, part in self.parts.items():
            one = part.recoded(samples.part(name))
            parts[name] = Part(one.inputs, one.features, one.white, one.schema)
        return replace(samples, inputs=Inputs(parts), hashes=samples.content)

    def feeds(self, samples: Samples, fixed: bool = False) -> Feed | Mapping[str, Feed]:
        """By name how each input is gathered."""
        found = {}
        for name, part in self.parts.items():
            feed = part.feeds(samples.part(name), fixed)
            assert isinstance(feed, Feed)
            found[name] = feed
        return found

    def apply(self, batch: Batch) -> Batch:
        """The batch with each input preprocessed."""
        for name, part in self.parts.items():
            batch = batch.having(name, part.apply(batch.part(name)))
        return batch

    def unseen(self, samples: Samples, rows: Rows, refuse: bool = True) -> dict[str, Unseen]:
        """By `<input>.<column>` the values that training has not seen."""
        found: dict[str, Unseen] = {}
        for name, part in self.parts.items():
            of_part = part.unseen(samples.part(name), rows, refuse)
            found |= {f"{name}.{column}": values for column, values in of_part.items()}
        return found

    def state(self) -> dict[str, Any]:
        """By name what was fitted."""
        return {name: part.state() for name, part in self.parts.items()}

    def load(self, state: dict[str, Any]) -> None:
        """Takes what `state` gave."""
        for name, part in self.parts.items():
            part.load(state[name])
        self.fitted = True
