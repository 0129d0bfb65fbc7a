"""A column of a table, or the words of a text, as samples name them."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Feature:
    """A column of a table, or the words of a text.

    Args:
        name: the column's.
        categories: the strings that its codes 0, 1, … stand for; None of numbers and dates.
        written: how a file writes its numbers or dates, where it is not plainly; what begins with "date" is dates, held
            as days since 1970-01-01.
    """

    name: str
    categories: tuple[str, ...] | None = None
    written: str = field(default="", repr=False)

    @property
    def is_date(self) -> bool:
        """Whether its values are days since 1970-01-01."""
        return self.written.startswith("date")
