"""A measurement as a picture: latency and answers a second over clients, in SVG; legible on light and on dark pages."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from lightning_base.serving.bench.results import BATCHED, Measured, Sweep

WIDTH, HEIGHT = 960, 400
TOP, BOTTOM, LEFT, RIGHT, BETWEEN = 64, 52, 56, 118, 64
APART = 14  # pixels between the names of two lines
STYLE = """
.page { fill: #fff; }
text { font: 12px system-ui, sans-serif; fill: #595959; }
.title { font-weight: 600; }
.grid { stroke: #888; stroke-opacity: .25; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.dashed { stroke-dasharray: 5 4; }
.a { stroke: #2a7de1; fill: #2a7de1; } .b { stroke: #c2571a; fill: #c2571a; }
.c { stroke: #8a55c8; fill: #8a55c8; } .d { stroke: #6b8f1a; fill: #6b8f1a; }
text.a, text.b, text.c, text.d { stroke: none; }
@media (prefers-color-scheme: dark) {
  .page { fill: #1b1b1f; }
  text { fill: #b8b8b8; }
  .a { stroke: #6fb1ff; fill: #6fb1ff; } .b { stroke: #f0935a; fill: #f0935a; }
  .c { stroke: #c39bf0; fill: #c39bf0; } .d { stroke: #b2d05a; fill: #b2d05a; }
  text.a, text.b, text.c, text.d { stroke: none; }
}
""".strip()


@dataclass(frozen=True)
class Line:
    """One line of a panel: its name, the class of its colour, and points (x, y); y None where there is no number."""

    name: str
    colour: str
    points: tuple[tuple[float, float | None], ...]
    dashed: bool = False

    @property
    def known(self) -> list[tuple[float, float]]:
        """The points that have a number that a logarithm can show."""
        return [(x, y) for x, y in self.points if y is not None and y > 0]


def svg(found: Measured) -> str:
    """The picture: left the percentiles of what is served, right answers a second of all that was measured."""
    main = next(sweep for sweep in found.sweeps if sweep.name == BATCHED)
    opened = any(step.rate is not None for step in main.steps)
    percentiles: list[tuple[str, str, Callable[[int], float | None]]] = [
        ("p99", "b", lambda i: main.steps[i].latency.p99),
        ("p95", "c", lambda i: main.steps[i].latency.p95),
        ("p50", "a", lambda i: main.steps[i].latency.p50),
    ]
    where, steps = xs(main), range(len(main.steps))
    left = [Line(name, colour, tuple((where[i], of(i)) for i in steps)) for name, colour, of in percentiles]
    right = [
        Line(
            sweep.name.removeprefix("served "),
            colour,
            tuple(zip(xs(sweep), (step.per_second for step in sweep.steps), strict=True)),
        )
        for sweep, colour in zip(found.sweeps, "abd" if len(found.sweeps) > 2 else "ad", strict=False)
    ]
    if found.bare:
        best = max(step.per_second for step in found.bare)
        right.append(Line("bare model", "c", ((where[0], best), (where[-1], best)), dashed=True))
    across = "requests a second asked" if opened else "clients"
    width = (WIDTH - LEFT - 2 * RIGHT - BETWEEN) / 2
    cores = f"{found.machine.cores} cores, " if found.processes else ""
    title = f"{found.model or found.target}: {cores}{found.seconds:g} s a load"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{escape(title)}: latency and answers a second">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>',
        *panel("latency, milliseconds", across, left, LEFT, width),
        *panel("answers a second", across, right, LEFT + width + RIGHT + BETWEEN, width),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def xs(sweep: Sweep) -> list[float]:
    """Where the loads of a sweep stand."""
    return [float(step.clients if step.rate is None else step.rate) for step in sweep.steps]


def panel(title: str, across: str, lines: Sequence[Line], left: float, width: float) -> list[str]:
    """Axes, lines and their names; both axes are logarithmic."""
    known = [point for line in lines for point in line.known]
    height = HEIGHT - TOP - BOTTOM
    parts = [f'<text class="title" x="{left:.1f}" y="{TOP - 16}">{escape(title)}</text>']
    if not known:
        return [*parts, f'<text x="{left:.1f}" y="{TOP + 20}">too few requests</text>']
    ticks = sorted({x for line in lines for x, _ in line.points})
    x = axis(ticks[0], ticks[-1], left, left + width)
    low, high = bounds([value for _, value in known])
    y = axis(low, high, TOP + height, TOP)
    for value in steps_between(low, high):
        parts.append(
            f'<line class="grid" x1="{left:.1f}" x2="{left + width:.1f}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        )
        parts.append(f'<text x="{left - 8:.1f}" y="{y(value) + 4:.1f}" text-anchor="end">{value:,g}</text>')
    for value in ticks:
        parts.append(f'<text x="{x(value):.1f}" y="{TOP + height + 20}" text-anchor="middle">{value:,g}</text>')
    parts.append(f'<text x="{left + width / 2:.1f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>')
    ends = []
    for line in lines:
        if not line.known:
            continue
        points = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in line.known)
        dashed = " dashed" if line.dashed else ""
        parts.append(f'<polyline class="line {line.colour}{dashed}" style="fill:none" points="{points}"/>')
        if not line.dashed:
            parts += [
                f'<circle class="{line.colour}" cx="{x(at):.1f}" cy="{y(value):.1f}" r="3"/>'
                for at, value in line.known
            ]
        ends.append((y(line.known[-1][1]), line))
    for at, line in apart(ends):
        parts.append(
            f'<text class="{line.colour}" x="{left + width + 10:.1f}" y="{at + 4:.1f}">{escape(line.name)}</text>'
        )
    return parts


def axis(low: float, high: float, begin: float, end: float) -> Callable[[float], float]:
    """Where a value stands between two pixels, by its logarithm."""
    span = math.log(high / low)
    return lambda value: begin + (end - begin) * (math.log(value / low) / span if span else 0.5)


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """The next of 1, 2, 5, 10, … below the least and above the greatest."""
    low, high = min(values), max(values)
    all_steps = [m * 10.0**e for e in range(-7, 10) for m in (1, 2, 5)]
    below = max((step for step in all_steps if step <= low), default=low)
    above = min((step for step in all_steps if step >= high), default=high)
    return (below, above) if above > below else (below, below * 2)


def steps_between(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, … from one to the other; powers of ten alone where these would be many."""
    few = math.log10(high / low) <= 3
    found = [m * 10.0**e for e in range(-7, 10) for m in ((1, 2, 5) if few else (1,))]
    return [value for value in found if low * 0.999 <= value <= high * 1.001]


def apart(ends: Sequence[tuple[float, Line]]) -> list[tuple[float, Line]]:
    """The names' heights, moved so that none covers another."""
    found: list[tuple[float, Line]] = []
    for at, line in sorted(ends, key=lambda one: one[0]):
        found.append((max(at, found[-1][0] + APART) if found else at, line))
    over = max(0.0, found[-1][0] - (HEIGHT - BOTTOM)) if found else 0.0
    return [(at - over, line) for at, line in found]
