"""Sub-words: training and use of sentencepiece models."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet.utils.errors import UserError
from espnet.utils.files import atomic_write
from espnet.utils.lines import read_lines

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

CHUNK = 10000  # lines encoded in one call of sentencepiece, which uses all cores


class SubwordTokenizer:
    """A trained sentencepiece model.

    Raises:
        UserError: the file is missing or no sentencepiece model.
    """

    def __init__(self, model: str | Path) -> None:
        self.model = str(model)
        self._processor = _load_sentencepiece(self.model)

    def __call__(self, text: str) -> list[str]:
        """The pieces of one text."""
        return self._processor.encode(text, out_type=str)

    def encode(self, texts: Iterable[str], as_ids: bool = False) -> Iterator[list[str]]:
        """The pieces (or the model's own ids, as text) of each text."""
        texts = iter(texts)
        while chunk := list(islice(texts, CHUNK)):
            for pieces in self._processor.encode(
                chunk, out_type=int if as_ids else str
            ):
                yield [str(piece) for piece in pieces]

    def decode(self, pieces: Sequence[str]) -> str:
        """The text that pieces make together."""
        return self._processor.decode_pieces(list(pieces))

    def decode_ids(self, ids: Sequence[int]) -> str:
        """The text that the model's own ids make together.

        Raises:
            UserError: an id that the model does not have.
        """
        size = self._processor.get_piece_size()
        wrong = next((i for i in ids if not 0 <= i < size), None)
        if wrong is not None:
            raise UserError(f"{self.model}: has no piece {wrong}, only 0 to {size - 1}")
        return self._processor.decode_ids(list(ids))


def _load_sentencepiece(model: str) -> SentencePieceProcessor:
    if not Path(model).is_file():
        raise UserError(
            f"{model}: no such sentencepiece model; train it with spm_train"
        )
    from sentencepiece import SentencePieceProcessor  # start-up of those without it

    try:
        return SentencePieceProcessor(model_file=model)
    except (RuntimeError, OSError) as error:
        raise UserError(f"{model}: is no sentencepiece model: {error}") from None


def parse_trainer_options(arguments: Sequence[str]) -> dict[str, str]:
    """Read ``--name=value``, ``--name value`` and bare ``--name`` (true).

    Raises:
        UserError: a word that is no option, or no ``model_prefix``.
    """
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or not name:
            raise UserError(f"'{word}' is no option; write --name=value")
        if not equals:
            bare = not rest or rest[0].startswith("--")
            value = "true" if bare else rest.pop(0)
        options[name.replace("-", "_")] = value
    if not options.get("model_prefix"):
        raise UserError("--model_prefix=PREFIX is missing: PREFIX.model is written")
    return options


def train(options: dict[str, str]) -> None:
    """Write ``<model_prefix>.model`` and ``.vocab``, both whole or not at all.

    Args:
        options: those of sentencepiece's trainer, ``model_prefix`` among them.

    Raises:
        UserError: the trainer refuses options or data.
    """
    from sentencepiece import SentencePieceTrainer

    prefix = Path(options["model_prefix"])
    for source in filter(None, options.get("input", "").split(",")):
        if not Path(source).is_file():
            raise UserError(f"--input: {source}: no such file")
    prefix.parent.mkdir(parents=True, exist_ok=True)
    unfinished = prefix.with_name(f".{prefix.name}.{os.getpid()}.tmp")
    settings: dict[str, Any] = {**options, "model_prefix": str(unfinished)}
    made = [Path(f"{unfinished}.{end}") for end in ("vocab", "model")]
    try:
        SentencePieceTrainer.train(**settings)
        for path in made:
            os.replace(path, f"{prefix}{path.suffix}")
    except (RuntimeError, OSError, ValueError) as error:
        raise UserError(f"sentencepiece cannot be trained: {error}") from None
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def encode_files(
    model: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    as_ids: bool = False,
    shortest: int | None = None,
    longest: int | None = None,
) -> None:
    """Encode each input line by line into its output.

    Args:
        model: sentencepiece model.
        inputs: files; ``-`` is stdin.
        outputs: one for each input; ``-`` is stdout.
        as_ids: write the model's ids, not its pieces.
        shortest: drop line n of all files if it has fewer pieces in any.
        longest: drop line n of all files if it has more pieces in any.

    Raises:
        UserError: as many outputs as inputs are not given, or inputs of unequal length.
    """
    if len(inputs) != len(outputs):
        raise UserError(f"--inputs: {len(inputs)} files, but {len(outputs)} --outputs")
    low, high = shortest or 0, sys.maxsize if longest is None else longest
    tokenizer = SubwordTokenizer(model)
    dropped = 0
    with ExitStack() as stack:
        streams = [stack.enter_context(atomic_write(path)) for path in outputs]
        encoded = [
            tokenizer.encode((line for _, line in read_lines(path)), as_ids)
            for path in inputs
        ]
        for number, row in enumerate(zip_longest(*encoded), 1):
            if None in row:
                raise UserError(
                    f"{inputs[row.index(None)]}: has {number - 1} lines, but the other "
                    "inputs have more"
                )
            if all(low <= len(pieces) <= high for pieces in row):
                for stream, pieces in zip(streams, row, strict=True):
                    stream.write(" ".join(pieces) + "\n")
            else:
                dropped += 1
    if dropped:
        print(f"{dropped} lines dropped by length", file=sys.stderr)


def decode_lines(model: str, path: str | None, as_ids: bool = False) -> Iterator[str]:
    """The text of each line of pieces (or ids); None reads stdin.

    Raises:
        UserError: an id that is no number or not in the model, with file:line.
    """
    tokenizer = SubwordTokenizer(model)
    for number, line in read_lines(path):
        if not as_ids:
            yield tokenizer.decode([piece for piece in line.split(" ") if piece])
            continue
        try:
            yield tokenizer.decode_ids([int(word) for word in line.split()])
        except (ValueError, UserError) as error:
            raise UserError(f"{path or 'stdin'}:{number}: {error}") from None
