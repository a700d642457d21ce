"""Text to tokens of a given vocabulary, for texts that are looked for in speech."""

from __future__ import annotations

from collections.abc import Sequence

from espnet.text.dictionary import BLANK, EOS, SPACE, UNK
from espnet.text.subword import SubwordTokenizer

WORD_BEGIN = "\u2581"  # how sentencepiece marks the first piece of a word
SILENT = frozenset(".,»«•❍·")  # characters that nobody hears
_DROP = 1000  # cost of a character that no token has, in tokens


class TextCutter:
    """Cuts texts into tokens of a vocabulary.

    Args:
        char_list: the tokens by id.
        bpemodel: sentencepiece model that made them. Without it a text is cut into the
            fewest tokens; for characters there is one way only.
        spaces: whether blanks become the token ``<space>``, where there is one.

    Attributes:
        left_out: characters of the texts so far that no token has.
    """

    def __init__(
        self, char_list: Sequence[str], bpemodel: str | None = None, spaces: bool = True
    ) -> None:
        special = (BLANK, EOS, UNK)
        self.ids = {t: i for i, t in enumerate(char_list) if t not in special}
        for sign in SILENT:
            self.ids.pop(sign, None)
        self.left_out: set[str] = set()
        self.longest = max(map(len, self.ids), default=1)
        self.has_space = SPACE in self.ids
        self.spaces = spaces
        self.marked = any(token.startswith(WORD_BEGIN) for token in self.ids)
        self.tokenizer = SubwordTokenizer(bpemodel) if bpemodel else None

    def __call__(self, text: str) -> list[int]:
        """The ids of a text; what the vocabulary cannot write is left out."""
        words = text.split()
        if self.tokenizer is not None:
            pieces = self.tokenizer(" ".join(words))
            if all(piece in self.ids for piece in pieces):
                return [self.ids[piece] for piece in pieces]
        if self.marked:
            cut = [self._fewest(WORD_BEGIN + word) for word in words]
            bare = [self.ids.get(WORD_BEGIN)]  # of a word that has no token otherwise
            return [i for piece in cut if piece != bare for i in piece]
        ids: list[int] = []
        for word in words:
            found = self._fewest(word)
            if ids and found and self.has_space and self.spaces:
                ids.append(self.ids[SPACE])
            ids += found
        return ids

    def _fewest(self, word: str) -> list[int]:
        """The fewest tokens that make a word, leaving out what none has."""
        costs, ways = [0], [0]
        for end in range(1, len(word) + 1):
            best, way = costs[end - 1] + _DROP, 0
            for size in range(1, min(self.longest, end) + 1):
                known = word[end - size : end] in self.ids
                if known and costs[end - size] + 1 <= best:
                    best, way = costs[end - size] + 1, size
            costs.append(best)
            ways.append(way)
        ids, end = [], len(word)
        while end:
            if ways[end]:
                ids.append(self.ids[word[end - ways[end] : end]])
            elif word[end - 1] not in (WORD_BEGIN, *SILENT):
                self.left_out.add(word[end - 1])
            end -= ways[end] or 1
        return ids[::-1]
