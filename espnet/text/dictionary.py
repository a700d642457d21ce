"""The dictionary: which number stands for which token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from espnet.utils.errors import DataError, UserError
from espnet.utils.files import atomic_write

UNK = "<unk>"
SPACE = "<space>"
BLANK = "<blank>"
EOS = "<eos>"


class Dictionary:
    """Tokens and their ids: 0 blank, 1 ``<unk>``, ..., n, n + 1 ``<eos>`` (= sos).

    Args:
        tokens: those of the file in their order, ``<unk>`` first.
        path: the file, for messages.

    Raises:
        DataError: the first is not ``<unk>``, or a token comes twice.
    """

    def __init__(self, tokens: Sequence[str], path: str | Path = "dictionary") -> None:
        self.tokens = list(tokens)
        self.path = str(path)
        self._ids: dict[str, int] = {}
        problems = []
        if not self.tokens or self.tokens[0] != UNK:
            first = f"'{self.tokens[0]}'" if self.tokens else "missing"
            problems.append(f"{path}:1: first token is {first}, must be '{UNK}'")
        for number, token in enumerate(self.tokens, 1):
            earlier = self._ids.setdefault(token, number)
            if earlier != number:
                problems.append(
                    f"{path}:{number}: token '{token}' is in line {earlier} already"
                )
        if problems:
            raise DataError(problems)

    @classmethod
    def load(cls, path: str | Path) -> Dictionary:
        """Read a file of lines ``<token> <id>``, ids 1, 2, 3, ..., first ``<unk> 1``.

        Raises:
            UserError: the file cannot be read.
            DataError: every wrong line, with its number.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 text: {error.reason}") from None
        except OSError as error:
            raise UserError(
                f"{path}: dictionary cannot be read: {error.strerror}; "
                "make_dict.py or stage 2 of a recipe makes it"
            ) from None
        tokens: list[str] = []
        problems = []
        for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
            token, blank, identity = line.strip(" \r").partition(" ")
            if not (token and blank) or identity != str(number):
                problems.append(
                    f"{path}:{number}: '{line}' must be '<token> {number}' "
                    "(ids count up from 1, one blank between)"
                )
            tokens.append(token)
        if problems:
            raise DataError(problems)
        return cls(tokens, path)

    def save(self, path: str | Path) -> None:
        """Write the file that :meth:`load` reads."""
        with atomic_write(path) as stream:
            stream.writelines(f"{t} {i}\n" for i, t in enumerate(self.tokens, 1))

    @property
    def char_list(self) -> list[str]:
        """The token of every id, as models store it: ``<blank>``, tokens, ``<eos>``."""
        return [BLANK, *self.tokens, EOS]

    @property
    def odim(self) -> int:
        """Size V of the output layer: the tokens, blank and eos."""
        return len(self.tokens) + 2

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    def ids(self, tokens: Iterable[str], oov: str = UNK) -> list[int]:
        """Ids of tokens; one that is not in the dictionary becomes that of ``oov``.

        Raises:
            UserError: ``oov`` itself is not in the dictionary.
        """
        if oov not in self._ids:
            raise UserError(f"oov: '{oov}' is not a token of {self.path}")
        unknown = self._ids[oov]
        return [self._ids.get(token, unknown) for token in tokens]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Tokens of ids.

        Raises:
            UserError: an id outside 0 to V - 1.
        """
        char_list = self.char_list
        ids = list(ids)
        wrong = next((i for i in ids if not 0 <= i < len(char_list)), None)
        if wrong is not None:
            raise UserError(
                f"{self.path}: has no token {wrong}, only 0 to {len(char_list) - 1}; "
                "is it the dictionary of this model?"
            )
        return [char_list[i] for i in ids]


def join_tokens(tokens: Iterable[str], space: str = SPACE) -> str:
    """The text of tokens: no separator, ``<space>`` becomes a blank."""
    return "".join(tokens).replace(space, " ")
