"""What recog_wav.sh and asr_align_wav.sh have in common: a recogniser, a recording."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from espnet.utils.options import OptionParser, option, parse_options


@dataclass(frozen=True, kw_only=True)
class RecogniserOptions:
    """Which recogniser, and how it runs."""

    models: str = option(
        "", "the recogniser: an archive of pack_model.sh, or exp/<name>"
    )
    cmvn: str = option("", "its CMVN statistics, instead of those of --models")
    do_delta: bool | None = option(None, "whether its features have deltas")
    backend: str = option("pytorch", "only pytorch is built", choices=("pytorch",))
    ngpu: int = option(0, "0: CPU, 1: GPU")
    verbose: int = option(1, "0: warnings, 1: what happens, 2: details")


def parse_wav_options(
    config: type,
    argv: Sequence[str] | None,
    *,
    prog: str,
    description: str,
    **positionals: str,
) -> Namespace:
    """Parse options, of ``config`` too, and a recording.

    Args:
        positionals: name -> help of what is wanted behind ``wav``.
    """

    def add_positionals(parser: OptionParser, _: Namespace) -> None:
        parser.add_argument("wav", help="a recording: wav, flac, ogg, mp3, sph")
        for name, help in positionals.items():
            parser.add_argument(name, help=help)

    return parse_options(
        [RecogniserOptions, config],
        argv,
        prog=prog,
        description=description,
        more=add_positionals,
    )


def changes(args: Namespace, model: str) -> dict[str, Any]:
    """What the options, and weights ``model`` if given, change in the recogniser."""
    given: dict[str, Any] = {"model": model, "cmvn": args.cmvn}
    given = {key: value for key, value in given.items() if value}
    if args.do_delta is not None:
        given["do_delta"] = args.do_delta
    return given
