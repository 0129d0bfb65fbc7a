"""A module's classes and what they take, read from its source: nothing is imported or run."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from docstring_parser import Docstring, parse

from lightning_base.cli.described import Described, Missing, Option, held_by

NETWORK = "torch.nn.Module"
OPAQUE = {"globals", "setattr", "exec", "__getattr__", "vars", "locals"}  # a file with these may have any names


@dataclass(frozen=True)
class Source:
    """A module's source.

    Attributes:
        module: its dotted name.
        tree: as parsed; None where it does not parse.
        look_up: finds the classes of other modules.
        fault: why it does not parse.
    """

    module: str
    tree: ast.Module | None
    look_up: Callable[[str], Described | Missing | None]
    fault: str = ""

    def find(self, name: str) -> Described | Missing | None:
        """A class of it; None where what it takes cannot be told."""
        if self.tree is None:
            return Missing(self.module, name, fault=self.fault) if self.fault else None
        if name not in (bound := self.names):
            near = sorted(one for one in bound if self.bindings[one] and not one.startswith("_"))
            return None if self.is_opaque() else Missing(self.module, name, tuple(near))
        classes = [node for node in self.tree.body if isinstance(node, ast.ClassDef) and node.name == name]
        if len(classes) != 1 or self.bindings[name] != 1:
            return None
        return self.describe(classes[0])

    @cached_property
    def names(self) -> set[str]:
        """Every name that is bound anywhere in it."""
        return {name for node in ast.walk(self.tree or ast.Module([], [])) for name in _bound(node)}

    @cached_property
    def bindings(self) -> Counter[str]:
        """How often each name is bound at its outermost level, in branches too."""
        return Counter(name for node in _outer(self.tree or ast.Module([], [])) for name in _bound(node))

    def is_opaque(self) -> bool:
        """Whether it may have names that its source does not show."""
        for node in ast.walk(self.tree or ast.Module([], [])):
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                return True
            if isinstance(node, ast.Name | ast.FunctionDef) and (_name(node) in OPAQUE):
                return True
        return False

    @cached_property
    def imported(self) -> dict[str, str]:
        """Dotted names by the names that its imports give them."""
        found: dict[str, str] = {}
        for node in (self.tree or ast.Module([], [])).body:
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            elif isinstance(node, ast.Import):
                found |= {
                    a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0] for a in node.names
                }
        return found

    def described(self) -> list[Described]:
        """The classes that the configuration can take."""
        body = self.tree.body if self.tree else []
        public = [n for n in body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")]
        return [found for node in public if isinstance(found := self.find(node.name), Described) and found.kind]

    def describe(self, node: ast.ClassDef) -> Described | None:
        """A class, with what it inherits; None where what it takes cannot be told."""
        path, plain = f"{self.module}.{node.name}", ("Generic", "ABC")
        bases = [base for base in node.bases if ast.unparse(base) not in plain]
        if node.keywords or len(bases) != 1 or any(_name(n) in ("__new__", "__signature__") for n in node.body):
            return None
        base = self.base(bases[0])
        if base is None:
            return None
        text = parse(ast.get_docstring(node) or "")
        own = _declared(node, text, base)
        if own is None:
            return None
        inherited = [] if own.alone else [_from(option, base) for option in base.options]
        names = {option.name for option in own.options}
        return Described(
            path,
            base.kind,
            " ".join((text.short_description or "").split()),
            text.long_description or "",
            (*own.options, *(option for option in inherited if option.name not in names)),
            base.kind == "networks" and node.name in _parts(self.tree),
        )

    def base(self, node: ast.expr) -> Described | None:
        """The base class that an expression names; None where it cannot be told."""
        head, _, rest = ast.unparse(node).partition(".")
        if head in self.imported:
            path = f"{self.imported[head]}.{rest}".rstrip(".")
            if path in (NETWORK, "torch.nn.modules.module.Module"):
                return Described(NETWORK, "networks", "", "", ())
            found = self.look_up(path)
        else:
            found = self.find(head) if not rest else None
        return found if isinstance(found, Described) else None


@dataclass(frozen=True)
class _Own:
    """Options that a class declares, and whether they are all that it takes."""

    options: tuple[Option, ...]
    alone: bool


def _declared(node: ast.ClassDef, text: Docstring, base: Described) -> _Own | None:
    """What a class declares beside its base; None where it cannot be told."""
    docs = {p.arg_name: " ".join((p.description or "").split()) for p in text.params}
    init = [n for n in ast.walk(node) if _name(n) == "__init__" and isinstance(n, ast.FunctionDef)]
    marks = {ast.unparse(d).partition("(")[0].rpartition(".")[2] for d in node.decorator_list}
    if marks == {"dataclass"}:
        return (
            None
            if init or "init=False" in ast.unparse(node) or base.kind == "networks"
            else _Own(_fields(node, docs), False)
        )
    if marks or any("__init__" in _bound(n) for n in node.body if not isinstance(n, ast.FunctionDef)):
        return None
    if not init:
        return None if base.path == NETWORK else _Own((), False)
    if len(init) > 1 or init[0] not in node.body or init[0].decorator_list:
        return None
    arguments = init[0].args
    if arguments.vararg or (arguments.kwarg and not _only_handed_on(init[0], arguments.kwarg.arg)):
        return None
    if arguments.kwarg and base.path == NETWORK:
        return None
    return _Own(_parameters(arguments, docs), arguments.kwarg is None)


def _fields(node: ast.ClassDef, docs: dict[str, str]) -> tuple[Option, ...]:
    """A dataclass's fields."""
    fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    return tuple(
        _option(n.target.id, n.annotation, n.value, docs)
        for n in fields
        if isinstance(n.target, ast.Name) and "ClassVar" not in ast.unparse(n.annotation)
    )


