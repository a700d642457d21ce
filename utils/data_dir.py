#!/usr/bin/env python3
"""The work of Kaldi's data directory scripts: data_dir.py SCRIPT [options] ARGUMENTS.

Each bash file of that name hands its arguments to this program.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from espnet.data import datadir_change, datadir_subset
from espnet.data.datadir import read_numbers, table_kinds
from espnet.data.datadir_check import validate
from espnet.data.datadir_fix import fix
from espnet.data.datadir_tables import read_map, write_table
from espnet.utils.errors import DataError, UserError, one_of, run_command
from espnet.utils.lines import shorten


class Parser(argparse.ArgumentParser):
    """Options as Kaldi's scripts read them; a mistake prints the usage and exits 1."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.exit(1, f"{self.format_usage()}{self.prog}: error: {message}\n")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse; ``_`` in a name is ``-``, and a value may begin with ``-``."""
        joined: list[str] = []
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word.startswith("--") and word != "--":
                word = word.replace("_", "-")
                action = self._option_string_actions.get(word)
                if action is not None and action.nargs is None and rest:
                    word = f"{word}={rest.pop(0)}"
            joined.append(word)
        return self.parse_args(joined)


def yes_no(text: str) -> bool:
    """The two booleans that Kaldi's scripts know."""
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"wants true or false, got '{text}'")
    return text == "true"


def say(parser: Parser, lines: Sequence[str]) -> None:
    for line in lines:
        print(f"{parser.prog}: {line}")


def add_check_options(parser: Parser) -> None:
    for name, file in [("text", "text"), ("feats", "feats.scp"), ("wav", "wav.scp")]:
        parser.add_argument(
            f"--no-{name}", action="store_true", help=f"do without {file}"
        )
    parser.add_argument(
        "--non-print", action="store_true", help="allow unprintable characters in text"
    )


def check(prog: str, directory: str, options: argparse.Namespace) -> None:
    """Print the warnings about a directory, and raise its problems."""
    report = validate(
        directory,
        text=not options.no_text,
        feats=not options.no_feats,
        wav=not options.no_wav,
        non_print=options.non_print,
    )
    for warning in report.warnings:
        print(f"{prog}: warning: {warning}", file=sys.stderr)
    if report.problems:
        raise DataError(shorten([str(problem) for problem in report.problems]))


def validate_data_dir(parser: Parser, words: Sequence[str]) -> None:
    """Check a data directory and list every problem with file:line and the remedy."""
    add_check_options(parser)
    parser.add_argument("directory")
    args = parser.parse(words)
    check(parser.prog, args.directory, args)
    say(parser, [f"successfully validated data directory {args.directory}"])


def fix_data_dir(parser: Parser, words: Sequence[str]) -> None:
    """Keep the utterances that all tables have; tidy and sort the tables."""
    parser.add_argument(
        "--utt-extra-files", default="", help="more tables with utterances as keys"
    )
    parser.add_argument("directory")
    args = parser.parse(words)
    say(parser, fix(args.directory, args.utt_extra_files.split()))


def subset_data_dir(parser: Parser, words: Sequence[str]) -> None:
    """Write a data directory with some utterances of another one."""
    how = parser.add_mutually_exclusive_group()
    for name, text in [
        ("first", "the first N instead of N at random"),
        ("last", "the last N"),
        ("shortest", "the N shortest, by utt2num_frames or utt2dur"),
        ("speakers", "random whole speakers until there are at least N"),
        ("per-spk", "N of each speaker, evenly spread"),
    ]:
        how.add_argument(
            f"--{name}",
            dest="how",
            action="store_const",
            const=name,
            default="random",
            help=text,
        )
    how.add_argument("--utt-list", help="file with the utterances; then there is no N")
    how.add_argument("--spk-list", help="file with the speakers; then there is no N")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of the random choices, default: %(default)s",
    )
    parser.usage = f"{parser.prog} [options] SRC N DST"
    parser.add_argument("arguments", nargs="+", help="or SRC DST with a list")
    args = parser.parse(words)
    keys = args.utt_list or args.spk_list
    if len(args.arguments) != (2 if keys else 3):
        parser.error("wants SRC DST with a list, and SRC N DST otherwise")
    src, *number, dst = args.arguments
    if keys:
        by = "utterance" if args.utt_list else "speaker"
        warn_missing(
            parser, keys, src, datadir_subset.select(src, dst, read_map(keys), by, keys)
        )
    elif not number[0].isdecimal():
        parser.error(f"N wants a whole number, got '{number[0]}'")
    else:
        datadir_subset.subset(src, dst, int(number[0]), args.how, args.seed)


