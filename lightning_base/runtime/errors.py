"""What is told to whoever gives an input that cannot be answered, or a folder that holds no model."""


class InputError(ValueError):
    """An input that the model cannot take.

    Args:
        field: which part of it: a column, "image", "text"; "" for the whole.
        message: what is wrong, and what to give instead.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field, self.message = field, message


class ExportError(ValueError):
    """A folder that holds no exported model, or one that has been changed; the message names the file."""
