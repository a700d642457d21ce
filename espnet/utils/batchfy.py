"""Minibatches of utterances of similar length.

Utterances are sorted by input length and cut into runs; ``--batch-count`` says what
limits a run: sequences (``seq``), bins of the padded tensors (``bin``) or frames
(``frame``).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from espnet.utils.errors import UserError, one_of

Item = tuple[str, dict[str, Any]]  # utterance id and its entry in data.json
Minibatch = list[Item]


@dataclass(frozen=True)
class BatchLimits:
    """When a minibatch is full; the defaults are those of ``asr_train.py``.

    Attributes:
        count: which numbers count; ``auto`` takes the first kind that is set.
        batch_size: sequences (``seq``).
        max_length_in: input length at which the number of sequences halves, ...
        max_length_out: the same for the output length.
        batch_bins: ``(max input length * D + max output length * V) * sequences``.
        batch_frames_in: ``max input length * sequences``; 0 is no limit.
        batch_frames_out: ``max output length * sequences``; 0 is no limit.
        batch_frames_inout: sum of both; 0 is no limit.
        min_batch_size: sequences that a batch has at least (one per GPU).
    """

    count: str = "auto"
    batch_size: int = 0
    max_length_in: int = 800
    max_length_out: int = 150
    batch_bins: int = 0
    batch_frames_in: int = 0
    batch_frames_out: int = 0
    batch_frames_inout: int = 0
    min_batch_size: int = 1

    def mode(self) -> str:
        """The counting mode, ``auto`` resolved.

        Raises:
            UserError: unknown mode, or its number is not set.
        """
        frames = self.batch_frames_in, self.batch_frames_out, self.batch_frames_inout
        given = {
            "seq": self.batch_size > 0,
            "bin": self.batch_bins > 0,
            "frame": max(frames) > 0,
        }
        if self.count == "auto":
            chosen = next((mode for mode, is_given in given.items() if is_given), "")
            if not chosen:
                raise UserError(
                    "batch-count: auto needs one of --batch-size, --batch-bins, "
                    "--batch-frames-in, --batch-frames-out, --batch-frames-inout"
                )
            return chosen
        if self.count not in BATCH_COUNTS:
            raise UserError(one_of("batch-count", self.count, ("auto", *BATCH_COUNTS)))
        if not given[self.count]:
            flags = {
                "seq": "--batch-size",
                "bin": "--batch-bins",
                "frame": "--batch-frames-in, -out or -inout",
            }
            raise UserError(
                f"batch-count: {self.count} needs {flags[self.count]} above 0"
            )
        return self.count


@dataclass(frozen=True)
class Sides:
    """Where the lengths of a model's input and output stand in an entry.

    Attributes:
        swapped: the input is ``output`` of data.json (synthesis: text to features).
        iaxis: which item of the list is the input.
        oaxis: which item is the output.
    """

    swapped: bool = False
    iaxis: int = 0
    oaxis: int = 0

    def input_shape(self, entry: Mapping[str, Any]) -> Sequence[int]:
        """The shape whose first number is the input's length."""
        shape: Sequence[int] = entry["output" if self.swapped else "input"][self.iaxis][
            "shape"
        ]
        return shape

    def output_shape(self, entry: Mapping[str, Any]) -> Sequence[int]:
        """The shape of the output; of the longest where speakers are mixed."""
        parts = entry["input" if self.swapped else "output"]
        if len(parts) > 1 and not (self.swapped or self.oaxis):
            return max((part["shape"] for part in parts), key=lambda shape: shape[0])
        shape: Sequence[int] = parts[self.oaxis]["shape"]
        return shape


RECOGNITION = Sides()


@dataclass(frozen=True)
class _Group:
    """Utterances in the order in which they are cut, with their lengths."""

    items: list[Item]
    ilens: list[int]
    olens: list[int]
    idim: int
    odim: int


def _seq_end(group: _Group, start: int, limits: BatchLimits) -> int:
    shrink = max(
        group.ilens[start] // limits.max_length_in,
        group.olens[start] // limits.max_length_out,
    )
    return start + max(1, limits.min_batch_size, limits.batch_size // (1 + shrink))


def _bin_end(group: _Group, start: int, limits: BatchLimits) -> int:
    idim, odim, most = group.idim, group.odim, limits.batch_bins
    ilens, olens = group.ilens, group.olens
    widest_in = widest_out = 0
    for end in range(start, len(ilens)):
        widest_in = max(widest_in, ilens[end])
        widest_out = max(widest_out, olens[end])
        if (widest_in * idim + widest_out * odim) * (end - start + 1) > most:
            return max(end, start + max(1, limits.min_batch_size))
    return len(ilens)


def _frame_end(group: _Group, start: int, limits: BatchLimits) -> int:
    never = 2**62
    most_in, most_out, most_both = (
        limit if limit > 0 else never
        for limit in (
            limits.batch_frames_in,
            limits.batch_frames_out,
            limits.batch_frames_inout,
        )
    )
    ilens, olens = group.ilens, group.olens
    widest_in = widest_out = 0
    for end in range(start, len(ilens)):
        widest_in = max(widest_in, ilens[end])
        widest_out = max(widest_out, olens[end])
        rows = end - start + 1
        if (
            widest_in * rows > most_in
            or widest_out * rows > most_out
            or (widest_in + widest_out) * rows > most_both
        ):
            if rows == 1:
                raise _too_long(group, start, limits)
            return max(end, start + limits.min_batch_size)
    return len(ilens)


def _too_long(group: _Group, number: int, limits: BatchLimits) -> UserError:
    """The error that names an utterance which alone is above a limit."""
    ilen, olen = group.ilens[number], group.olens[number]
    name, limit, frames = next(
        (name, limit, frames)
        for name, limit, frames in (
            ("batch-frames-in", limits.batch_frames_in, ilen),
            ("batch-frames-out", limits.batch_frames_out, olen),
            ("batch-frames-inout", limits.batch_frames_inout, ilen + olen),
        )
        if 0 < limit < frames
    )
    return UserError(
        f"{name}: {limit} is less than utterance '{group.items[number][0]}' alone has "
        f"({frames}); raise it or remove the utterance"
    )


BATCH_COUNTS: dict[str, Callable[[_Group, int, BatchLimits], int]] = {
    "seq": _seq_end,
    "bin": _bin_end,
    "frame": _frame_end,
}


SORT_KEYS = ("input", "output", "shuffle")


def make_batchset(
    data: Mapping[str, dict[str, Any]],
    batch_size: int = 0,
    max_length_in: float = float("inf"),
    max_length_out: float = float("inf"),
    num_batches: int = 0,
    min_batch_size: int = 1,
    shortest_first: bool = False,
    batch_sort_key: str = "input",
    swap_io: bool = False,
    count: str = "auto",
    batch_bins: int = 0,
    batch_frames_in: int = 0,
    batch_frames_out: int = 0,
    batch_frames_inout: int = 0,
    iaxis: int = 0,
    oaxis: int = 0,
) -> list[Minibatch]:
    """Cut utterances into minibatches, with the numbers named one by one.

    Args:
        data: the ``utts`` of a data.json.
        num_batches: keep only the first so many batches, if above 0.
        shortest_first: order the batches by rising length (sortagrad).
        batch_sort_key: see :func:`cut_batches`.
        swap_io: the model's input is ``output`` of ``data`` (synthesis).
        iaxis: which item of the list is the model's input.
        oaxis: which item is its output.

    The other arguments are those of :class:`BatchLimits`.

    Returns:
        Batches of ``(utterance id, entry)``.
    """
    never = 2**62  # a length that no utterance reaches
    limits = BatchLimits(
        count=count,
        batch_size=batch_size,
        max_length_in=int(min(max_length_in, never)),
        max_length_out=int(min(max_length_out, never)),
        batch_bins=batch_bins,
        batch_frames_in=batch_frames_in,
        batch_frames_out=batch_frames_out,
        batch_frames_inout=batch_frames_inout,
        min_batch_size=min_batch_size,
    )
    sides = Sides(swap_io, iaxis, oaxis)
    return cut_batches(data, limits, num_batches, shortest_first, batch_sort_key, sides)


def cut_batches(
    data: Mapping[str, dict[str, Any]],
    limits: BatchLimits,
    num_batches: int = 0,
    shortest_first: bool = False,
    sort_key: str = "input",
    sides: Sides = RECOGNITION,
) -> list[Minibatch]:
    """Cut utterances into minibatches.

    Utterances of different ``category`` never share a batch. Inside a batch the longest
    comes first.

    Args:
        data: the ``utts`` of a data.json.
        limits: when a batch is full.
        num_batches: keep only the first so many batches, if above 0.
        shortest_first: order the batches by rising length.
        sort_key: ``input`` or ``output``: what makes lengths similar; ``shuffle``:
            nothing, utterances are mixed (``seq`` only).
        sides: where the model's input and output stand.

    Raises:
        UserError: limits that fit no utterance, or fewer utterances than a batch needs.
    """
    mode = limits.mode()
    if sort_key not in SORT_KEYS:
        raise UserError(one_of("batch-sort-key", sort_key, SORT_KEYS))
    if sort_key == "shuffle" and (mode != "seq" or shortest_first):
        reason = "sortagrad" if shortest_first else f"batch-count {mode}"
        raise UserError(
            f"batch-sort-key: shuffle does not go with {reason}; use input or output"
        )
    batches: list[Minibatch] = []
    for items in _by_category(data.items()):
        if len(items) < limits.min_batch_size:
            raise UserError(
                f"{len(items)} utterances are fewer than a batch needs "
                f"({limits.min_batch_size}); use fewer GPUs or more data"
            )
        batches += _cut(_sorted(items, sort_key, shortest_first, sides), mode, limits)
    if shortest_first:
        for batch in batches:
            batch.reverse()
    return batches[:num_batches] if num_batches > 0 else batches


def _by_category(items: Iterable[Item]) -> list[list[Item]]:
    groups: dict[Any, list[Item]] = {}
    for item in items:
        groups.setdefault(item[1].get("category"), []).append(item)
    return list(groups.values())


def _sorted(
    items: list[Item], sort_key: str, shortest_first: bool, sides: Sides
) -> _Group:
    """The utterances in order; equal lengths stay as they are."""
    ilens = [int(sides.input_shape(entry)[0]) for _, entry in items]
    olens = [int(sides.output_shape(entry)[0]) for _, entry in items]
    order = list(range(len(items)))
    if sort_key == "shuffle":
        random.Random(0).shuffle(order)
    else:
        lengths = ilens if sort_key == "input" else olens
        order.sort(key=lengths.__getitem__, reverse=not shortest_first)
    first = items[0][1]
    return _Group(
        items=[items[i] for i in order],
        ilens=[ilens[i] for i in order],
        olens=[olens[i] for i in order],
        idim=int(sides.input_shape(first)[-1]),
        odim=int(sides.output_shape(first)[-1]),
    )


def _cut(group: _Group, mode: str, limits: BatchLimits) -> list[Minibatch]:
    find_end = BATCH_COUNTS[mode]
    items = group.items
    batches: list[Minibatch] = []
    start = 0
    while start < len(items):
        end = min(find_end(group, start, limits), len(items))
        batches.append(items[start:end])
        start = end
    missing = limits.min_batch_size - len(batches[-1])
    if missing > 0 and mode == "seq":
        # in the order of the whole: earlier ones are longer, or with sortagrad shorter
        earlier = range(len(items) - len(batches[-1]))
        chosen = sorted(random.Random(0).sample(earlier, missing))
        batches[-1][:0] = [items[i] for i in chosen]
    elif missing > 0:
        _borrow(batches, limits.min_batch_size)
    return batches


def _borrow(batches: list[Minibatch], least: int) -> None:
    """Fill a short last batch from those before it, which then do the same."""
    i = len(batches) - 1
    while i > 0 and len(batches[i]) < least:
        missing = least - len(batches[i])
        batches[i][:0] = batches[i - 1][-missing:]
        del batches[i - 1][-missing:]
        i -= 1
    if len(batches[0]) < least:
        first = batches.pop(0)
        batches[0][:0] = first
