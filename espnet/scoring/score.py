"""Score a directory of decoding results: what ``score_sclite.sh`` does."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from espnet.data.manifest import join, read_utts, save_json
from espnet.scoring import sclite
from espnet.scoring.speakers import best_assignment, parse_report, summary
from espnet.scoring.trn import (
    Line,
    drop,
    from_results,
    from_texts,
    of_speaker,
    parse_trn,
    piece_joiner,
    words_of,
    write_trn,
)
from espnet.text.dictionary import BLANK, Dictionary
from espnet.text.tokenizer import char_tokens
from espnet.utils.errors import UserError
from espnet.utils.files import atomic_write
from espnet.utils.lines import read_lines
from espnet.utils.options import option

Sides = dict[str, list[Line]]  # ref and hyp, or ref1, hyp1, ref2, ... -> their lines


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
        if self.num_spkrs < 1:
            raise UserError(f"--num-spkrs: {self.num_spkrs} must be 1 or more")
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

    ``data.*.json`` become ``data.json``; for one speaker ``ref.trn``, ``hyp.trn`` and
    ``result.txt``; with ``wer`` also ``ref.wrd.trn``, ``hyp.wrd.trn`` and
    ``result.wrd.txt``. What a file was before blanks, symbols or the filter changed it
    remains as ``hyp.trn.bak2``, ``*.trn.org`` and ``*.trn.bak3``. For several speakers
    there are ``ref1.trn``, ``hyp1.trn``, ..., ``result_r1h1.txt``, ... and, for the
    best assignments, ``min_perm_result.json``; for words ``*.wrd.*``.

    Args:
        folder: where decoding left its results.
        dictionary: token list of the model.
        options: how to score.

    Returns:
        ``"tokens"`` and maybe ``"words"`` -> the report that counts.

    Raises:
        UserError: results or dictionary are missing or do not fit each other.
    """
    tokens = Dictionary.load(dictionary)
    results = join_results(folder)
    utts = read_utts(results)
    count = options.num_spkrs
    sides: Sides = {}
    for speaker in range(count):
        chosen = of_speaker(utts, str(results), speaker) if count > 1 else utts
        number = str(speaker + 1) if count > 1 else ""
        refs, hyps = from_results(chosen, tokens, results)
        sides |= {f"ref{number}": refs, f"hyp{number}": hyps}
    for side in sides:
        sides[side] = _cleaned(sides[side], folder / f"{side}.trn", options)
    compare = _report if count == 1 else _permuted_report
    reports = {"tokens": compare(folder, sides, "")}
    if options.wer:
        to_text = (piece_joiner(options.bpemodel),) if options.bpe else ()
        words = {side: words_of(lines, *to_text) for side, lines in sides.items()}
        reports["words"] = compare(folder, words, ".wrd")
    return reports


def _cleaned(lines: list[Line], path: Path, options: ScoreOptions) -> list[Line]:
    """The lines of ``path`` without blanks and symbols, and filtered."""
    if options.remove_blank and path.name.startswith("hyp"):
        write_trn(lines, f"{path}.bak2")
        lines = drop(lines, [BLANK])
    if options.nlsyms:
        write_trn(lines, f"{path}.org")
        symbols = [symbol.strip() for _, symbol in read_lines(options.nlsyms)]
        lines = drop(lines, symbols)
    if options.filter:
        write_trn(lines, f"{path}.bak3")
        names = [line.name for line in lines]
        lines = _sed(options.filter, Path(f"{path}.bak3"), names)
    return lines


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


def _report(folder: Path, sides: Sides, kind: str) -> Path:
    """Write both sides and the comparison; returns the report's path."""
    _write_sides(folder, sides, kind)
    path = folder / f"result{kind}.txt"
    _compare(sides["ref"], sides["hyp"], folder / f"hyp{kind}.trn", path)
    return path


def _permuted_report(folder: Path, sides: Sides, kind: str) -> Path:
    """Write all sides, the comparison of each pair, and the best assignments."""
    _write_sides(folder, sides, kind)
    count = len(sides) // 2
    paths = []
    for ref, hyp in product(range(1, count + 1), repeat=2):
        paths.append(folder / f"result_r{ref}h{hyp}{kind}.txt")
        trn = folder / f"hyp{hyp}{kind}.trn"
        _compare(sides[f"ref{ref}"], sides[f"hyp{hyp}"], trn, paths[-1])
    reports = [parse_report(p.read_text(encoding="utf-8"), str(p)) for p in paths]
    utts = best_assignment(reports, list(map(str, paths)))
    best = folder / f"min_perm_result{kind}.json"
    with atomic_write(best) as stream:
        stream.write(summary(utts, f"best assignment of {count} speakers"))
    return best


def _write_sides(folder: Path, sides: Sides, kind: str) -> None:
    for side, lines in sides.items():
        write_trn(lines, folder / f"{side}{kind}.trn")


def _compare(refs: list[Line], hyps: list[Line], name: Path, path: Path) -> None:
    """Write the report of one pair of files; ``name`` stands in its title."""
    utterances = [
        sclite.score(ref.name, ref.tokens, hyp.tokens)
        for ref, hyp in zip(refs, hyps, strict=True)
    ]
    with atomic_write(path) as stream:
        stream.write(sclite.report(utterances, str(name)))


def score_texts(folder: Path, wer: bool) -> list[Path]:
    """Compare ``text`` with ``rec_text`` of results: characters and, on request, words.

    Writes ``result.txt`` and, for words, ``result.wrd.txt``, where ``.`` and ``,`` of
    the references do not count, and ``result_w_punc.wrd.txt``, where they do.

    Returns:
        The reports.

    Raises:
        UserError: results are missing.
        DataError: utterances without texts.
    """
    results = join_results(folder)
    utts = read_utts(results)
    refs, hyps = (from_texts(utts, results, 0, key) for key in ("text", "rec_text"))
    sides = {"ref_org": refs, "hyp_org": hyps}
    _write_sides(folder, sides, ".wrd")
    bare = [
        replace(line, tokens=tuple(" ".join(line.tokens).translate(_MARKS).split()))
        for line in refs
    ]
    characters = {
        "ref": [_spelled(line) for line in bare],
        "hyp": [_spelled(line) for line in hyps],
    }
    reports = [_report(folder, characters, "")]
    if wer:
        reports.append(_report(folder, {"ref": bare, "hyp": hyps}, ".wrd"))
        path = folder / "result_w_punc.wrd.txt"
        _compare(refs, hyps, folder / "hyp_org.wrd.trn", path)
        reports.append(path)
    return reports


_MARKS = str.maketrans("", "", ".,")


def _spelled(line: Line) -> Line:
    """Characters instead of words, with ``<space>`` between the words."""
    return replace(line, tokens=tuple(char_tokens(" ".join(line.tokens))))