def reduce_data_dir(parser: Parser, words: Sequence[str]) -> None:
    """Write a data directory with the utterances of a list."""
    for name in ("src", "uttlist", "dst"):
        parser.add_argument(name)
    args = parser.parse(words)
    keys = read_map(args.uttlist)
    missing = datadir_subset.select(args.src, args.dst, keys, source=args.uttlist)
    warn_missing(parser, args.uttlist, args.src, missing)


def warn_missing(parser: Parser, file: str, src: str, missing: Sequence[str]) -> None:
    if missing:
        some = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        text = f"{len(missing)} names of {file} are not in {src}: {some}"
        print(f"{parser.prog}: warning: {text}", file=sys.stderr)


def split_data(parser: Parser, words: Sequence[str]) -> None:
    """Split a data directory into SRC/split<N>/1 to N, by speaker."""
    parser.add_argument(
        "--per-utt",
        action="store_true",
        help="a speaker may be in two parts; the parts are in split<N>utt",
    )
    parser.add_argument("src")
    parser.add_argument("parts", type=int)
    args = parser.parse(words)
    datadir_subset.split(args.src, args.parts, args.per_utt)


def combine_data(parser: Parser, words: Sequence[str]) -> None:
    """Write a data directory with all utterances of several ones."""
    parser.add_argument(
        "--extra-files", default="", help="more tables with utterances as keys"
    )
    parser.add_argument(
        "--skip-fix", type=yes_no, default=False, help="keep incomplete utterances"
    )
    parser.add_argument("dst")
    parser.add_argument("sources", nargs="+")
    args = parser.parse(words)
    extra = args.extra_files.split()
    say(parser, datadir_change.combine(args.dst, args.sources, extra, args.skip_fix))


def copy_data_dir(parser: Parser, words: Sequence[str]) -> None:
    """Copy a data directory, with other names if wanted, and check the copy."""
    for name in ("utt-prefix", "utt-suffix", "spk-prefix", "spk-suffix"):
        parser.add_argument(f"--{name}", default="", help="text to add to the names")
    parser.add_argument(
        "--validate-opts", default="", help="options of validate_data_dir.sh"
    )
    parser.add_argument("src")
    parser.add_argument("dst")
    args = parser.parse(words)
    options = Parser(f"{parser.prog}: --validate-opts", "")
    add_check_options(options)
    checks = options.parse(args.validate_opts.split())
    present = table_kinds(Path(args.src))
    checks.no_text |= "text" not in present
    checks.no_feats |= "feats.scp" not in present
    checks.no_wav |= "wav.scp" not in present
    datadir_change.copy(
        args.src,
        args.dst,
        utt_prefix=args.utt_prefix,
        utt_suffix=args.utt_suffix,
        spk_prefix=args.spk_prefix,
        spk_suffix=args.spk_suffix,
    )
    check(parser.prog, args.dst, checks)


def perturb_data_dir_speed(parser: Parser, words: Sequence[str]) -> None:
    """Write a data directory whose audio is FACTOR times as fast."""
    for name in ("factor", "src", "dst"):
        parser.add_argument(name)
    args = parser.parse(words)
    datadir_change.perturb_speed(args.src, args.dst, args.factor)


def modify_speaker_info(parser: Parser, words: Sequence[str]) -> None:
    """Write a data directory with each speaker cut into several of few utterances."""
    for name, kind, text in [
        ("utts-per-spk-max", int, "utterances of a new speaker at most"),
        ("seconds-per-spk-max", float, "seconds of a new speaker at most"),
    ]:
        text = f"{text}; -1: any number"
        parser.add_argument(f"--{name}", type=kind, default=-1, help=text)
    parser.add_argument(
        "--respect-speaker-info",
        type=yes_no,
        default=True,
        help="a new speaker has the utterances of one old speaker only",
    )
    for name in ("src", "dst"):
        parser.add_argument(name)
    args = parser.parse(words)
    count = datadir_change.split_speakers(
        args.src,
        args.dst,
        most_utts=args.utts_per_spk_max,
        most_seconds=args.seconds_per_spk_max,
        respect_speakers=args.respect_speaker_info,
    )
    say(parser, [f"{count} speakers in {args.dst}"])


def get_utt2num_frames(parser: Parser, words: Sequence[str]) -> None:
    """Write utt2num_frames from the matrices in feats.scp, or else from utt2dur."""
    for name in ("nj", "cmd"):
        text = "for Kaldi's callers; one process is enough to read headers"
        parser.add_argument(f"--{name}", help=text)
    for name, default, text in (
        ("shift", 0.01, "seconds from frame to frame, for utt2dur"),
        ("overlap", 0.015, "seconds that two frames share, for utt2dur"),
    ):
        parser.add_argument(f"--frame-{name}", type=float, default=default, help=text)
    parser.add_argument("directory")
    args = parser.parse(words)
    if args.frame_shift <= 0.0:
        raise UserError(f"--frame-shift: {args.frame_shift} must be above 0")
    folder = Path(args.directory)
    if not (folder / "feats.scp").is_file() and (folder / "utt2dur").is_file():
        frames = {}
        for utt, seconds in read_numbers(folder / "utt2dur").items():
            count = (seconds - args.frame_overlap) / args.frame_shift
            frames[utt] = str(max(0, int(count + 1e-6)))  # 156.99999999999997 is 157
    else:
        frames = count_frames(args.directory)
    write_table(folder / "utt2num_frames", frames)


def count_frames(directory: str) -> dict[str, str]:
    """Utterance -> number of frames, from feats.scp."""
    from espnet.data.ark import iter_scp, iter_shapes  # numpy, not for the others

    places = ((key, place) for _, key, place in iter_scp(Path(directory, "feats.scp")))
    return {key: str(shape[0]) for key, shape in iter_shapes(places)}


def remove_longshortdata(parser: Parser, words: Sequence[str]) -> None:
    """Write the data directory of the utterances with a length between the limits."""
    from espnet.text.tokenizer import TEXT_TOKENIZERS, read_symbols, text_tokenizer

    for name, default in [
        *(("maxframes", 2000), ("minframes", 10)),
        *(("maxchars", 200), ("minchars", 0)),
    ]:
        which = "fewer" if name.startswith("max") else "more"
        text = f"keep those with {which} than this, default: {default}"
        parser.add_argument(f"--{name}", type=int, default=default, help=text)
    parser.add_argument("--nlsyms", default="", help="file of non-linguistic symbols")
    parser.add_argument("--no-feat", type=yes_no, default=False, help="no frame limits")
    parser.add_argument("--trans-type", default="char", choices=list(TEXT_TOKENIZERS))
    parser.add_argument("src")
    parser.add_argument("dst")
    args = parser.parse(words)
    symbols = read_symbols(args.nlsyms) if args.nlsyms else ()
    tokens = text_tokenizer(args.trans_type, symbols=symbols)
    text = Path(args.src, "text")
    lengths = {utt: len(tokens(words)) for utt, words in read_map(text).items()}
    kept, why = datadir_subset.lengths_between(
        None if args.no_feat else read_frames(args.src),
        lengths,
        minframes=args.minframes,
        maxframes=args.maxframes,
        minchars=args.minchars,
        maxchars=args.maxchars,
    )
    say(parser, [f"kept {len(kept)} of {len(lengths)} utterances"])
    say(parser, [f"dropped {count} with {reason}" for reason, count in why.items()])
    if not kept:
        raise UserError(f"{args.src}: no utterance is within the limits")
    datadir_subset.select(args.src, args.dst, kept)


def read_frames(directory: str) -> dict[str, float]:
    """utt2num_frames, or the same from feats.scp."""
    frames = Path(directory, "utt2num_frames")
    if frames.is_file():
        return read_numbers(frames)
    if Path(directory, "feats.scp").is_file():
        return {utt: float(count) for utt, count in count_frames(directory).items()}
    raise UserError(
        f"{directory}: has neither utt2num_frames nor feats.scp; make the features "
        "first, or pass --no-feat true"
    )


COMMANDS: dict[str, Callable[[Parser, Sequence[str]], None]] = {
    f"{command.__name__}.sh": command
    for command in (
        validate_data_dir,
        fix_data_dir,
        subset_data_dir,
        reduce_data_dir,
        split_data,
        combine_data,
        copy_data_dir,
        perturb_data_dir_speed,
        get_utt2num_frames,
        modify_speaker_info,
        remove_longshortdata,
    )
}


def main(argv: Sequence[str] | None = None) -> None:
    words = list(sys.argv if argv is None else argv)
    name = os.path.basename(words[0])
    if name not in COMMANDS:
        raise UserError(one_of("script", name, COMMANDS))
    COMMANDS[name](Parser(name, COMMANDS[name].__doc__ or ""), words[1:])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        del sys.argv[0]  # messages name the script, not this program
    run_command(main)
