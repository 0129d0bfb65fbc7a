"""The models that answer, by name and version; one may take another's place while requests are answered."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_base.errors import ConfigError, suggest
from lightning_base.runtime.answering import Answering
from lightning_base.serving.batcher import Batcher, Computers
from lightning_base.serving.metrics import Metrics
from lightning_base.serving.observer import Observers
from lightning_base.serving.refused import Refused
from lightning_base.serving.settings import Settings


class Served:
    """A model with its queue.

    Attributes:
        path: the folder, or the link to one, that was named on the command line.
        batcher: its queue.
    """

    def __init__(self, path: Path, model: Answering, batcher: Batcher) -> None:
        self.path, self.model, self.batcher = path, model, batcher
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def label(self) -> str:
        """NAME/VERSION."""
        return f"{self.model.name}/{self.model.version}"

    @contextmanager
    def used(self) -> Iterator[None]:
        """While a request is answered by it."""
        self._users += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def retire(self) -> None:
        """Ends its queue once nobody asks it any more, and nothing is computed."""
        while self._users or self.batcher.held:
            await self._idle.wait()
            await asyncio.sleep(0.05)
        await self.batcher.close()


class Catalogue:
    """Which models there are, and which one answers where none is named.

    Args:
        models: with the folders that were named, in their order.
        settings: the default model among other things.

    Raises:
        ConfigError: for two models of one name and version, and a default that there is none of.
    """

    def __init__(
        self,
        models: list[tuple[Path, Answering]],
        settings: Settings,
        computers: Computers,
        metrics: Metrics,
        observers: Observers,
    ) -> None:
        self._settings, self._computers, self._metrics, self._observers = settings, computers, metrics, observers
        check(models, settings.default)
        self.models = [self._serve(path, model) for path, model in models]
        self.replaced: list[Served] = []
        self._default = self.models[default_place(models, settings.default)]
        self._note()

    @property
    def default(self) -> Served:
        """The model that answers where none is named."""
        return self._default

    def find(self, name: str | None = None, version: str | None = None) -> Served:
        """The model of a name; of its versions the one that is asked for, else the default or the first.

        Raises:
            Refused: 404, where there is none.
        """
        if name is None:
            return self._default
        named = [one for one in self.models if one.model.name == name]
        if not named:
            raise Refused(404, f"no model {name[:80]!r}; there are {', '.join(self.names())}")
        if version is None:
            return self._default if self._default in named else named[0]
        found = next((one for one in named if one.model.version == version), None)
        if found is None:
            versions = ", ".join(one.model.version for one in named)
            raise Refused(404, f"no version {version[:80]!r} of {name}; there is {versions}")
        return found

    def names(self) -> list[str]:
        """Of all models, each once."""
        return list(dict.fromkeys(one.model.name for one in self.models))

    def swap(self, old: Served, model: Answering) -> Served:
        """Puts a new version in an old one's place; the old one answers what it has been asked until `retire`."""
        new = self._serve(old.path, model)
        self.replaced.append(old)
        self.models[self.models.index(old)] = new
        if self._default is old:
            self._default = new
        self._note()
        return new

    @property
    def is_busy(self) -> bool:
        """Whether a request has a place, with a model that answers or one that has been replaced."""
        return any(one.batcher.held for one in (*self.models, *self.replaced))

    def gauge(self) -> None:
        """Tells the metrics what waits and what is held now."""
        for name in self.names():
            batchers = [one.batcher for one in (*self.models, *self.replaced) if one.model.name == name]
            self._metrics.waiting.labels(name).set(sum(one.waiting for one in batchers))
            self._metrics.held.labels(name).set(sum(one.held for one in batchers))

    async def retire(self, old: Served) -> None:
        """Ends a replaced model's queue once nobody asks it any more."""
        await old.retire()
        self.replaced.remove(old)

    async def close(self) -> None:
        """Ends all queues."""
        for one in (*self.models, *self.replaced):
            await one.batcher.close()

    def _serve(self, path: Path, model: Answering) -> Served:
        return Served(path, model, Batcher(model, self._settings, self._computers, self._metrics, self._observers))

    def _note(self) -> None:
        self._metrics.models.clear()
        for one in self.models:
            is_default = str(one is self._default).lower()
            self._metrics.models.labels(one.model.name, one.model.version, is_default).set(1)


def check(models: list[tuple[Path, Answering]], default: str | None) -> None:
    """Demands that models can be told apart, and that the default is one of them.

    Raises:
        ConfigError: where not.
    """
    seen: dict[tuple[str, str], Path] = {}
    for path, model in models:
        key = (model.name, model.version)
        if key in seen:
            raise ConfigError(
                f"serve: {path} and {seen[key]} hold the same model, {model.name}, version {model.version}; give one"
            )
        seen[key] = path
    default_place(models, default)


def default_place(models: list[tuple[Path, Answering]], default: str | None) -> int:
    """Which model is the default: NAME or NAME/VERSION; without one the first.

    Raises:
        ConfigError: where there is no such model.
    """
    if default is None:
        return 0
    for place, (_, model) in enumerate(models):
        if default in (model.name, f"{model.name}/{model.version}"):
            return place
    known = [name for _, model in models for name in (model.name, f"{model.name}/{model.version}")]
    raise ConfigError(f"--default: no model {default!r}; give one of {', '.join(known)}{suggest(default, known)}")
