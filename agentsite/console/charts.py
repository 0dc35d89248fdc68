"""Small SVG charts rendered on the server, without scripts or inline styles. dashboard.css sets the colours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.text import shortened, visible

WIDTH, HEIGHT = 420, 150  # of a column chart, in units of its viewBox
FLOOR = 22  # space below the columns for their names
ROW = 30  # height of one bar
NAME = 138  # width of a bar's name
FIGURE = 96  # width of the text after a bar
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
LETTERS = 16  # characters of a name that are shown


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart: its parts, each with a CSS class, and the text after it."""

    name: str
    parts: Sequence[tuple[str, int]]
    figure: str

    @property
    def total(self) -> int:
        """Sum of all parts."""
        return sum(value for _, value in self.parts)


def columns(title: str, values: Sequence[tuple[str, str, float]], written: Callable[[Any], str] = str) -> SafeString:
    """Draw a column chart.

    Each value is (name below the column, full name for its tooltip, number). The title is the label for screen readers.

    Args:
        written: makes of a number the text above its column, which has room for five characters.
    """
    top = max((value for _, _, value in values), default=0) or 1
    step = WIDTH / max(len(values), 1)
    room = HEIGHT - FLOOR - 16
    drawn = []
    for number, (name, full, value) in enumerate(values):
        height = round(room * value / top, 1)
        left, middle = round(number * step + step * 0.15, 1), round((number + 0.5) * step, 1)
        y = round(HEIGHT - FLOOR - height, 1)
        drawn.append(
            (
                left,
                y,
                round(step * 0.7, 1),
                height,
                full,
                value,
                middle,
                y - 4,
                written(value) if value else "",
                middle,
                name,
            )
        )
    shapes = format_html_join(
        "",
        '<rect class="column" x="{}" y="{}" width="{}" height="{}" rx="3"><title>{}: {}</title></rect>'
        '<text class="value" x="{}" y="{}" text-anchor="middle">{}</text>'
        f'<text class="name" x="{{}}" y="{HEIGHT - 6}" text-anchor="middle">{{}}</text>',
        drawn,
    )
    y = HEIGHT - FLOOR
    floor = format_html('<line class="floor" x1="0" y1="{}" x2="{}" y2="{}"/>', y, WIDTH, y)
    return _svg(title, HEIGHT, format_html("{}{}", floor, shapes))


def compact(number: float) -> str:
    """Return a number from 0 in at most five characters, such as 950, 12k, 1.2M or 0.03."""
    for size, unit in UNITS:
        if number >= size:
            return f"{number / size:.0f}{unit}" if number >= 10 * size else f"{number / size:.1f}{unit}"
    if number >= 100 or number == int(number):
        return f"{number:.0f}"
    return f"{number:.2f}" if number >= 0.01 else "<0.01"


def bars(title: str, rows: Sequence[Bar]) -> SafeString:
    """Draw one horizontal stacked bar per row, all on the same scale."""
    top = max((row.total for row in rows), default=0) or 1
    room = WIDTH - NAME - FIGURE
    drawn = [_bar(number * ROW, row, room / top) for number, row in enumerate(rows)]
    return _svg(title, max(len(rows), 1) * ROW, format_html_join("", "{}", ((one,) for one in drawn)))


def _bar(y: int, row: Bar, scale: float) -> SafeString:
    left = float(NAME)
    parts = []
    for kind, value in row.parts:
        if value:
            parts.append((kind, round(left, 1), y + 7, max(round(value * scale, 1), 2), value))
            left += value * scale
    shapes = format_html_join(
        "", '<rect class="part {}" x="{}" y="{}" width="{}" height="16"><title>{}</title></rect>', parts
    )
    name = visible(row.name)
    return format_html(
        '<text class="name" x="0" y="{0}">{1}<title>{2}</title></text>{3}'
        '<text class="value" x="{4}" y="{0}">{5}</text>',
        y + 20,
        shortened(name, LETTERS),
        name,
        shapes,
        round(left + 8, 1),
        row.figure,
    )


def _svg(title: str, height: int, shapes: SafeString) -> SafeString:
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>', WIDTH, height, title, shapes
    )
