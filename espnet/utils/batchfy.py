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


def _seq_end(items: list[Item], start: int, limits: BatchLimits) -> int:
    ilen, olen = _lengths(items[start])
    shrink = max(ilen // limits.max_length_in, olen // limits.max_length_out)
    return start + max(1, limits.min_batch_size, limits.batch_size // (1 + shrink))


def _bin_end(items: list[Item], start: int, limits: BatchLimits) -> int:
    idim = int(items[start][1]["input"][0]["shape"][-1])
    odim = int(items[start][1]["output"][0]["shape"][-1])
    widest_in = widest_out = 0
    end = start
    for end in range(start, len(items)):
        ilen, olen = _lengths(items[end])
        widest_in, widest_out = max(widest_in, ilen), max(widest_out, olen)
        bins = (widest_in * idim + widest_out * odim) * (end - start + 1)
        if bins > limits.batch_bins:
            return max(end, start + max(1, limits.min_batch_size))
    return end + 1


def _frame_end(items: list[Item], start: int, limits: BatchLimits) -> int:
    widest_in = widest_out = 0
    for end in range(start, len(items)):
        ilen, olen = _lengths(items[end])
        widest_in, widest_out = max(widest_in, ilen), max(widest_out, olen)
        rows = end - start + 1
        for name, limit, frames in (
            ("batch-frames-in", limits.batch_frames_in, widest_in),
            ("batch-frames-out", limits.batch_frames_out, widest_out),
            ("batch-frames-inout", limits.batch_frames_inout, widest_in + widest_out),
        ):
            if limit <= 0 or frames * rows <= limit:
                continue
            if rows == 1:
                raise UserError(
                    f"{name}: {limit} is less than utterance '{items[end][0]}' alone "
                    f"has ({frames}); raise it or remove the utterance"
                )
            return max(end, start + limits.min_batch_size)
    return len(items)


BATCH_COUNTS: dict[str, Callable[[list[Item], int, BatchLimits], int]] = {
    "seq": _seq_end,
    "bin": _bin_end,
    "frame": _frame_end,
}


def make_batchset(
    data: Mapping[str, dict[str, Any]],
    batch_size: int = 0,
    max_length_in: float = float("inf"),
    max_length_out: float = float("inf"),
    num_batches: int = 0,
    min_batch_size: int = 1,
    shortest_first: bool = False,
    count: str = "auto",
    batch_bins: int = 0,
    batch_frames_in: int = 0,
    batch_frames_out: int = 0,
    batch_frames_inout: int = 0,
) -> list[Minibatch]:
    """Cut utterances into minibatches, with the numbers named one by one.

    Args:
        data: the ``utts`` of a data.json.
        num_batches: keep only the first so many batches, if above 0.
        shortest_first: order the batches by rising length (sortagrad).

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
    return cut_batches(data, limits, num_batches, shortest_first)


def cut_batches(
    data: Mapping[str, dict[str, Any]],
    limits: BatchLimits,
    num_batches: int = 0,
    shortest_first: bool = False,
) -> list[Minibatch]:
    """Cut utterances into minibatches.

    Utterances of different ``category`` never share a batch. Inside a batch the longest
    input comes first.

    Raises:
        UserError: limits that fit no utterance, or fewer utterances than a batch needs.
    """
    mode = limits.mode()
    batches: list[Minibatch] = []
    for group in _by_category(data.items()):
        if len(group) < limits.min_batch_size:
            raise UserError(
                f"{len(group)} utterances are fewer than a batch needs "
                f"({limits.min_batch_size}); use fewer GPUs or more data"
            )
        group.sort(key=_input_length, reverse=not shortest_first)
        batches += _cut(group, mode, limits)
    if shortest_first:
        for batch in batches:
            batch.reverse()
    return batches[:num_batches] if num_batches > 0 else batches


def _by_category(items: Iterable[Item]) -> list[list[Item]]:
    groups: dict[Any, list[Item]] = {}
    for item in items:
        groups.setdefault(item[1].get("category"), []).append(item)
    return list(groups.values())


def _cut(items: list[Item], mode: str, limits: BatchLimits) -> list[Minibatch]:
    find_end = BATCH_COUNTS[mode]
    batches: list[Minibatch] = []
    start = 0
    while start < len(items):
        end = min(find_end(items, start, limits), len(items))
        batches.append(items[start:end])
        start = end
    missing = limits.min_batch_size - len(batches[-1])
    if missing > 0 and mode == "seq":
        earlier = items[: len(items) - len(batches[-1])]
        batches[-1] += random.Random(0).sample(earlier, missing)
        batches[-1].sort(
            key=_input_length,
            reverse=_input_length(items[0]) > _input_length(items[-1]),
        )
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


def _input_length(item: Item) -> int:
    return int(item[1]["input"][0]["shape"][0])


def _lengths(item: Item) -> tuple[int, int]:
    entry = item[1]
    outputs = entry["output"]
    olen = outputs[0]["shape"][0]
    if len(outputs) > 1:  # a mixture of speakers: the longest of them
        olen = max(output["shape"][0] for output in outputs)
    return int(entry["input"][0]["shape"][0]), int(olen)


def describe_batches(batches: Sequence[Minibatch]) -> str:
    """Sizes, padding and the longest utterance, in words."""
    sizes = [len(batch) for batch in batches]
    frames = sum(_input_length(item) for batch in batches for item in batch)
    padded = sum(_input_length(batch[0]) * len(batch) for batch in batches)
    padding = 1 - frames / padded
    uttid, entry = max((batch[0] for batch in batches), key=_input_length)
    ilen, olen = _lengths((uttid, entry))
    size = f"{min(sizes)} to {max(sizes)}" if min(sizes) < max(sizes) else f"{sizes[0]}"
    plural = "es" if len(batches) > 1 else ""
    return (
        f"{sum(sizes)} utterances in {len(batches)} minibatch{plural} of {size}, "
        f"{padding:.1%} padding; longest: {uttid}, {ilen} frames, {olen} labels"
    )
