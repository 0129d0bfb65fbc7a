"""Dialogues: turns with what was said before, from JSON; the target is the next response, or what is believed."""

from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Source, Targets, text_values
from lightning_base.errors import ConfigError, DataError, NoSourceError
from lightning_base.preprocess import Preprocess, Tokenizer
from lightning_base.preprocess.tokenizer import Model
from lightning_base.runtime.dialogue import DialogueReader
from lightning_base.runtime.marks import MOST, mark
from lightning_base.runtime.readers import Reader
from lightning_base.samples.samples import findings_table
from lightning_base.sources.columns import row_id
from lightning_base.sources.dialogues import Dialogue, Keys, Said, read_dialogues
from lightning_base.sources.json_files import read_json_files
from lightning_base.sources.several_targets import label_sets


@dataclass
class Turns:
    """Samples as they are made: ids, groups, inputs, and what is to be predicted: a response, or labels."""

    ids: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    responses: list[str] = field(default_factory=list)
    labels: list[list[str]] = field(default_factory=list)
    findings: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, id_: str, group: str, said: list[Said]) -> bool:
        """Takes an input of what is said, each with its speaker's mark in front; one of nothing is a finding."""
        if not said:
            self.findings.append((id_, "empty", "nothing is said in it"))
            return False
        self.ids.append(id_)
        self.groups.append(group)
        self.inputs.append(" ".join(f"{mark(speaker)} {text}" for speaker, text in said))
        return True

    def samples(self, origin: str, targets: Targets | None) -> Samples:
        """The inputs as texts: Ragged uint8 of their UTF-8 bytes."""
        table = pd.DataFrame({"id": self.ids, "group": self.groups})
        found = findings_table(self.findings)
        return Samples(text_values(self.inputs), table, targets=targets, origin=origin, findings=found)


