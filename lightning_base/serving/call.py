"""Call: what is known of a request while it is answered, for its line in the log and its metrics."""

from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

from starlette.types import Scope

KEY = "lightning_base.call"


@dataclass(slots=True)
class Call:
    """One request.

    Attributes:
        id: its name in the log and in the header X-Request-ID.
        route: its path's pattern; "" for unknown paths.
        model: NAME/VERSION of the model that is asked.
        name: the model's name alone.
        inputs: how many inputs it has.
        batch: inputs of the largest batch that one of them was computed in.
        reason: why it was refused, where that is not said by the status.
        is_stream: whether the answer is written piece by piece.
    """

    id: str
    route: str = ""
    model: str = ""
    name: str = ""
    inputs: int = 0
    batch: int = 0
    reason: str = ""
    is_stream: bool = False
    started: float = field(default_factory=perf_counter)


def call_of(scope: Scope) -> Call:
    """The call that a request is."""
    return cast(Call, scope[KEY])
