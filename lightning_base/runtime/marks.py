"""Marks: characters that stand in texts for what is no text, such as who speaks; tokenizers make each one token."""

FIRST, MOST = 0xF0000, 1000  # characters for private use, which no text has a meaning for


def mark(number: int) -> str:
    """The character of a mark (from 0)."""
    return chr(FIRST + number)


def is_mark(character: str) -> bool:
    """Whether a character stands for a mark."""
    return FIRST <= ord(character) < FIRST + MOST
