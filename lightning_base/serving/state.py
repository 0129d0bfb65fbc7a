"""State: what a server knows of itself."""

from dataclasses import dataclass


@dataclass
class State:
    """Whether it answers.

    Attributes:
        is_stopping: it has been told to end; what is accepted is answered, and new requests should go elsewhere.
        cut: requests that were not answered when the time for that was over.
        is_stuck: a computation did not end in that time either.
    """

    is_stopping: bool = False
    cut: int = 0
    is_stuck: bool = False
