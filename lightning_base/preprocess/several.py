"""Several: each of a sample's inputs preprocessed in a way of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lightning_base.errors import ConfigError, DataError
from lightning_base.preprocess.base import Preprocess, Unseen
from lightning_base.preprocess.spans import spans_in
from lightning_base.preprocess.tokenizer import Tokenizer
from lightning_base.samples.batch import Batch
from lightning_base.samples.feed import Feed
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples
from lightning_base.samples.several import Part
from lightning_base.samples.several import Several as Inputs
from lightning_base.samples.spans import PLACES
from lightning_base.samples.targets import Targets


class Several(Preprocess):
    """Preprocessing by the inputs' names, each fitted on the training role of its own input.

    Args:
        parts: one for each input of the samples.
        together: texts whose tokenizers have one vocabulary, found in all of them; the first's settings count for it.

    Raises:
        ConfigError: for a name there that has no tokenizer.
    """

    def __init__(self, parts: Mapping[str, Preprocess], together: Sequence[str] = ()) -> None:
        self.parts, self.together = dict(parts), [*together]
        sizes = {part.vocabulary for part in self.parts.values()} - {None}
        self.vocabulary = sizes.pop() if len(sizes) == 1 else None
        for name in self.together:
            if not isinstance(self.parts.get(name), Tokenizer):
                raise ConfigError(f"preprocess together: {name!r} has no Tokenizer; name inputs that have one")

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
            if name not in self.together:
                part.fit(samples.part(name), rows)
        if self.together:
            one, *others = (self.parts[name] for name in self.together)
            assert isinstance(one, Tokenizer)
            one.fit_several([samples.part(name) for name in self.together], rows)
            for other in others:
                other.load(one.state())
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
        parts = dict[str, Part]()
        for name, part in self.parts.items():
            for ending, made in part.recoded_parts(samples.part(name)).items():
                if name + ending in (self.parts if ending else ()):
                    raise DataError(f"{samples.origin}: its input {name + ending!r} is what {name!r} brings; rename it")
                parts[name + ending] = made
        return replace(samples, inputs=Inputs(parts), hashes=samples.content)

    def located(self, samples: Samples, found: Samples) -> Targets:
        """The samples' spans by tokens of the input that they are of."""
        assert samples.targets is not None
        name = samples.targets.names[0]
        part, places = self.parts[name], f"{name}{PLACES}"
        if not isinstance(part, Tokenizer):
            return part.located(samples.part(name), found)
        return spans_in(part, samples.part(name), found.parts[places].inputs if places in found.parts else None)

    def feeds(self, samples: Samples, fixed: bool = False) -> Feed | Mapping[str, Feed]:
        """By name how each input is gathered."""
        found = {}
        for name, part in self.parts.items():
            feed = part.feeds(samples.part(name), fixed)
            assert isinstance(feed, Feed)
            found[name] = feed
        assert isinstance(samples.inputs, Inputs)
        return found | {name: Feed(one.payload) for name, one in samples.inputs.parts.items() if name not in found}

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
