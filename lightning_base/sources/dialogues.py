"""Dialogues: what was said by turns, who said it, and what is believed after each turn, from JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lightning_base.errors import DataError
from lightning_base.runtime.marks import is_mark
from lightning_base.sources.columns import row_id
from lightning_base.sources.json_files import Record

Finding = tuple[str, str, str]
Said = tuple[int, str]  # the number of a speaker, and a text


@dataclass(frozen=True)
class Keys:
    """What a dialogue's keys are called.

    Args:
        turns: of a dialogue's list of turns.
        speakers: names of those who speak, where each turn is one's; or by name the key of what each says in a turn, in
            that order.
        speaker: of a turn: who speaks, where each turn is one's.
        text: of a turn: what is said, likewise.
        ids: of a dialogue's name; None for its number.
        state: of a turn: what is believed after it; None where it is not read.
        acts: the acts of a state's entries that count; None for all.
    """

    turns: str
    speakers: Sequence[str] | Mapping[str, str]
    speaker: str
    text: str
    ids: str | None
    state: str | None
    acts: Sequence[str] | None


@dataclass(frozen=True)
class Turn:
    """A turn.

    Attributes:
        speaker: the number of the one whose turn it is; None where all speak in one.
        said: what is said in it, in order; blank texts are left out.
        labels: `slot=value` of what is believed after it; None where it says nothing of it.
    """

    speaker: int | None
    said: list[Said]
    labels: list[str] | None


@dataclass(frozen=True)
class Dialogue:
    """A dialogue: its name, and its turns."""

    id: str
    turns: list[Turn]


def read_dialogues(records: Sequence[Record], keys: Keys, key: str) -> tuple[list[Dialogue], list[Finding]]:
    """The dialogues of JSON: a record is one, or a list of them; what is no dialogue is a finding as a whole.

    Args:
        records: what files hold.
        keys: what is called what.
        key: the configuration key that messages name.

    Raises:
        DataError: for a name that is missing or there twice.
    """
    entries = list[tuple[str, Any]]()
    for record in records:
        if isinstance(record.value, list) and record.place == record.file:  # not a line, which may be a list of turns
            entries += [(f"{record.place}: dialogue {i}", value) for i, value in enumerate(record.value, start=1)]
        else:
            entries.append((record.place, record.value))
    found, findings, places = list[Dialogue](), list[Finding](), dict[str, str]()
    for number, (place, value) in enumerate(entries):
        name = row_id(number, len(entries)) if keys.ids is None else _name(value, keys.ids, place, key)
        if places.setdefault(name, place) != place:
            raise DataError(
                f"{key}: {places[name]} and {place} have the same {keys.ids!r}, {name!r} (data.ids); give each its own"
            )
        try:
            found.append(Dialogue(name, _turns(value, keys)))
        except ValueError as error:
            findings.append((name, "unreadable", f"{place}: {error}"))
    return found, findings


def _name(dialogue: Any, ids: str, place: str, key: str) -> str:
    name = dialogue.get(ids) if isinstance(dialogue, dict) else None
    if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
        raise DataError(f"{key}: {place} has no name as {ids!r} (data.ids); give each dialogue a text or a number")
    return str(name)


def _turns(dialogue: Any, keys: Keys) -> list[Turn]:
    """The turns of a dialogue.

    Raises:
        ValueError: where it is none, naming the turn (from 0).
    """
    turns = dialogue if isinstance(dialogue, list) else _of(dialogue, keys.turns, "", list)
    if not turns:
        raise ValueError("it has no turn")
    return [_turn(turn, keys, f" of turn {i}") for i, turn in enumerate(turns)]


def _turn(turn: Any, keys: Keys, where: str) -> Turn:
    speaker = None
    if isinstance(keys.speakers, Mapping):
        said = [(i, _of(turn, name, where, str)) for i, name in enumerate(keys.speakers.values())]
    else:
        name = _of(turn, keys.speaker, where, str)
        if name not in keys.speakers:
            raise ValueError(f"{name!r}{where} is none of the speakers {', '.join(keys.speakers)} (data.speakers)")
        speaker = list(keys.speakers).index(name)
        said = [(speaker, _of(turn, keys.text, where, str))]
    for _, text in said:
        if any(map(is_mark, text)):
            raise ValueError(f"a text{where} has a character from U+F0000 on, by which speakers are marked")
    labels = None if keys.state is None or keys.state not in turn else _labels(turn[keys.state], keys.acts, where)
    return Turn(speaker, [(i, text.strip()) for i, text in said if text.strip()], labels)


def _of(holder: Any, name: str, where: str, kind: type) -> Any:
    """What stands under a key, of this type."""
    if not isinstance(holder, dict):
        raise ValueError(f"{type(holder).__name__}{where or ' in place of a dialogue'} is no object")
    if name not in holder:
        raise ValueError(f"{name!r}{where} is missing, among {', '.join(list(holder)[:10])}")
    if not isinstance(holder[name], kind):
        raise ValueError(f"{name!r}{where} is no {'list' if kind is list else 'text'}")
    return holder[name]


def _labels(state: Any, acts: Sequence[str] | None, where: str) -> list[str]:
    """`slot=value` of a state, sorted.

    A state is an object {slot: value}, a list of [slot, value], or a list of {"act": act, "slots": [[slot, value], …]},
    as WOZ 2.0 has it. A slot of another act than "inform" is `act slot=value`, and `act=value` where it is called
    "slot", as what is requested is. A value may be a list of such. Blank ones are no label.

    Raises:
        ValueError: where it is none.
    """
    pairs = list[tuple[str, Any]]()
    if isinstance(state, dict):
        pairs = list(state.items())
    else:
        for entry in state if isinstance(state, list) else [None]:
            act, slots = "inform", [entry]
            if isinstance(entry, dict) and isinstance(entry.get("slots"), list):
                act, slots = entry.get("act", act), entry["slots"]
            if acts is not None and act not in acts:
                continue
            for slot in slots:
                if not isinstance(slot, list) or len(slot) != 2 or not isinstance(slot[0], str):
                    raise ValueError(f"the state{where} is neither {{slot: value}}, [[slot, value], …] nor WOZ's list")
                pairs.append((_named(slot[0], act), slot[1]))
    labels = set[str]()
    for name, value in pairs:
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict | list):
                raise ValueError(f"the value of {name!r}{where} is no text, number or list of such")
            text = "" if one is None else str(one).lower() if isinstance(one, bool) else str(one)
            labels |= {f"{name.strip()}={text.strip()}"} if text.strip() else set()
    return sorted(labels)


def _named(slot: str, act: str) -> str:
    """A slot's name, with the act where it is another than informing."""
    return slot if act == "inform" else act if slot == "slot" else f"{act} {slot}"
