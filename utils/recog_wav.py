#!/usr/bin/env python3
"""Recognise what is said in a recording of any length; see recog_wav.sh."""

from __future__ import annotations

import logging
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.asr.bundle import named_models
from espnet.asr.wav_options import changes, parse_wav_options
from espnet.utils.errors import UserError, run_command
from espnet.utils.files import make_folder_of
from espnet.utils.log import setup_logging
from espnet.utils.options import option

DECODING = 3  # the stage; ESPnet1's 1 and 2, files of features, are part of it


@dataclass(frozen=True, kw_only=True)
class RecogWavOptions:
    """Options of recog_wav.sh besides those of the recogniser."""

    recog_model: str = option("", "weights, instead of those of --models")
    decode_config: str = option("", "options of asr_recog.py, likewise")
    lang_model: str = option("", "language model of tokens, likewise")
    word_lang_model: str = option("", "language model of words, likewise")
    use_lang_model: bool = option(
        True, "decode with the language model, if there is one"
    )
    decode_dir: str = option("decode", "results go to <decode_dir>/<name of the wav>/")
    api: str = option("v2", "rules of the search", choices=("v1", "v2"))
    debugmode: int = option(1, "as in asr_recog.py", choices=(0, 1, 2))
    segment_seconds: float | None = option(
        None, "decode in pieces of at most so many seconds; else as training had them"
    )
    stage: int = option(0, "0: look at the files, 3: recognise; above 3: nothing")
    stop_stage: int = option(100, "below 3: only look at the files")


def main(argv: Sequence[str] | None = None) -> None:
    """Write result.json, result.ctm and text, and print the text."""
    args = parse_wav_options(
        RecogWavOptions, argv, prog="recog_wav.sh", description=__doc__ or ""
    )
    setup_logging(args.verbose)
    if not Path(args.wav).is_file():
        raise UserError(f"{args.wav}: no such file")
    path = named_models(args.models, args.recog_model)
    if args.stage <= DECODING <= args.stop_stage:
        recognise(path, args)


def recognise(path: str, args: Namespace) -> None:
    """Decode, and write what was found."""
    from espnet.asr.recog import result_entry
    from espnet.asr.transcribe import load
    from espnet.asr.words import write_ctm
    from espnet.data.manifest import save_json
    from espnet.nets.hypotheses import Hypothesis
    from espnet.train.start import set_up_torch

    base = Path(args.wav).stem
    folder = Path(args.decode_dir, base)
    set_up_torch(1, args.debugmode)
    recogniser = load(path, **overrides(args))
    found = recogniser.transcribe(args.wav)
    make_folder_of(folder / "result.json")
    char_list = recogniser.recognizer.config.char_list
    eos = len(char_list) - 1
    nbest = [Hypothesis([eos, *one.ids, eos], one.score) for one in found.nbest]
    entry = {"output": [{"name": "target1"}], "utt2spk": base}
    utts = {base: result_entry(entry, nbest, char_list)}
    save_json({"utts": utts}, str(folder / "result.json"))
    if found.words and found.words[0].start is None:
        logging.warning("the model has no CTC, so there are no times for result.ctm")
    else:
        write_ctm({base: found.words}, str(folder / "result.ctm"))
    logging.info(
        "%.1f s of audio in %d pieces, confidence %.2f",
        *(found.seconds, len(found.cuts) + 1, found.confidence),
    )
    print(f"Recognized text: {found.text}")


def overrides(args: Namespace) -> dict[str, Any]:
    """What the options change in the recogniser."""
    from espnet.asr.transcribe import WITHOUT_LM

    changed = changes(args, args.recog_model)
    given = {"decode_config": args.decode_config, "rnnlm": args.lang_model}
    given["word_rnnlm"] = args.word_lang_model
    changed |= {key: value for key, value in given.items() if value}
    if args.segment_seconds is not None:
        changed["segment_seconds"] = args.segment_seconds
    if not args.use_lang_model:
        changed |= WITHOUT_LM
    return {**changed, "api": args.api, "ngpu": args.ngpu}


if __name__ == "__main__":
    run_command(main)
