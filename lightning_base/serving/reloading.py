"""New versions: a folder that has changed is loaded and checked beside the old model, and takes its place."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from lightning_base.runtime.answering import Answering
from lightning_base.serving.catalogue import Catalogue, Served
from lightning_base.serving.logs import Log
from lightning_base.serving.metrics import Metrics

Seen: TypeAlias = tuple[tuple[str, int, int, int], ...]


class Watch:
    """Looks at the folders of all models again and again.

    Args:
        catalogue: where new versions take the old ones' places.
        load: loads a folder and checks its examples; what it raises refuses the new version.
        seconds: between two looks.
    """

    def __init__(
        self, catalogue: Catalogue, load: Callable[[Path], Answering], seconds: float, metrics: Metrics, log: Log
    ) -> None:
        self._catalogue, self._load, self._seconds = catalogue, load, seconds
        self._metrics, self._log = metrics, log
        self._seen = {one.path: look(one.path) for one in catalogue.models}
        self._refused: dict[Path, Seen] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            for served in list(self._catalogue.models):
                try:
                    await self._look(served)
                except Exception as error:
                    self._log.fault("reload", error, model=served.label)

    async def _look(self, served: Served) -> None:
        """Takes a new version of one model, where there is one."""
        now = await asyncio.to_thread(look, served.path)
        if now == self._seen[served.path]:
            return
        await asyncio.sleep(min(self._seconds, 0.2))
        if await asyncio.to_thread(look, served.path) != now:
            return  # it is being written
        self._seen[served.path] = now
        name = served.model.name
        try:
            model = await asyncio.to_thread(self._load, served.path)
        except Exception as error:
            self._refuse(served, str(error))
            return
        if model.name != name:
            self._refuse(served, f"it holds the model {model.name!r} now")
        elif any(one.model.name == name and one.model.version == model.version for one in self._catalogue.models):
            self._log.say("info", "reload", model=served.label, outcome="unchanged")
        else:
            new = self._catalogue.swap(served, model)
            self._metrics.reloads.labels(name, "taken").inc()
            self._log.say("info", "reload", model=new.label, before=served.label, outcome="taken")
            task = asyncio.create_task(self._catalogue.retire(served))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    def _refuse(self, served: Served, why: str) -> None:
        self._metrics.reloads.labels(served.model.name, "refused").inc()
        self._log.say("error", "reload", model=served.label, outcome="refused", why=" ".join(why.split()))


def look(path: Path) -> Seen:
    """What tells one state of a folder from another: where it lies, and its files' sizes and times."""
    real = os.path.realpath(path)
    found = [(real, 0, 0, 0)]
    for folder, _, names in os.walk(real):
        for name in sorted(names):
            file = os.path.join(folder, name)
            try:
                status = os.stat(file)
            except OSError:
                continue
            if not name.endswith(".pyc"):
                found.append((file, status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(sorted(found))
