"""Transcripts in trn form: ``tokens (SPEAKER-UTTERANCE)``, one utterance a line."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from espnet.text.dictionary import EOS, Dictionary, join_tokens
from espnet.utils.errors import DataError, UserError
from espnet.utils.files import atomic_write
from espnet.utils.lines import shorten
from espnet.utils.options import OptionParser


@dataclass(frozen=True)
class Line:
    """One line of a trn file."""

    name: str
    tokens: tuple[str, ...]

    def __str__(self) -> str:
        return f"{' '.join(self.tokens)} ({self.name})"


def write_trn(lines: Iterable[Line], path: str | Path) -> None:
    """Write a trn file."""
    with atomic_write(path) as stream:
        stream.writelines(f"{line}\n" for line in lines)


def speaker_files(
    prog: str, description: str, argv: Sequence[str] | None, **positionals: str
) -> Namespace:
    """Parse a command line that names a trn file of each side for each speaker.

    Args:
        prog: the command's name in messages.
        description: what it does.
        argv: the arguments; None for those of the process.
        positionals: name -> help of what it wants besides ``json``.

    Raises:
        UserError: other numbers of files than of speakers.
    """
    parser = OptionParser(prog, description)
    add = parser.add_argument
    add("json", help="recognition JSON")
    for name, help in positionals.items():
        add(name, help=help)
    add("--num-spkrs", type=int, default=1, help="speakers in an utterance")
    add("--refs", nargs="+", required=True, help="a file for each speaker")
    add("--hyps", nargs="+", required=True, help="a file for each speaker")
    args = parser.parse_args(sys.argv[1:] if argv is None else argv)
    for name, files in (("refs", args.refs), ("hyps", args.hyps)):
        if len(files) != args.num_spkrs:
            raise UserError(
                f"--{name}: {len(files)} files for {args.num_spkrs} speakers; "
                "give one for each"
            )
    return args


def write_sides(
    args: Namespace, refs: Sequence[Iterable[Line]], hyps: Sequence[Iterable[Line]]
) -> None:
    """Write the references and hypotheses of each speaker to ``speaker_files``."""
    for sides, paths in ((refs, args.refs), (hyps, args.hyps)):
        for lines, path in zip(sides, paths, strict=True):
            write_trn(lines, path)


def read_trn(path: str | Path) -> list[Line]:
    """Read a trn file.

    Raises:
        UserError: there is none.
        DataError: lines that do not end in ``(id)``.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    return parse_trn(text, path)


def parse_trn(text: str, path: str | Path) -> list[Line]:
    """Lines of the text of a trn file.

    Args:
        text: the text.
        path: the file, for errors.

    Raises:
        DataError: lines that do not end in ``(id)``.
    """
    lines, problems = [], []
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        tokens, bracket, rest = line.rstrip(" ").rpartition("(")
        if bracket and rest.endswith(")") and len(rest) > 1:
            lines.append(Line(rest[:-1], _split(tokens)))
        else:
            problems.append(f"{path}:{number}: '{line}' must end in '(speaker-id)'")
    if problems:
        raise DataError(shorten(problems))
    return lines


def of_speaker(utts: dict[str, Any], path: str, speaker: int) -> dict[str, Any]:
    """The utterances with the hypotheses of one speaker of a mixture.

    Raises:
        DataError: utterances whose output has no list for that speaker.
    """
    chosen: dict[str, Any] = {}
    problems = []
    for utt, entry in utts.items():
        speakers = entry.get("output") or []
        if len(speakers) > speaker and isinstance(speakers[speaker], list):
            chosen[utt] = {**entry, "output": speakers[speaker]}
        else:
            problems.append(f"{path}: utterance '{utt}': no speaker {speaker + 1}")
    if problems:
        raise DataError(shorten(problems))
    return chosen


