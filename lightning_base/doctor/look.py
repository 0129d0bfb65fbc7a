"""The verb `doctor`: what the machine has, whether a configuration fits it, and whether processes reach one another."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from rich.console import Console
from rich.text import Text

from lightning_base.doctor.finding import Finding, worst
from lightning_base.errors import UserError
from lightning_base.tools.files import replace, to_json

if TYPE_CHECKING:  # without a configuration the doctor needs no Lightning
    from lightning_base.doctor.launcher import Launch
    from lightning_base.training.experiment import Experiment

Opened: TypeAlias = Callable[[], "Experiment"]
STYLES = {"ok": "green", "warning": "yellow", "trouble": "bold red"}


def look(nodes: bool, opened: Opened | None, path: Path | None, sizes: bool = False) -> int:
    """Looks at what is asked for; returns the exit status.

    Args:
        nodes: whether at the processes of a launcher, rather than at the machine.
        opened: opens the experiment whose fit is asked for; None where none is.
        path: where the findings are written as JSON.
        sizes: whether it is the batch size that the experiment's fit is looked at for.
    """
    from lightning_base.doctor.launcher import find, host
    from lightning_base.doctor.libraries import libraries, malicious

    launch, bad = find(), malicious()
    if not nodes and launch.local_rank != 0:
        return 0  # another process of this node looks at it
    # several nodes that print line by line would print into one another
    text = StringIO() if launch.many else None
    report = Report(Console(highlight=False, markup=False, emoji=False, file=text), host())
    if bad:
        report.add(libraries())
        report.out.print(f"nothing else was looked at, since that would import {', '.join(bad)}", soft_wrap=True)
    elif nodes:
        from lightning_base.doctor.nodes import nodes as talk

        found = talk(launch)
        if launch.rank != 0 and len(found) > 1:  # the first process says the same; a lone one is a lost connection
            return int(worst(found) == "trouble")
        report.add(found)
    else:
        report.add(libraries())
        report.add(_machine(opened, launch, sizes))
    status = report.end(path if launch.rank == 0 else None)
    if text is not None:
        sys.stdout.write(text.getvalue())
    return status


def _machine(opened: Opened | None, launch: "Launch", sizes: bool) -> Iterator[Finding]:
    """The machine and, where there is an experiment, how it fits."""
    from lightning_base.doctor.devices import devices
    from lightning_base.doctor.launcher import launchers
    from lightning_base.doctor.machine import disk, machine
    from lightning_base.tools.cache import cache_root

    yield from machine((launch.per_node or 1) if launch.many else 1)
    experiment, root, refused = None, Path("runs"), None
    if opened is not None:
        try:
            experiment = opened()
            root = experiment.root
        except UserError as error:
            refused = Finding("trouble", "configuration", "configuration", str(error))
    yield disk("runs", root, "--trainer.default_root_dir")
    yield disk("cache", cache_root(), "the environment variable LIGHTNING_BASE_CACHE")
    yield from devices()
    yield from launchers(launch)
    if refused is not None:
        yield refused
    if experiment is not None and sizes:
        from lightning_base.doctor.batch_sizes import batch_sizes

        yield from batch_sizes(experiment)
    elif experiment is not None:
        from lightning_base.doctor.fit import configuration

        yield from configuration(experiment, launch)


class Report:
    """Prints findings as they come, one heading per area, and keeps them."""

    def __init__(self, out: Console, host: str) -> None:
        self.out, self.host = out, host
        self.findings: list[Finding] = []

    def add(self, findings: Iterable[Finding]) -> None:
        """Prints and keeps findings."""
        for finding in findings:
            if not self.findings or self.findings[-1].area != finding.area:
                self.out.print(f"{finding.area} ({self.host})", style="bold", soft_wrap=True)
            line = Text.assemble("  ", (f"{finding.status:<9}", STYLES[finding.status]), finding.line())
            self.out.print(line, soft_wrap=True)
            self.findings.append(finding)

    def end(self, path: Path | None) -> int:
        """Prints how many troubles there are, writes the JSON; returns the exit status."""
        status = worst(self.findings)
        counts = {kind: sum(f.status == kind for f in self.findings) for kind in ("trouble", "warning")}
        self.out.print(", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in counts.items()))
        if path is not None:
            content = {
                "host": self.host,
                "status": status,
                "findings": [asdict(finding) for finding in self.findings],
            }
            with replace(path) as temporary:
                temporary.write_text(to_json(content))
            self.out.print(f"results: {path}", soft_wrap=True)
        return int(status == "trouble")
