"""Rows of the benchmark's table: medians, ratios of pairs, marks, and their layout. Pure functions."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEAD = ("measure", "service", "bare", "figure", "range", "required", "aim", "mark", "about")
RIGHT = {"service", "bare", "figure", "range", "required", "aim"}  # columns of numbers


@dataclass(frozen=True)
class Figure:
    """A number with a range: the median of several rounds, the least and the greatest."""

    median: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Bound:
    """What a figure has to be, and what it should become."""

    required: float
    aim: float
    at_least: bool = False  # otherwise at most

    def is_met(self, figure: float) -> bool:
        """Return whether the figure is what is required."""
        return figure >= self.required if self.at_least else figure <= self.required


@dataclass(frozen=True)
class Row:
    """One measure. Without a bound, or if it does not apply to this run, it is only reported."""

    measure: str
    figure: Figure
    unit: str = ""  # "×" for a ratio
    service: str = ""
    bare: str = ""
    bound: Bound | None = None
    applies: bool = True  # the bound, to a run of this size
    about: str = ""

    @property
    def mark(self) -> str:
        """Return PASS if the figure is what is required, – if it is not, "" if nothing is required of this run."""
        if self.bound is None or not self.applies:
            return ""
        return "PASS" if self.bound.is_met(self.figure.median) else "–"

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the row, as in HEAD."""
        least, greatest = number(self.figure.least), number(self.figure.greatest)
        sign = "" if self.bound is None else "≥ " if self.bound.at_least else "≤ "
        return (
            self.measure,
            self.service,
            self.bare,
            with_unit(self.figure.median, self.unit),
            "" if least == greatest else f"{least} to {greatest}",
            "" if self.bound is None else sign + number(self.bound.required),
            "" if self.bound is None else sign + number(self.bound.aim),
            self.mark,
            self.about,
        )


def summary(values: Iterable[float]) -> Figure:
    """Return the median and the range of values, of which there is at least one."""
    found = list(values)
    return Figure(statistics.median(found), min(found), max(found))


def ratios(pairs: Iterable[tuple[float, float]]) -> Figure:
    """Return the median and the range of the ratio in each pair, which were measured side by side."""
    return summary(one / other for one, other in pairs)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the least value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    place = -(-share * len(ordered) // 1)  # rounded up
    return ordered[max(0, min(len(ordered), int(place)) - 1)]


def number(value: float) -> str:
    """Return the value with two or three significant digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def with_unit(value: float, unit: str) -> str:
    """Return the value with its unit: behind it, but a × in front."""
    return f"× {number(value)}" if unit == "×" else f"{number(value)} {unit}".strip()


def render(rows: Sequence[Row]) -> str:
    """Return the table, whose columns are as wide as their longest text."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "  ".join(
            text.rjust(width) if name in RIGHT else text.ljust(width)
            for name, text, width in zip(HEAD, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )
