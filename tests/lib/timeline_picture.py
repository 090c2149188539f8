"""A picture of what happened over some minutes, as an SVG that needs nothing else: panels with lines, panels with bars,
and marks. The same data gives the same picture.

    picture = Picture("What it shows", start_s, end_s)
    picture.mark(at_s, "w1 is killed")
    picture.lines("lag", "records", [("worker", [(at_s, value), …]), …])
    picture.bars("alerts", [("TargetDown", [(from_s, to_s, "pending"), …]), …])
    open(path, "w").write(picture.svg())
"""

from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 960, 190, 20
PANEL, GAP, BAR = 110, 34, 16
TOP = 84
COLOURS = ("#1f77b4", "#d95f02", "#1b9e77", "#7b4fa3", "#8c6d31")
STATES = {"pending": "#f5c26b", "firing": "#c0392b"}
BREAK_S = 2.5  # a line ends where values are missing for longer


def nice(value):
    """The next number above that is easy to read."""
    if value <= 0:
        return 1
    power = 1
    while power < value:
        power *= 10
    while power > value:
        power /= 10
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


class Picture:
    def __init__(self, title, start_s, end_s):
        self.title, self.start_s, self.end_s = title, start_s, end_s
        self.marks, self.panels, self.y = [], [], TOP

    def mark(self, at_s, text):
        self.marks.append((at_s, text))

    def x(self, at_s):
        share = (at_s - self.start_s) / (self.end_s - self.start_s)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def lines(self, title, unit, series):
        """A panel of lines; values that are missing leave a gap."""
        top = nice(max((value for _, points in series for _, value in points), default=0))
        bottom = self.y + PANEL
        out = self.frame(title, unit, PANEL)
        for share in (0, 0.5, 1):
            y = bottom - share * PANEL
            out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:g}" y2="{y:g}"/>')
            out.append(f'<text class="small" text-anchor="end" x="{LEFT - 6}" y="{y + 4:g}">{share * top:g}</text>')
        for number, (name, points) in enumerate(series):
            colour = COLOURS[number % len(COLOURS)]
            out.append(f'<text class="small" fill="{colour}" x="10" y="{self.y + 44 + 15 * number}">{escape(name)}</text>')
            for piece in pieces(points):
                path = " ".join(f"{self.x(at)},{bottom - min(value / top, 1) * PANEL:.1f}" for at, value in piece)
                out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{path}"/>')
        self.end_panel(out, PANEL)

    def bars(self, title, rows):
        """A panel with a row for each name: [(from_s, to_s, state)]."""
        height = max(len(rows), 1) * (BAR + 6) + 4
        out = self.frame(title, "", height)
        for number, (name, spans) in enumerate(rows):
            y = self.y + 4 + number * (BAR + 6)
            out.append(f'<text class="small" text-anchor="end" x="{LEFT - 6}" y="{y + 12}">{escape(name)}</text>')
            for from_s, to_s, state in spans:
                width = max(self.x(to_s) - self.x(from_s), 1)
                out.append(f'<rect x="{self.x(from_s)}" y="{y}" width="{width:.1f}" height="{BAR}" '
                           f'fill="{STATES[state]}"/>')
        self.end_panel(out, height)

    def frame(self, title, unit, height):
        return [f'<rect class="frame" x="{LEFT}" y="{self.y}" width="{WIDTH - LEFT - RIGHT}" height="{height}"/>',
                f'<text class="title" x="{LEFT}" y="{self.y - 6}">{escape(title)}'
                + (f' <tspan class="small">{escape(unit)}</tspan>' if unit else "") + "</text>"]

    def end_panel(self, out, height):
        self.panels += out
        self.y += height + GAP

    def svg(self):
        bottom = self.y - GAP
        out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 44}" width="{WIDTH}" '
               f'height="{bottom + 44}" font-family="sans-serif">',
               "<style>.title{font-size:13px;font-weight:bold}.small{font-size:11px;font-weight:normal}"
               ".grid{stroke:#ddd}.frame{fill:#fafafa;stroke:#bbb}.mark{stroke:#555;stroke-dasharray:4 3}</style>",
               f'<rect width="{WIDTH}" height="{bottom + 44}" fill="white"/>',
               f'<text x="10" y="22" font-size="16" font-weight="bold">{escape(self.title)}</text>', *self.panels]
        for number, (at_s, text) in enumerate(self.marks):
            x, y = self.x(at_s), 40 + 13 * (number % 2)
            out.append(f'<line class="mark" x1="{x}" x2="{x}" y1="{y + 3}" y2="{bottom}"/>')
            anchor, beside = ("end", x - 3) if x > WIDTH * 0.85 else ("start", x + 3)
            out.append(f'<text class="small" text-anchor="{anchor}" x="{beside:g}" y="{y}">{escape(text)}</text>')
        for seconds in range(0, int(self.end_s - self.start_s) + 1, 10):
            out.append(f'<text class="small" text-anchor="middle" x="{self.x(self.start_s + seconds)}" '
                       f'y="{bottom + 16}">{seconds}</text>')
        out.append(f'<text class="small" text-anchor="middle" x="{(LEFT + WIDTH) // 2}" y="{bottom + 34}">seconds</text>')
        return "\n".join([*out, "</svg>", ""])


def pieces(points):
    """The points of a line in pieces without gaps."""
    found = []
    for at_s, value in points:
        if not found or at_s - found[-1][-1][0] > BREAK_S:
            found.append([])
        found[-1].append((at_s, value))
    return found


def spans(points, state, end_s, step_s=1):
    """Bars of a series that is there while something lasts."""
    return [(piece[0][0], min(piece[-1][0] + step_s, end_s), state) for piece in pieces(points)]
