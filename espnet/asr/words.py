"""Tokens and words with their times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from espnet.text.dictionary import SPACE
from espnet.utils.files import atomic_write

WORD_BEGIN = "\u2581"  # how sentencepiece marks the first piece of a word


@dataclass(frozen=True)
class TimedToken:
    """A token or a word, when it was said, and how sure that is.

    Attributes:
        text: the token; of a word, its letters.
        start: its begin; in input frames inside the recogniser, else in seconds. None
            where the model cannot tell, because it has no CTC.
        end: likewise.
        confidence: 0 to 1.
    """

    text: str
    start: float | None
    end: float | None
    confidence: float

    def moved(self, scale: float = 1.0, offset: float = 0.0) -> TimedToken:
        """The same at ``scale * time + offset``."""
        if self.start is None or self.end is None:
            return self
        start, end = self.start * scale + offset, self.end * scale + offset
        return replace(self, start=start, end=end)


def word_groups(tokens: Sequence[str], char_list: Sequence[str]) -> list[list[int]]:
    """The places of the tokens of each word.

    Words are separated by ``<space>``, or begin with ``▁``; where the vocabulary has
    neither, each token is a word.
    """
    if SPACE in char_list:
        groups: list[list[int]] = [[]]
        for place, token in enumerate(tokens):
            if token == SPACE:
                groups.append([])
            else:
                groups[-1].append(place)
        return [group for group in groups if group]
    if not any(token.startswith(WORD_BEGIN) for token in char_list):
        return [[place] for place in range(len(tokens))]
    groups = []
    for place, token in enumerate(tokens):
        if token.startswith(WORD_BEGIN) or not groups:
            groups.append([])
        if token != WORD_BEGIN:
            groups[-1].append(place)
    return [group for group in groups if group]


def words_of(
    tokens: Sequence[TimedToken], char_list: Sequence[str]
) -> list[TimedToken]:
    """The words that tokens make; each is as sure as its least sure token."""
    words = []
    for group in word_groups([token.text for token in tokens], char_list):
        parts = [tokens[place] for place in group]
        text = "".join(part.text for part in parts).removeprefix(WORD_BEGIN)
        sure = min(part.confidence for part in parts)
        words.append(TimedToken(text, parts[0].start, parts[-1].end, sure))
    return words


def plain_text(tokens: Sequence[str]) -> str:
    """What tokens say, as people write it."""
    text = "".join(tokens).replace(SPACE, " ").replace(WORD_BEGIN, " ")
    return " ".join(text.split())


def write_ctm(spoken: Mapping[str, Sequence[TimedToken]], path: str) -> None:
    """Write NIST's CTM: ``<utterance> 1 <start> <duration> <word> <confidence>``.

    Args:
        spoken: the words of each utterance, in seconds.
        path: the file.
    """
    with atomic_write(path) as stream:
        for utt in sorted(spoken):
            for word in spoken[utt]:
                start, end = word.start or 0.0, word.end or 0.0
                stream.write(
                    f"{utt} 1 {start:.2f} {end - start:.2f} "
                    f"{word.text} {word.confidence:.4f}\n"
                )
