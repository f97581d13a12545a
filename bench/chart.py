"""The chart of docs/performance.md: how long a cold response takes to the deny, at each delay."""

from xml.sax.saxutils import escape

COLOURS = {"iam-responder": "#3fb950", "baseline": "#58a6ff", "custodian": "#db6d28"}
LEFT, WIDTH, BAR, GAP, TOP = 190, 560, 22, 18, 62


def drawn(title, groups, words):
    """`groups` are a label and, by subject, the quartiles and the median, in milliseconds."""
    most = max(high for _, bars in groups for _, _, high in bars.values())
    scale, y, parts = WIDTH / most, TOP, []
    for label, bars in groups:
        parts.append(f'<text class="h" x="20" y="{y + BAR * 2 - 6}">{escape(label)}</text>')
        for name, (low, middle, high) in bars.items():
            line = y + BAR / 2 - 1
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{middle * scale:.1f}" height="{BAR - 4}" rx="3" fill="{COLOURS[name]}"/>')
            parts.append(f'<path d="M{LEFT + low * scale:.1f} {line}H{LEFT + high * scale:.1f}" stroke="#c9d1d9" stroke-width="2"/>')
            parts.append(f'<text x="{LEFT + high * scale + 8:.1f}" y="{y + BAR - 8}">{middle:,.0f} ms</text>')
            y += BAR
        y += GAP
    for number, (name, said) in enumerate(words.items()):
        x = LEFT + number * 190
        parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" rx="3" fill="{COLOURS[name]}"/><text x="{x + 18}" y="{y + 11}">{escape(said)}</text>')
    width, height = LEFT + WIDTH + 130, y + 30
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">',
            f"<title>{escape(title)}</title>",
            "<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#c9d1d9}.h{font-weight:bold}</style>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
            f'<text class="h" x="20" y="34">{escape(title)}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )
