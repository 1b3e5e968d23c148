"""The comparison as a chart for the documentation."""

from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.builds.comparison import Change, Contender, Figure

_COLORS = {
    Contender.HAND_WRITTEN: "#9aa5b1",
    Contender.CORRECTED: "#3e7cb1",
    Contender.BUILDYARD: "#1f7a4d",
    Contender.ONE_JOB: "#d9822b",
    Contender.NO_CACHE: "#c5cdd5",
}
_LEFT, _RIGHT, _WIDTH = 30, 230, 860
_BAR, _GAP, _GROUP, _TOP, _LINE = 16, 4, 34, 92, 20


def draw(
    figures: Mapping[tuple[Change, Contender], Figure], labels: Mapping[Contender, str], notes: Sequence[str]
) -> str:
    """Draw an SVG with one group of bars per change, one bar per contender in `labels`, and the notes below."""
    scale = (_WIDTH - _LEFT - _RIGHT) / max(each.seconds for each in figures.values())
    body, rows = _legend(labels)
    y = _TOP + (rows - 1) * _LINE
    for change in Change:
        body.append(_text(_LEFT, y, str(change), "font-weight='600'"))
        y += 10
        for contender in labels:
            each = figures[change, contender]
            length = max(each.seconds * scale, 1)
            body.append(
                f"<rect x='{_LEFT}' y='{y}' width='{length:.1f}' height='{_BAR}' rx='2' fill='{_COLORS[contender]}'/>"
            )
            body.append(
                _text(
                    _LEFT + length + 6,
                    y + 13,
                    f"{each.seconds:.1f} s · {each.ratio:.1%}, work {each.work:.1%}",
                    "font-size='12'",
                )
            )
            y += _BAR + _GAP
        y += _GROUP
    for note in notes:
        body.append(_text(_LEFT, y - 6, note, "font-size='11' fill='#52606d'"))
        y += 16
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {y}' font-family='system-ui, sans-serif' "
            "font-size='14' fill='#1f2933'>",
            f"<rect width='{_WIDTH}' height='{y}' fill='#fff'/>",
            _text(
                _LEFT,
                30,
                "Seconds of a build job; its time and processor work relative to the hand-written job",
                "font-size='17'",
            ),
            *body,
            "</svg>\n",
        ]
    )


def _legend(labels: Mapping[Contender, str]) -> tuple[list[str], int]:
    """The legend, and the number of its rows."""
    drawn, x, row = [], _LEFT, 0
    for contender, label in labels.items():
        width = 18 + 7 * len(label)
        if x + width > _WIDTH - _LEFT:
            x, row = _LEFT, row + 1
        y = 46 + row * _LINE
        drawn.append(f"<rect x='{x}' y='{y}' width='12' height='12' rx='2' fill='{_COLORS[contender]}'/>")
        drawn.append(_text(x + 18, y + 10, label, "font-size='12'"))
        x += width + 16
    return drawn, row + 1


def _text(x: float, y: float, text: str, style: str) -> str:
    return f"<text x='{x:.1f}' y='{y}' {style}>{escape(text)}</text>"