@dataclass(kw_only=True, eq=False)
class Dialogues(BaseDataModule):
    """Turns of dialogues with those before them, as token numbers (B, T) int64, padded with 0.

    A file is JSON: a list of dialogues, or one a line (.jsonl); a dialogue is an object with a list of turns, or that
    list. In front of what each says stands a mark of the speaker, a token of its own. All samples of a dialogue are one
    `group`, which no split divides. A dialogue with a turn that cannot be read is a finding as a whole.

    With the target "slots" a sample is a turn, and its labels are `slot=value` of the state after it (`MultiLabel`).
    With "response" it is what is said next, after all that stands in the input (`Translation`); what begins a
    dialogue answers nothing and is in inputs alone. `predict` then tells what follows each dialogue's end.

    Args:
        path: a file, several, or a folder of them: .json, .jsonl or .ndjson, packed by gzip (.gz) or not.
        speakers: who speaks, where each turn is an object of one speaker's ([user, system]); or by name the key of what
            each says in a turn, in that order ({system: system_transcript, user: transcript}): who says nothing is left
            out.
        target: what is to be predicted.
        turns: the key of a dialogue's list of turns.
        speaker: … of a turn's speaker, where each is one's.
        text: … of what is said in it, likewise.
        state: … of a turn's state: {slot: value}, a list of [slot, value], or WOZ 2.0's list of acts and slots.
        acts: the acts of such a list that count; by default all.
        ids: … of a dialogue's name; by default its number.
        of: the speaker whose turns, or responses, are samples; by default all.
        history: how many turns before the last one stand in an input; null for all.
        class_names: the labels in the order of their numbers; by default those found, in alphabetical order.
        test_path: what `path` is, with sealed test dialogues.
        predict: … with dialogues that `predict` reads; they need no state.
        model: what makes tokens, as `lightning_base.preprocess.Tokenizer` has it, fitted on the training role.
        size: most tokens of the vocabulary of inputs, the special ones and a mark for each speaker included.
        response_size: … of responses.
        lower: take capital letters as small ones, in tokens; scores are of the responses as they stand.
        min_count: what is rarer than this in the training role makes no token.
        max_length: inputs keep so many tokens, their last.

    Raises:
        UserError: for a file that is not there or no JSON, names that are missing or there twice, dialogues of which
            none gives a sample, or settings that do not go together.
    """

    path: str | list[str]
    speakers: list[str] | dict[str, str]
    target: Literal["slots", "response"] = "slots"
    turns: str = "dialogue"
    speaker: str = "speaker"
    text: str = "text"
    state: str = "belief_state"
    acts: list[str] | None = None
    ids: str | None = None
    of: str | None = None
    history: int | None = 3
    class_names: list[str] | None = None
    test_path: str | list[str] | None = None
    predict: str | list[str] | None = None
    model: Model = "words"
    size: int = 8000
    response_size: int = 8000
    lower: bool = False
    min_count: int = 1
    max_length: int | None = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < len(self.speakers) <= MOST or len({*self.speakers}) < len(self.speakers):
            raise ConfigError(f"data.speakers: {len(self.speakers)} names, or one twice; name from 1 to {MOST}")
        if self.of is not None and self.of not in self.speakers:
            raise ConfigError(f"data.of: {self.of!r} is none of the speakers {', '.join(self.speakers)}")
        if self.of is not None and self.target == "slots" and isinstance(self.speakers, dict):
            raise ConfigError(
                "data.of: here a turn is what all speakers say in it, and its slots are no one's; leave it"
            )
        if self.history is not None and self.history < (self.target == "response"):
            raise ConfigError(
                f"data.history: {self.history} turns before; give null or 0 or more, 1 or more of what is answered"
            )
        if self.target == "response" and self.class_names is not None:
            raise ConfigError("data.class_names: names of labels, and a response has none; leave it out")
        self.make_preprocess()
        self.make_target_preprocess()

    def make_preprocess(self) -> Preprocess:
        """A tokenizer of the training role's inputs, with a mark for each speaker."""
        settings = (self.model, self.size, self.lower, self.min_count)
        return Tokenizer(*settings, longest=self.max_length, keep="end", marks=len(self.speakers))

    def make_target_preprocess(self) -> Preprocess | None:
        """A tokenizer of the training role's responses."""
        if self.target == "slots":
            return None
        return Tokenizer(self.model, self.response_size, self.lower, self.min_count)

    def readers(self) -> dict[str, Reader]:
        """What was said so far, turn by turn."""
        asked = self.target == "slots"
        turns = None if self.history is None else self.history + asked
        return {"text": DialogueReader(tuple(self.speakers), turns, isinstance(self.speakers, dict))}

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        return None if self.test_path is None else "data.test_path"

    def dataset(self, source: Source) -> Samples:
        """The turns of a source, or those to predict from."""
        if source == "predict":
            if self.predict is None:
                raise NoSourceError("there are no dialogues to predict; name files with data.predict")
            return self._samples(self.predict, "data.predict", source)
        if source == "pool":
            return self._samples(self.path, "data.path", source)
        if self.test_path is None:
            raise NoSourceError("there are no test dialogues; give data.test_path, or seal some with data.test_size")
        return self._samples(self.test_path, "data.test_path", source)

    def _samples(self, paths: str | list[str], key: str, source: Source) -> Samples:
        """The samples of files."""
        records, told = read_json_files(paths, key)
        state = self.state if self.target == "slots" and source != "predict" else None
        keys = Keys(self.turns, self.speakers, self.speaker, self.text, self.ids, state, self.acts)
        dialogues, wrong = read_dialogues(records, keys, key)
        found, origin = Turns(findings=told + wrong), paths if isinstance(paths, str) else ", ".join(paths)
        for dialogue in dialogues:
            before = len(found.ids) + len(found.findings)
            if self.target == "slots":
                self._states(found, dialogue, source != "predict")
            elif source == "predict":
                found.add(dialogue.id, dialogue.id, self._before(dialogue, len(dialogue.turns)))
            else:
                self._responses(found, dialogue)
            if len(found.ids) + len(found.findings) == before:
                found.findings.append((dialogue.id, "unused", "no turn of it is a sample"))
        if not found.ids:
            why = f" ({found.findings[0][0]}: {found.findings[0][2]})" if found.findings else ""
            raise DataError(
                f"{key}: {origin} gives no sample{why}; mend data.turns, data.speakers, data.text or data.of"
            )
        targets: Targets | None = None
        if self.target == "slots" and source != "predict":
            known = self.samples("pool").targets if source == "test" else None
            names = known.names if known is not None else self.class_names
            labels = (
                tuple(names) if names is not None else tuple(sorted({one for some in found.labels for one in some}))
            )
            if not labels:
                raise DataError(
                    f"{key}: {origin} has no slot with a value in {self.state!r} (data.state); name another"
                )
            targets, told = label_sets(found.labels, found.ids, labels)
            found.findings += told
        elif source != "predict":
            targets = Targets(text_values(found.responses), "sequence")
        return found.samples(origin, targets)

    def _before(self, dialogue: Dialogue, turn: int) -> list[Said]:
        """What is said in the turns before one, as far back as `history` says."""
        first = 0 if self.history is None else max(turn - self.history, 0)
        return [one for earlier in dialogue.turns[first:turn] for one in earlier.said]

    def _id(self, dialogue: Dialogue, turn: int) -> str:
        return f"{dialogue.id}/{row_id(turn, len(dialogue.turns))}"

    def _states(self, found: Turns, dialogue: Dialogue, with_target: bool) -> None:
        """Takes the turns, with the labels after each."""
        for i, turn in enumerate(dialogue.turns):
            if self.of is not None and turn.speaker != list(self.speakers).index(self.of):
                continue
            if with_target and turn.labels is None:
                found.findings.append(
                    (self._id(dialogue, i), "target", f"it has no {self.state!r} (data.state, data.of)")
                )
                continue
            said = [*self._before(dialogue, i), *turn.said] if turn.said else []
            if found.add(self._id(dialogue, i), dialogue.id, said):
                found.labels.append(turn.labels or [])

    def _responses(self, found: Turns, dialogue: Dialogue) -> None:
        """Takes what is said after something was, as responses."""
        names = list(self.speakers)
        for i, turn in enumerate(dialogue.turns):
            for at, (who, text) in enumerate(turn.said):
                said = [*self._before(dialogue, i), *turn.said[:at]]
                if said and self.of in (None, names[who]):
                    name = f"/{names[who]}" if isinstance(self.speakers, dict) else ""
                    found.add(f"{self._id(dialogue, i)}{name}", dialogue.id, said)
                    found.responses.append(text)
