"""A measurement on the terminal: a table a part, then what a reader must know."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from lightning_base.serving.bench.latency import Latency
from lightning_base.serving.bench.notes import count
from lightning_base.serving.bench.results import Measured, Process, Ratios, Sweep

MIB = 2**20
WIDE = 102  # columns that a table with lines needs


def show(found: Measured, console: Console) -> None:
    """Prints the tables of what was measured, and the notes."""
    machine = found.machine
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    model = f"{found.model} ({found.task}), " if found.model else ""
    console.print(
        f"{found.target}: {model}{count(found.inputs, 'input')}, {found.seconds:g} s a load after "
        f"{found.warmup:g} s of warm-up"
    )
    threads = "" if machine.threads is None else f", OMP_NUM_THREADS {machine.threads}"
    console.print(f"{machine.system}, {count(machine.cores, 'core')} for server and clients{threads}; {versions}")
    tables = [bare(found)] if found.bare else []
    tables += [processes(found.processes)] if found.processes else []
    for one in (*tables, *(under_load(sweep) for sweep in found.sweeps)):
        if console.width < WIDE:
            one.box = None
        console.print(one)
    for line in ratios(found.ratios) if found.ratios else ():
        console.print(line)
    for note in found.notes:
        console.print(f"! {note}" if note.startswith("WRONG") else f"note: {note}")


def bare(found: Measured) -> Table:
    """The bare model: a row a size of batches."""
    rows = [
        [
            str(one.batch),
            *times(one.answering),
            rate(one.per_second),
            milliseconds(one.whole.p50),
            rate(one.with_reading),
        ]
        for one in found.bare
    ]
    headings = ["batch", "n", "p50\nms", "p95\nms", "p99\nms", "answers\n/s"]
    headings += ["read too,\np50 ms", "read too,\nanswers/s"]
    return table(
        "the bare model in a loop: a batch from the model's inputs to answers; read too: from JSON values",
        headings,
        rows,
    )


def processes(found: Sequence[Process]) -> Table:
    """Start-up and memory: a row a process."""
    rows = []
    for one in found:
        starts = sorted(one.starts)
        median = starts[len(starts) // 2] if len(starts) % 2 else sum(starts[len(starts) // 2 - 1 :][:2]) / 2
        span = f"{starts[0]:.2f} … {starts[-1]:.2f}"
        rows.append(
            [one.name, str(len(starts)), f"{median:.2f}", span, *(f"{b / MIB:,.0f}" for b in (one.loaded, one.most))]
        )
    headings = ["process", "n", "median s", "range s", "MiB at its first answer", "MiB at most"]
    return table("from the start of a process to its first answer, and its memory", headings, rows, 1)


def under_load(sweep: Sweep) -> Table:
    """A row a load."""
    opened = any(step.rate is not None for step in sweep.steps)
    rows = []
    for step in sweep.steps:
        errors = ", ".join(f"{name}: {n:,}" for name, n in sorted(step.errors.items())) or "0"
        row = [f"{step.rate:g}" if step.rate is not None else str(step.clients), *times(step.latency)]
        row += [milliseconds(step.latency.longest), rate(step.per_second), errors]
        row += [f"{step.wrong:,}" if step.compared else "–", f"{step.client:.2f}"]
        rows.append([*row, "–" if step.server is None else f"{step.server:.2f}"])
    columns = "n|p50\nms|p95\nms|p99\nms|longest\nms|answers\n/s|errors|wrong|clients'\ncores|server's\ncores"
    headings = ["asked\n/s" if opened else "clients", *columns.split("|")]
    return table(f"{sweep.name}: {sweep.path}", headings, rows)


def ratios(found: Ratios) -> list[str]:
    """What serving costs and batching gives."""
    top = count(found.clients, "client")
    lines = [
        f"batching, {top}: {found.batching:.2f}× the answers a second of one by one",
        f"throughput, {top}: {found.of_limit:.2f}× the lesser of bare model and empty handler "
        f"({rate(found.limit)} a second)",
    ]
    if found.one_client_p50 is not None and found.bare_p50 is not None:
        more = found.one_client_p50 - found.bare_p50
        lines.append(
            f"one client: p50 {found.one_client_p50:.2f} ms, {more:+.2f} ms to the bare model's {found.bare_p50:.2f}"
        )
    return lines


def table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], words: int = 0) -> Table:
    """Rows of numbers, the first columns of words."""
    made = Table(title=title, title_justify="left", title_style="")
    for i, heading in enumerate(headings):
        made.add_column(heading, justify="left" if i < words else "right", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def times(of: Latency) -> list[str]:
    """Their number and percentiles."""
    return [f"{of.n:,}", *(milliseconds(value) for value in (of.p50, of.p95, of.p99))]


def milliseconds(value: float | None) -> str:
    """Three digits, or a dash."""
    if value is None:
        return "–"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def rate(value: float) -> str:
    """Three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
