"""Figures of a training run; matplotlib is imported when the first is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

DPI = 100
MAX_TICKS = 60  # more labels than this cannot be read
PEAK = 0.3  # a token is named where its posterior rises above this


def draw_curves(
    series: Mapping[str, tuple[Sequence[int], Sequence[float]]], title: str
) -> Any:
    """Lines over epochs: name -> (epochs, values); validation is dashed."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    colors: dict[str, str] = {}  # training and validation share one
    for name, (epochs, values) in series.items():
        what = name.rpartition("/")[2]
        color = colors.setdefault(what, f"C{len(colors)}")
        style = "--" if name.startswith("validation") else "-"
        axes.plot(epochs, values, style, color=color, marker=".", label=name)
    axes.set_xlabel("epoch")
    axes.set_title(title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(True, alpha=0.3)
    axes.legend()
    return figure


def draw_attention(weights: np.ndarray, tokens: Sequence[str], title: str) -> Any:
    """Weights (L, T), or (H, L, T) one below the other; ``tokens`` name the L rows."""
    from matplotlib.figure import Figure

    heads = weights if weights.ndim == 3 else weights[None]
    figure = Figure(figsize=(8, 3 + 2.5 * (len(heads) - 1)), layout="constrained")
    rows = figure.subplots(len(heads), 1, squeeze=False)[:, 0]
    for axes, head in zip(rows, heads, strict=True):
        axes.imshow(head.astype(np.float32), aspect="auto", interpolation="nearest")
        axes.set_ylabel("output")
        if len(tokens) == len(head) <= MAX_TICKS:
            axes.set_yticks(range(len(tokens)), tokens, fontsize=7, parse_math=False)
    rows[0].set_title(title, parse_math=False)
    rows[-1].set_xlabel("encoder frame")
    return figure


def draw_posteriors(posteriors: np.ndarray, tokens: Sequence[str], title: str) -> Any:
    """CTC posteriors (T, V) over time; ``tokens`` name the V columns, blank first."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.add_subplot()
    frames = np.arange(len(posteriors))
    axes.plot(frames, posteriors[:, 0], ":", color="0.6", label="blank")
    for token in np.flatnonzero(posteriors[:, 1:].max(axis=0) > PEAK) + 1:
        column = posteriors[:, token]
        line = axes.plot(frames, column)[0]
        for peak in _peaks(column):
            axes.annotate(
                tokens[int(token)],
                (peak, column[peak]),
                xytext=(0, 2),
                textcoords="offset points",
                fontsize=7,
                color=line.get_color(),
                ha="center",
                parse_math=False,
            )
    axes.set_ylim(0, 1.15)
    axes.set_xlabel("encoder frame")
    axes.set_ylabel("posterior")
    axes.set_title(title, parse_math=False)
    axes.legend(loc="upper right")
    return figure


def _peaks(column: np.ndarray) -> list[int]:
    """The highest frame of each stretch where a posterior is above ``PEAK``."""
    edges = np.flatnonzero(np.diff(np.r_[False, column > PEAK, False].astype(int)))
    return [
        int(start + column[start:end].argmax())
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]


def to_png(figure: Any) -> tuple[bytes, np.ndarray]:
    """A figure as the bytes of a PNG file and as pixels (height, width, RGB)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    stream = BytesIO()
    canvas.print_png(stream)
    return stream.getvalue(), np.asarray(canvas.buffer_rgba())[..., :3].copy()
