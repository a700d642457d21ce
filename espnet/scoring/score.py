"""Score a directory of decoding results: what ``score_sclite.sh`` does."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet.data.manifest import join, read_utts, save_json
from espnet.scoring import sclite
from espnet.scoring.trn import (
    Line,
    drop,
    from_results,
    parse_trn,
    piece_joiner,
    words_of,
    write_trn,
)
from espnet.text.dictionary import BLANK, Dictionary
from espnet.utils.errors import UserError
from espnet.utils.files import atomic_write
from espnet.utils.lines import read_lines
from espnet.utils.options import option


@dataclass(frozen=True)
class ScoreOptions:
    """How to score."""

    nlsyms: str = option("", "file of symbols that are not scored, one a line")
    wer: bool = option(False, "score words too")
    bpe: str = option("", "the tokens are sub-words of --bpemodel (any value)")
    bpemodel: str = option("", "sentencepiece model")
    remove_blank: bool = option(True, "drop <blank> from hypotheses")
    filter: str = option("", "sed script for references and hypotheses")
    num_spkrs: int = option(1, "number of speakers in an utterance")
    dic: str = option("", "dictionary, if not an argument", aliases=("--dict",))

    def check(self) -> None:
        """Raises UserError for values that do not go together."""
        if self.num_spkrs != 1:
            raise UserError(
                f"--num-spkrs: {self.num_spkrs} is not supported, must be 1 "
                "(mixtures of speakers cannot be scored)"
            )
        if self.wer and self.bpe and not self.bpemodel:
            raise UserError(
                "--bpe: words need the sentencepiece model; give --bpemodel FILE"
            )
        for name in ("nlsyms", "filter"):
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise UserError(f"--{name}: {path}: no such file")


def score_directory(
    folder: Path, dictionary: Path, options: ScoreOptions
) -> dict[str, Path]:
    """Write trn files and reports beside the results.

    ``data.*.json`` become ``data.json``; then ``ref.trn``, ``hyp.trn`` and
    ``result.txt``; with ``wer`` also ``ref.wrd.trn``, ``hyp.wrd.trn`` and
    ``result.wrd.txt``. What a file was before blanks, symbols or the filter changed it
    remains as ``hyp.trn.bak2``, ``*.trn.org`` and ``*.trn.bak3``.

    Args:
        folder: where decoding left its results.
        dictionary: token list of the model.
        options: how to score.

    Returns:
        ``"tokens"`` and maybe ``"words"`` -> the report.

    Raises:
        UserError: results or dictionary are missing or do not fit each other.
    """
    tokens = Dictionary.load(dictionary)
    results = join_results(folder)
    refs, hyps = from_results(read_utts(results), tokens, results)
    sides = {"ref": refs, "hyp": hyps}
    if options.remove_blank:
        write_trn(sides["hyp"], folder / "hyp.trn.bak2")
        sides["hyp"] = drop(sides["hyp"], [BLANK])
    if options.nlsyms:
        symbols = [symbol.strip() for _, symbol in read_lines(options.nlsyms)]
        for side, lines in sides.items():
            write_trn(lines, folder / f"{side}.trn.org")
            sides[side] = drop(lines, symbols)
    if options.filter:
        names = [line.name for line in sides["ref"]]
        for side, lines in sides.items():
            write_trn(lines, folder / f"{side}.trn.bak3")
            sides[side] = _sed(options.filter, folder / f"{side}.trn.bak3", names)
    reports = {"tokens": _report(folder, sides, ".trn", "result.txt")}
    if options.wer:
        to_text = (piece_joiner(options.bpemodel),) if options.bpe else ()
        words = {side: words_of(lines, *to_text) for side, lines in sides.items()}
        reports["words"] = _report(folder, words, ".wrd.trn", "result.wrd.txt")
    return reports


def join_results(folder: Path) -> Path:
    """Join ``data.1.json``, ``data.2.json``, ... into ``data.json``.

    Raises:
        UserError: there are none, or a number is missing.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such directory; decode first (stage 5)")
    found = {
        int(match[1]): path
        for path in folder.glob("data.*.json")
        if (match := re.fullmatch(r"data\.(\d+)\.json", path.name))
    }
    if not found:
        raise UserError(f"{folder}: no data.*.json there; decode first (stage 5)")
    missing = [k for k in range(1, max(found)) if k not in found]
    if missing:
        raise UserError(
            f"{folder}/data.{missing[0]}.json: missing, though data.{max(found)}.json "
            f"is there; see why that job failed: {folder}/log/decode.{missing[0]}.log"
        )
    joined = join(read_utts(found[k]) for k in sorted(found))
    if not joined:
        raise UserError(f"{folder}: data.*.json hold no utterance")
    save_json({"utts": joined}, folder / "data.json")
    return folder / "data.json"


def _sed(script: str, path: Path, names: Sequence[str]) -> list[Line]:
    """The lines of a trn file after a sed script, which must leave the ids."""
    done = subprocess.run(
        ["sed", "-f", script, str(path)], capture_output=True, encoding="utf-8"
    )
    if done.returncode:
        raise UserError(f"--filter: {done.stderr.strip()}")
    lines = parse_trn(done.stdout, f"{path} after {script}")
    for line, name in zip(lines, names, strict=False):
        if line.name != name:
            raise UserError(
                f"--filter: {script} makes '({line.name})' of the id '({name})' in "
                f"{path}; ids must stay as they are"
            )
    if len(lines) != len(names):
        raise UserError(f"--filter: {script} changes the number of lines of {path}")
    return lines


def _report(folder: Path, sides: dict[str, list[Line]], suffix: str, name: str) -> Path:
    """Write both sides and the comparison; returns the report's path."""
    for side, lines in sides.items():
        write_trn(lines, folder / (side + suffix))
    utterances = [
        sclite.score(ref.name, ref.tokens, hyp.tokens)
        for ref, hyp in zip(sides["ref"], sides["hyp"], strict=True)
    ]
    path = folder / name
    with atomic_write(path) as stream:
        stream.write(sclite.report(utterances, str(folder / f"hyp{suffix}")))
    return path