def from_results(
    utts: Mapping[str, Mapping[str, Any]], dictionary: Dictionary, path: str | Path
) -> tuple[list[Line], list[Line]]:
    """References and best hypotheses of the JSON that decoding wrote.

    A reference is the text ``token``; a hypothesis is ``rec_tokenid`` looked up in the
    dictionary, without ``<eos>``.

    Args:
        utts: utterance id -> entry.
        dictionary: the one the model was trained with.
        path: the JSON file, for errors.

    Raises:
        DataError: one line for each utterance that cannot be scored.
    """
    refs, hyps, problems = [], [], []
    for utt, entry in utts.items():
        try:
            best = entry["output"][0]
            reference = _text(best, "token", "decode a set that has transcripts")
            hypothesis = _hypothesis(best, dictionary)
        except (KeyError, IndexError, TypeError):
            problems.append(f"{path}: utterance '{utt}': has no output")
        except UserError as error:
            problems.append(f"{path}: utterance '{utt}': {error}")
        else:
            refs.append(Line(line_name(utt, entry), _split(reference)))
            hyps.append(Line(line_name(utt, entry), hypothesis))
    if problems:
        raise DataError(shorten(problems))
    return refs, drop(hyps, [EOS])


def from_texts(
    utts: Mapping[str, Mapping[str, Any]], path: str | Path, speaker: int, key: str
) -> list[Line]:
    """The lines of one speaker: ``text`` or ``rec_text`` of the best hypothesis.

    Their ids are those of the utterances, with ``_`` for ``-``.

    Raises:
        DataError: utterances without it.
    """
    lines, problems = [], []
    for utt, entry in utts.items():
        try:
            output = entry["output"][speaker]
            best = output[0] if isinstance(output, list) else output
            words = best[key].replace(EOS, "").split()
        except (KeyError, IndexError, TypeError, AttributeError):
            problems.append(f"{path}: utterance '{utt}': has no {key}")
        else:
            lines.append(Line(utt.replace("-", "_"), tuple(words)))
    if problems:
        raise DataError(shorten(problems))
    return lines


def line_name(utt: str, entry: Mapping[str, Any]) -> str:
    """The id in a trn file, ``SPEAKER-UTTERANCE``, of an entry of data.json."""
    speaker = str(entry.get("utt2spk") or utt).replace("-", "_")
    return f"{speaker}-{utt}"


def _hypothesis(best: Mapping[str, Any], dictionary: Dictionary) -> tuple[str, ...]:
    ids = _text(best, "rec_tokenid", "was it decoded by asr_recog.py?").split()
    if not all(number.isdecimal() for number in ids):
        raise UserError(f"rec_tokenid: must be whole numbers, is {' '.join(ids)!r:.40}")
    tokens = tuple(dictionary.decode(int(number) for number in ids))
    decoded = _split(str(best.get("rec_token", "")))
    if decoded and decoded != tokens:
        pairs = zip(ids, tokens, decoded, strict=False)
        wrong = next((p for p in pairs if p[1] != p[2]), (len(ids), "", ""))
        raise UserError(
            f"{dictionary.path}: token {wrong[0]} is '{wrong[1]}' there, but was "
            f"decoded as '{wrong[2]}'; is it the dictionary of this model?"
        )
    return tokens


def _text(best: Mapping[str, Any], key: str, remedy: str) -> str:
    value = best.get(key)
    if not isinstance(value, str):
        raise UserError(f"has no {key}; {remedy}")
    return value


def _split(text: str) -> tuple[str, ...]:
    """Cut at blanks only: other white space may be part of a token."""
    return tuple(token for token in text.split(" ") if token)


def drop(lines: Iterable[Line], tokens: Iterable[str]) -> list[Line]:
    """The lines less all occurrences of some tokens."""
    unwanted = frozenset(tokens)
    return [
        replace(line, tokens=tuple(t for t in line.tokens if t not in unwanted))
        for line in lines
    ]


def words_of(
    lines: Sequence[Line], join: Callable[[Sequence[str]], str] = join_tokens
) -> list[Line]:
    """Lines of words.

    Args:
        lines: lines of tokens.
        join: tokens -> text; as it stands, for characters with ``<space>``.
    """
    return [replace(line, tokens=_split(join(line.tokens))) for line in lines]


def piece_joiner(model: str | Path) -> Callable[[Sequence[str]], str]:
    """Sub-words -> text, by a sentencepiece model.

    Raises:
        UserError: the model cannot be read.
    """
    from sentencepiece import SentencePieceProcessor

    if not Path(model).is_file():
        raise UserError(f"--bpemodel: {model}: no such file")
    try:
        processor = SentencePieceProcessor(model_file=str(model))
    except (OSError, RuntimeError):
        raise UserError(f"--bpemodel: {model}: not a sentencepiece model") from None

    def join(pieces: Sequence[str]) -> str:
        return str(processor.decode_pieces(list(pieces))).replace("▁", " ")

    return join
