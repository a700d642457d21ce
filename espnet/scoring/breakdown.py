"""Where the errors of a decoding are: by speaker, by length, by pair of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from espnet.scoring.alignment import ascii_lower, same
from espnet.scoring.sclite import Group, Utterance

LENGTHS = (0, 2, 5, 10, 20, 40)  # tokens of the reference: 0, 1-2, 3-5, ...


def by_speaker(utterances: Sequence[Utterance]) -> list[Group]:
    """The sums of each speaker, by name."""
    return sorted(_groups(utterances, lambda u: u.speaker), key=lambda g: g.name)


def by_length(utterances: Sequence[Utterance]) -> list[Group]:
    """The sums of utterances whose references are of like length, short ones first."""
    ordered = sorted(utterances, key=lambda u: u.counts.tokens)
    return _groups(ordered, lambda u: length_class(u.counts.tokens))


def length_class(tokens: int) -> str:
    """The name of a class of lengths: ``0``, ``1-2``, ..., ``over 40``."""
    least = 0
    for most in LENGTHS:
        if tokens <= most:
            return str(most) if least == most else f"{least}-{most}"
        least = most + 1
    return f"over {LENGTHS[-1]}"


def confusions(utterances: Iterable[Utterance]) -> Counter[tuple[str, str]]:
    """How often each pair ``(said, recognised)`` is confused.

    A deletion has an empty second token, an insertion an empty first one.
    """
    return Counter(
        (ascii_lower(ref or ""), ascii_lower(hyp or ""))
        for utterance in utterances
        for ref, hyp in utterance.pairs
        if not same(ref, hyp)
    )


def _groups(
    utterances: Iterable[Utterance], name: Callable[[Utterance], str]
) -> list[Group]:
    members: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        members.setdefault(name(utterance), []).append(utterance)
    return [Group.of(name, group) for name, group in members.items()]
