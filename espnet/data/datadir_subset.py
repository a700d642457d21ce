"""Make a Kaldi data directory of some utterances of another one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from espnet.data.datadir import (
    read_numbers,
    read_table,
    table_kinds,
    write_parts,
)
from espnet.data.datadir_tables import spk2utt_of, split_by_speaker, split_evenly
from espnet.utils.errors import UserError
from espnet.utils.lines import split_words


def subset(
    src: str | Path, dst: str | Path, count: int, how: str = "random", seed: int = 0
) -> None:
    """Write a directory with ``count`` utterances of another one.

    Args:
        src, dst: the directories.
        count: how many; for ``per-spk`` of each speaker, and for ``speakers`` whole
            speakers are taken until there are at least as many.
        how: a key of SUBSETS.
        seed: of the random choices.

    Raises:
        UserError: more utterances are wanted than there are.
    """
    src, dst = Path(src), Path(dst)
    table_kinds(src)
    utt2spk = dict(sorted(read_table(src / "utt2spk").items()))
    if count < 1:
        raise UserError(f"the number of utterances must be at least 1, got {count}")
    if count > len(utt2spk):
        raise UserError(f"{src} has {len(utt2spk)} utterances, {count} are wanted")
    write_parts(src, {dst: sorted(SUBSETS[how](src, utt2spk, count, seed))})


def _random(src: Path, utt2spk: Mapping[str, str], count: int, seed: int) -> list[str]:
    return random.Random(seed).sample(list(utt2spk), count)


def _shortest(
    src: Path, utt2spk: Mapping[str, str], count: int, seed: int
) -> list[str]:
    names = [n for n in ("utt2num_frames", "utt2dur") if (src / n).is_file()]
    if not names:
        raise UserError(
            f"{src}: has neither utt2num_frames nor utt2dur; run "
            f"utils/data/get_utt2num_frames.sh {src}"
        )
    lengths = read_numbers(src / names[0], utt2spk)
    return sorted(utt2spk, key=lengths.__getitem__)[:count]


def _speakers(
    src: Path, utt2spk: Mapping[str, str], count: int, seed: int
) -> list[str]:
    groups = [split_words(utts) for utts in spk2utt_of(utt2spk).values()]
    random.Random(seed).shuffle(groups)
    chosen: list[str] = []
    while len(chosen) < count:
        chosen += groups.pop()
    return chosen


def _per_speaker(
    src: Path, utt2spk: Mapping[str, str], count: int, seed: int
) -> list[str]:
    """Evenly spread over each speaker's utterances."""
    chosen = []
    for utts in spk2utt_of(utt2spk).values():
        keys = split_words(utts)
        n = min(count, len(keys))
        chosen += [keys[i * len(keys) // n] for i in range(n)]
    return chosen


SUBSETS: dict[str, Callable[[Path, Mapping[str, str], int, int], list[str]]] = {
    "random": _random,
    "first": lambda src, utt2spk, count, seed: list(utt2spk)[:count],
    "last": lambda src, utt2spk, count, seed: list(utt2spk)[-count:],
    "shortest": _shortest,
    "speakers": _speakers,
    "per-spk": _per_speaker,
}


def select(
    src: str | Path,
    dst: str | Path,
    keys: Collection[str],
    by: str = "utterance",
    source: str = "the list",
) -> list[str]:
    """Write a directory with the utterances (or the speakers) in ``keys``.

    Args:
        src, dst: the directories.
        keys: utterances, or speakers for ``by="speaker"``.
        by: ``utterance`` or ``speaker``.
        source: where the keys came from, for messages.

    Returns:
        The keys that ``src`` does not have.

    Raises:
        UserError: it has none of them.
    """
    src, dst = Path(src), Path(dst)
    table_kinds(src)
    utt2spk = read_table(src / "utt2spk")
    wanted = set(keys)
    of_key = {utt: spk if by == "speaker" else utt for utt, spk in utt2spk.items()}
    utts = sorted(utt for utt, key in of_key.items() if key in wanted)
    if not utts:
        raise UserError(f"{source}: names no {by} of {src}")
    write_parts(src, {dst: utts})
    return sorted(wanted - set(of_key.values()))


def split(src: str | Path, parts: int, per_utt: bool = False) -> Path:
    """Write the directories ``SRC/split<N>/<1..N>`` (``split<N>utt`` if ``per_utt``).

    Args:
        src: the directory.
        parts: how many.
        per_utt: a speaker may be in several parts, which are then equal in size.

    Returns:
        The directory of the parts.

    Raises:
        UserError: fewer speakers (utterances) than parts.
    """
    src = Path(src)
    table_kinds(src)
    utt2spk = dict(sorted(read_table(src / "utt2spk").items()))
    utts = list(utt2spk)
    if parts < 1:
        raise UserError(f"the number of parts must be at least 1, got {parts}")
    try:
        if per_utt:
            chosen = [list(part) for part in split_evenly(len(utts), parts)]
        else:
            chosen = split_by_speaker(list(utt2spk.values()), parts)
    except UserError as error:
        raise UserError(f"{src}: {error}") from None
    top = src / f"split{parts}{'utt' if per_utt else ''}"
    write_parts(
        src,
        {top / str(n): [utts[i] for i in part] for n, part in enumerate(chosen, 1)},
    )
    return top


def lengths_between(
    frames: Mapping[str, float] | None,
    characters: Mapping[str, int],
    *,
    minframes: int,
    maxframes: int,
    minchars: int,
    maxchars: int,
) -> tuple[list[str], Counter[str]]:
    """The utterances strictly between the limits, and how many fail each limit."""
    kept, why = [], Counter[str]()
    for utt, count in characters.items():
        length = frames.get(utt) if frames is not None else None
        if length is not None and length <= minframes:
            why[f"{minframes} frames or fewer"] += 1
        elif length is not None and length >= maxframes:
            why[f"{maxframes} frames or more"] += 1
        elif count <= minchars:
            why[f"{minchars} characters or fewer"] += 1
        elif count >= maxchars:
            why[f"{maxchars} characters or more"] += 1
        else:
            kept.append(utt)
    return kept, why
