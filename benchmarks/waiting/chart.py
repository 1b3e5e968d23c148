"""The presets of warm capacity as a chart for the documentation: the wait against the node hours that it costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.waiting.presets import Figures

_LEFT, _TOP, _WIDTH, _LABELS, _ROW, _BAR, _GROUP = 24, 70, 860, 190, 24, 14, 40
_COLUMN = (_WIDTH - _LEFT - _LABELS) / 3


@dataclass(frozen=True, kw_only=True)
class _Column:
    head: str
    color: str
    unit: str
    value: Callable[[Figures], float]


_COLUMNS = (
    _Column(head="median wait", color="#3e7cb1", unit="s", value=lambda each: each.median),
    _Column(head="95 % wait at most", color="#3e7cb1", unit="s", value=lambda each: each.slowest_twentieth),
    _Column(head="node hours of the day", color="#d9822b", unit="h", value=lambda each: each.node_hours),
)


def draw(figures: Sequence[Figures]) -> str:
    """Draw an SVG with one group of rows per day: bars of the wait, and of the node hours that it costs."""
    body = [
        _text(_LEFT + _LABELS + number * _COLUMN, 34, column.head, "font-size='13' font-weight='600'")
        for number, column in enumerate(_COLUMNS)
    ]
    y = _TOP
    for day in dict.fromkeys(each.day for each in figures):
        body.append(_text(_LEFT, y, day, "font-weight='600'"))
        y += 12
        for each in (each for each in figures if each.day == day):
            body.append(_text(_LEFT, y + 12, each.preset, "font-size='12'"))
            for number, column in enumerate(_COLUMNS):
                largest = max(map(column.value, figures))
                label = f"{column.value(each):.0f} {column.unit}"
                share = column.value(each) / largest
                body += _bar(_LEFT + _LABELS + number * _COLUMN, y, share, column.color, label)
            y += _ROW
        y += _GROUP
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {y - 10}' "
            "font-family='system-ui, sans-serif' font-size='14' fill='#1f2933'>",
            f"<rect width='{_WIDTH}' height='{y - 10}' fill='#fff'/>",
            *body,
            "</svg>\n",
        ]
    )


def _bar(x: float, y: float, share: float, color: str, label: str) -> list[str]:
    length = max(share * (_COLUMN - 60), 1)
    return [
        f"<rect x='{x:.1f}' y='{y}' width='{length:.1f}' height='{_BAR}' rx='2' fill='{color}'/>",
        _text(x + length + 6, y + 12, label, "font-size='12'"),
    ]


def _text(x: float, y: float, text: str, style: str) -> str:
    return f"<text x='{x:.1f}' y='{y}' {style}>{escape(text)}</text>"