def _parameters(arguments: ast.arguments, docs: dict[str, str]) -> tuple[Option, ...]:
    """A constructor's arguments, without self."""
    places = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(places) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [
        *list(zip(places, defaults, strict=True))[1:],
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return tuple(_option(a.arg, a.annotation, default, docs) for a, default in pairs)


def _option(name: str, kind: ast.expr | None, default: ast.expr | None, docs: dict[str, str]) -> Option:
    words = {"None": "null", "True": "true", "False": "false"}
    value = None if default is None else ast.unparse(default)
    if value is not None and value.startswith("field("):
        value = ""
    text = ast.unparse(kind).replace("None", "null") if kind else ""
    text = re.sub(r"Literal\[([^\]]*)\]", lambda one: one[1].replace(", ", " | "), text)
    return Option(
        name, text, None if value is None else words.get(value, value), docs.get(name, ""), holds=held_by(text)
    )


def _from(option: Option, base: Described) -> Option:
    """The option as a class inherits it."""
    return Option(
        option.name,
        option.type,
        option.default,
        option.help,
        option.owner or base.path.rpartition(".")[2],
        option.holds,
    )


def _only_handed_on(init: ast.FunctionDef, name: str) -> bool:
    """Whether **kwargs goes to super().__init__ and nowhere else."""
    used = [n for n in ast.walk(init) if isinstance(n, ast.Name) and n.id == name]
    calls = [n for n in ast.walk(init) if isinstance(n, ast.Call) and ast.unparse(n.func) == "super().__init__"]
    handed = [k.value for call in calls for k in call.keywords if k.arg is None]
    return len(used) == 1 and handed == used


def parts(source: str) -> set[str]:
    """The classes of a source that another of its classes is made of."""
    return _parts(ast.parse(source))


def _parts(tree: ast.Module | None) -> set[str]:
    classes = [node for node in (tree.body if tree else []) if isinstance(node, ast.ClassDef)]
    used = {
        (inside.id, node.name)
        for node in classes
        for part in node.body
        for inside in ast.walk(part)
        if isinstance(inside, ast.Name)
    }
    return {name for name, user in used if name != user and name in {node.name for node in classes}}


def _name(node: ast.AST) -> str:
    return str(getattr(node, "name", None) or getattr(node, "id", ""))


def _bound(node: ast.AST) -> list[str]:
    """The names that one node binds."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(a.asname or a.name).split(".")[0] for a in node.names]
    return []


def _outer(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are not inside a class or function, whose names are not the module's."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _outer(child)
