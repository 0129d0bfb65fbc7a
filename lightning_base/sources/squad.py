"""SQuAD's JSON: questions about paragraphs, with the places of their answers; each is read or named."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning_base.errors import DataError
from lightning_base.samples.payload import content_hash
from lightning_base.samples.spans import UNIT, misplaced
from lightning_base.sources.json_files import Record


@dataclass
class Asked:
    """Questions as they are read.

    Attributes:
        ids, questions, contexts, articles: of each.
        paragraphs: of each a name that equal paragraphs have in common.
        spans: where the first answer stands in the context, by characters, its end exclusive; (0, 0) of none.
        answers: all that are right; none where the context holds no answer.
        findings: id, kind and detail of what is no sample.
    """

    ids: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    contexts: list[str] = field(default_factory=list)
    articles: list[str] = field(default_factory=list)
    paragraphs: list[str] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    answers: list[list[str]] = field(default_factory=list)
    findings: list[tuple[str, str, str]] = field(default_factory=list)


def read_squad(records: Sequence[Record], key: str, with_answers: bool) -> Asked:
    """The questions of files in the form of SQuAD 1.1 or 2.0.

    Args:
        records: what files hold, each {"data": [{"title": …, "paragraphs": [{"context": …, "qas": […]}]}]}.
        key: the configuration key that messages name.
        with_answers: whether answers are read; where not, questions need none.

    Raises:
        DataError: for a file of another form, or an id that stands there twice.
    """
    asked, places = Asked(), dict[str, str]()
    for record in records:
        articles = record.value.get("data") if isinstance(record.value, dict) else None
        if not isinstance(articles, list):
            raise DataError(f'{key}: {record.place} is not in SQuAD\'s form: {{"data": [articles]}}; mend the path')
        for place, title, context, question in _questions(articles, record.place, asked):
            try:
                name = _text(question, "id")
            except ValueError as error:
                asked.findings.append((place, "unreadable", str(error)))
                continue
            if places.setdefault(name, place) != place:
                raise DataError(f"{key}: {places[name]} and {place} have the same id, {name!r}; give each its own")
            _take(asked, name, title, context, question, with_answers)
    return asked


def _questions(articles: list[Any], file: str, asked: Asked) -> Iterator[tuple[str, str, str, Any]]:
    """The place, the article's title, the context and the content of each question; what is none is a finding."""
    for i, article in enumerate(articles, start=1):
        place = f"{file}: article {i}"
        try:
            paragraphs = _list(article, "paragraphs")
            title = _text(article, "title") if "title" in article else place
        except ValueError as error:
            asked.findings.append((place, "unreadable", str(error)))
            continue
        for j, paragraph in enumerate(paragraphs, start=1):
            inside = f"{place}, paragraph {j}"
            try:
                context, questions = _text(paragraph, "context"), _list(paragraph, "qas")
            except ValueError as error:
                asked.findings.append((inside, "unreadable", str(error)))
                continue
            if not questions:
                asked.findings.append((inside, "unused", "nothing is asked about it"))
            for n, question in enumerate(questions, start=1):
                yield f"{inside}, question {n}", title, context, question


def _take(asked: Asked, name: str, title: str, context: str, question: Any, with_answers: bool) -> None:
    """Takes a question, or names it with what is wrong."""
    try:
        text = _text(question, "question")
        answers = _answers(question) if with_answers else []
    except ValueError as error:
        asked.findings.append((name, "unreadable", str(error)))
        return
    for what, said in (("question", text), ("context", context)):
        if not said.strip():
            asked.findings.append((name, "empty", f"its {what} has no text"))
            return
    impossible = question.get("is_impossible") is True
    for first, answer in answers:
        if context[first : first + len(answer)] != answer or first < 0:
            asked.findings.append((name, "target", misplaced(answer, first, context)))
            return
        if UNIT in answer or not answer.strip():
            asked.findings.append((name, "target", "an answer of it is blank, or has the character U+001F"))
            return
    if with_answers and impossible != (not answers):
        wrong = "it has an answer, and is_impossible" if answers else "it has no answer, and no is_impossible: true"
        asked.findings.append((name, "target", wrong))
        return
    asked.ids.append(name)
    asked.questions.append(text)
    asked.contexts.append(context)
    asked.articles.append(title)
    asked.paragraphs.append(f"{content_hash(context.encode(errors='surrogatepass')):016x}")
    asked.spans.append((answers[0][0], answers[0][0] + len(answers[0][1])) if answers else (0, 0))
    asked.answers.append(list(dict.fromkeys(answer for _, answer in answers)))


def _answers(question: Any) -> list[tuple[int, str]]:
    """Where each answer begins, and what it is."""
    found = []
    for answer in _list(question, "answers") if "answers" in question else []:
        text = _text(answer, "text")
        first = answer.get("answer_start")
        if isinstance(first, bool) or not isinstance(first, int):
            raise ValueError(f"'answer_start' of {text[:60]!r} is no whole number")
        found.append((first, text))
    return found


def _text(holder: Any, name: str) -> str:
    found = _of(holder, name)
    if not isinstance(found, str):
        raise ValueError(f"{name!r} is no text")
    return found


def _list(holder: Any, name: str) -> list[Any]:
    found = _of(holder, name)
    if not isinstance(found, list):
        raise ValueError(f"{name!r} is no list")
    return found


def _of(holder: Any, name: str) -> Any:
    if not isinstance(holder, dict):
        raise ValueError(f"a {type(holder).__name__} in place of an object with {name!r}")
    if name not in holder:
        raise ValueError(f"{name!r} is missing, among {', '.join(list(holder)[:10])}")
    return holder[name]
