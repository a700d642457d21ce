#!/usr/bin/env python3
"""Make egs/NAME/asr1, a recipe that trains a recogniser on your own recordings.

csv: a table with a header; its columns are found by name (wav or path, text or
sentence, speaker). folder: sound files with a .txt beside each, in a folder for each
speaker or all together.
kaldi: a data directory. All problems of the source are listed, and nothing is written.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espnet.data.own_recordings import KINDS, Summary, prepare
from espnet.utils.errors import UserError, run_command

EGS = Path(__file__).resolve().parents[1] / "egs"
MEDIUM = 10.0  # hours from which a Transformer is worth its time
SHARED = {"cmd.sh": "../../an4/asr1/cmd.sh", "path.sh": "../../an4/asr1/path.sh"}
SHARED |= {"utils": "../../../utils", "steps": "../../../utils/steps"}
CONFIGS = {  # of other recipes, linked into conf/
    "small": {
        "train.yaml": "an4/asr1/conf/train_mtlalpha0.5.yaml",
        "decode.yaml": "digits/asr1/conf/decode.yaml",
        "lm.yaml": "an4/asr1/conf/lm.yaml",
    },
    "medium": {
        "train.yaml": "wsj/asr1/conf/train.yaml",
        "decode.yaml": "digits/asr1/conf/decode.yaml",
        "lm.yaml": "tedlium2/asr1/conf/lm.yaml",
        "specaug.yaml": "wsj/asr1/conf/specaug.yaml",
    },
}
VALUES = {
    "small": "ngpu=0",
    "medium": "ngpu=1\npreprocess_config=conf/specaug.yaml\nnbpe=500\nn_average=10",
}
RUN = """#!/usr/bin/env bash
# {title}
# shellcheck disable=SC1091,SC2034,SC2154  # asr.sh gives and takes the variables
. ./path.sh || exit 1
. ./cmd.sh || exit 1
. asr.sh

recordings={source} # {kind}
feats=fbank
# train_trim_sp is the same at three speeds: better, and three times as long to train
train_set=train_trim
train_dev=dev
recog_set="dev test"
{values}

data_prep() {{
    prepare_recordings.py --from {kind} --base {base} "${{recordings}}" data
}}

main "$@"
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="new_recipe.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("name", help="of the recipe, such as my_corpus")
    add("--from", dest="kind", choices=KINDS, required=True, help="kind of SOURCE")
    add("--egs", type=Path, default=EGS, help="folder of the recipes: %(default)s")
    add("source", type=Path, help="CSV file, folder or data directory")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Read the source and write the recipe."""
    args = parser().parse_args(argv)
    recipe = args.egs / args.name / "asr1"
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", args.name):
        raise UserError(f"NAME: '{args.name}' has other characters than a-z 0-9 _ . -")
    if not (args.egs / "an4" / "asr1" / "path.sh").is_file():
        raise UserError(f"--egs: {args.egs} is not the folder of the toolkit's recipes")
    if recipe.parent.exists():
        raise UserError(
            f"{recipe.parent}: is there already; take another name or delete it"
        )
    if not args.source.exists():
        raise UserError(f"SOURCE: there is no '{args.source}'")
    with tempfile.TemporaryDirectory() as trial:
        found = prepare(args.kind, args.source, Path(trial))
    making = args.egs / f".{args.name}.making"
    shutil.rmtree(making, ignore_errors=True)
    size = "small" if found.hours < MEDIUM else "medium"
    write_recipe(making / "asr1", args.name, args.kind, args.source, found, size)
    making.rename(recipe.parent)
    print(
        f"{found.utterances} utterances of {found.speakers} speakers,"
        f" {found.hours:.1f} hours at {' and '.join(map(str, found.rates))} Hz"
    )
    print(found.split)
    print(f"{size} configs; change them by files of your own in {recipe / 'conf'}")
    print(f"now: cd {recipe} && ./run.sh")


def write_recipe(
    folder: Path, name: str, kind: str, source: Path, found: Summary, size: str
) -> None:
    """Write run.sh and conf/, with links to what other recipes have."""
    (folder / "conf").mkdir(parents=True)
    for link, target in SHARED.items():
        (folder / link).symlink_to(target)
    for link, target in CONFIGS[size].items():
        (folder / "conf" / link).symlink_to(Path("../../..", target))
    lowest = min(found.rates)
    options = [
        f"# of {name}",
        f"--sample-frequency={min(lowest, 16000)}",
        f"--num-mel-bins={80 if lowest >= 16000 else 40}",
    ]
    if max(found.rates) > min(lowest, 16000):
        options.append("--allow-downsample=true")
    lines = "".join(f"{option}\n" for option in options)
    (folder / "conf" / "fbank.conf").write_text(lines, encoding="utf-8")
    title = f"{name}: {found.utterances} utterances of {found.speakers} speakers"
    text = RUN.format(
        title=f"{title}, {found.hours:.1f} hours.",
        source=shlex.quote(str(source.absolute())),
        base=shlex.quote(str(Path.cwd())),
        kind=kind,
        values=VALUES[size],
    )
    (folder / "run.sh").write_text(text, encoding="utf-8")
    (folder / "run.sh").chmod(0o755)


if __name__ == "__main__":
    run_command(main)
