"""Pieces of a web page that needs no other file: escaped text, tables, style."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

VOID = frozenset({"meta"})
STYLE = """
:root { color-scheme: light dark; --text: #1b1b1b; --back: #fff; --soft: #f2f2f2;
  --line: #c8c8c8; --sub: #8a4b00; --del: #a4001d; --ins: #0b4fb3; --bar: #f3c4b8; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --back: #161616;
  --soft: #242424; --line: #4a4a4a; --sub: #ffb454; --del: #ff8b97; --ins: #8fbcff;
  --bar: #6b2f25; } }
body { color: var(--text); background: var(--back); margin: 2rem auto; padding: 0 1rem;
  max-width: 70rem; font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
h3 { font-size: 1rem; margin: 0; } h3 small { font-weight: normal; margin-left: 1rem; }
.tables { display: flex; flex-wrap: wrap; gap: 2rem; align-items: flex-start;
  overflow-x: auto; }
table { border-collapse: collapse; } caption { text-align: left; font-weight: bold; }
th, td { border-bottom: 1px solid var(--line); padding: .15rem .6rem; }
td { text-align: right; font-variant-numeric: tabular-nums; }
th[scope=row], td.word { text-align: left; font-weight: normal; }
td.bar { background: linear-gradient(to right, var(--bar) var(--share), #0000 0); }
article { background: var(--soft); border-radius: .4rem; margin: .8rem 0;
  padding: .6rem 1rem; }
article p { margin: .3rem 0; overflow-wrap: anywhere; }
del { text-decoration: line-through; } ins { text-decoration: underline; }
.s del, .s ins { color: var(--sub); } .s del { margin-right: .2em; }
del.d { color: var(--del); font-weight: bold; }
ins.i { color: var(--ins); font-weight: bold; }
audio { height: 2rem; max-width: 100%; } summary { cursor: pointer; }
"""


def tag(element: str, content: str = "", /, **attributes: str) -> str:
    """An element around ``content``, which is HTML already.

    Args:
        element: its name.
        content: what is inside; see :func:`escaped`.
        attributes: their values, plain text; ``class_`` is written ``class``,
            ``aria_label`` ``aria-label``.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    return f"<{element}{given}>" + ("" if element in VOID else f"{content}</{element}>")


def escaped(text: str) -> str:
    """Plain text as HTML."""
    return escape(text, quote=False)


def table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    bar: int | None = None,
) -> str:
    """A table of plain text.

    Args:
        caption: its title.
        heads: of the columns.
        rows: the first cell of each is its name.
        bar: the column of percentages behind which a bar stands.
    """
    head = tag("tr", "".join(tag("th", escaped(h), scope="col") for h in heads))
    body = "".join(_row(row, bar) for row in rows)
    return tag(
        "table",
        tag("caption", escaped(caption)) + tag("thead", head) + tag("tbody", body),
    )


def _row(row: Sequence[str], bar: int | None) -> str:
    cells = tag("th", escaped(row[0]), scope="row")
    for number, cell in enumerate(row[1:], 1):
        if number == bar:
            share = f"--share: {min(100.0, float(cell)):.1f}%"
            cells += tag("td", escaped(cell), class_="bar", style=share)
        elif cell.replace(".", "").isdecimal():
            cells += tag("td", escaped(cell))
        else:
            cells += tag("td", escaped(cell), class_="word")
    return tag("tr", cells)


def page(title: str, body: str) -> str:
    """A whole page with a plain title and a body that is HTML already."""
    head = (
        tag("meta", charset="utf-8")
        + tag("meta", name="viewport", content="width=device-width, initial-scale=1")
        + tag("title", escaped(title))
        + tag("style", STYLE)
    )
    main = tag("main", tag("h1", escaped(title)) + body)
    inside = tag("head", head) + tag("body", main)
    return "<!doctype html>\n" + tag("html", inside, lang="en") + "\n"
