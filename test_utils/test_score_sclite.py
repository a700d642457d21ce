"""score_sclite.sh and show_result.sh on small decoding results."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

UTILS = Path(__file__).resolve().parents[1] / "utils"
TOKENS = ["<unk>", "<space>", "<noise>", *"ADEGOY"]
CHAR_LIST = ["<blank>", *TOKENS, "<eos>"]


def entry(speaker: str, ref: Sequence[str], hyp: Sequence[str]) -> dict[str, Any]:
    """What decoding writes for an utterance, with a worse second hypothesis."""
    ids = [str(CHAR_LIST.index(token)) for token in hyp]
    best = {"name": "target1[1]", "token": " ".join(ref), "text": "".join(ref)}
    best |= {"rec_tokenid": " ".join(ids), "rec_token": " ".join(hyp)}
    worse = best | {"name": "target1[2]", "rec_tokenid": "1"}
    return {"utt2spk": speaker, "output": [best, worse]}


GOOD = entry("s-1", [*"GOOD", "<space>", *"DAY"], [*"GOD", "<space>", *"DEY", "<eos>"])
DAY = entry("s02", ["<noise>", *"DAY"], ["D", "<blank>", *"AY", "<space>", "A"])


def write_parts(folder: Path, parts: dict[int, dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, utts in parts.items():
        text = json.dumps({"utts": utts})
        (folder / f"data.{number}.json").write_text(text, encoding="utf-8")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A recipe directory with two parts of results and a dictionary."""
    write_parts(tmp_path / "exp/m/decode_test", {1: {"s-1-a": GOOD}, 2: {"s02-b": DAY}})
    lines = [f"{token} {number}\n" for number, token in enumerate(TOKENS, 1)]
    (tmp_path / "dict.txt").write_text("".join(lines))
    return tmp_path


def run(cwd: Path, *command: str) -> subprocess.CompletedProcess[str]:
    script = str(UTILS / command[0])
    return subprocess.run(
        [script, *command[1:]], cwd=cwd, capture_output=True, text=True
    )


def score(work: Path, *options: str) -> Path:
    """Score; returns the result directory."""
    done = run(work, "score_sclite.sh", *options, "exp/m/decode_test", "dict.txt")
    assert done.returncode == 0, done.stderr
    return work / "exp/m/decode_test"


def trn(folder: Path, name: str) -> list[str]:
    return (folder / name).read_text(encoding="utf-8").splitlines()


def test_characters_and_words(work: Path) -> None:
    done = run(
        work, "score_sclite.sh", "--wer", "true", "exp/m/decode_test", "dict.txt"
    )
    folder = work / "exp/m/decode_test"
    assert trn(folder, "ref.trn") == [
        "G O O D <space> D A Y (s_1-s-1-a)",
        "<noise> D A Y (s02-s02-b)",
    ]
    assert trn(folder, "hyp.trn") == [
        "G O D <space> D E Y (s_1-s-1-a)",
        "D A Y <space> A (s02-s02-b)",
    ]
    assert trn(folder, "ref.wrd.trn") == [
        "GOOD DAY (s_1-s-1-a)",
        "<noise>DAY (s02-s02-b)",
    ]
    assert trn(folder, "hyp.wrd.trn") == ["GOD DEY (s_1-s-1-a)", "DAY A (s02-s02-b)"]
    assert "D <blank> A Y" in (folder / "hyp.trn.bak2").read_text()
    assert list(json.loads((folder / "data.json").read_text())["utts"]) == [
        "s-1-a",
        "s02-b",
    ]
    assert done.stdout.splitlines() == [
        "CER (or TER): full report in exp/m/decode_test/result.txt",
        "| SPKR   | # Snt # Wrd | Corr    Sub    Del    Ins    Err  S.Err |",
        "| Sum/Avg|    2     12 | 75.0    8.3   16.7   16.7   41.7  100.0 |",
        "WER: full report in exp/m/decode_test/result.wrd.txt",
        "| SPKR   | # Snt # Wrd | Corr    Sub    Del    Ins    Err  S.Err |",
        "| Sum/Avg|    2      3 |  0.0  100.0    0.0   33.3  133.3  100.0 |",
    ]
    assert "Scores: (#C #S #D #I) 6 1 1 0" in (folder / "result.txt").read_text()


def test_symbols_and_filter(work: Path) -> None:
    (work / "nlsyms.txt").write_text("<noise>\n")
    (work / "filter.sed").write_text("s/O O/O/\n")
    options = ["--nlsyms", "nlsyms.txt", "--filter", "filter.sed"]
    folder = score(work, *options, "--remove_blank", "false", "--wer", "true")
    assert trn(folder, "ref.trn.org")[1] == "<noise> D A Y (s02-s02-b)"
    assert trn(folder, "ref.trn.bak3") == [
        "G O O D <space> D A Y (s_1-s-1-a)",
        "D A Y (s02-s02-b)",
    ]
    assert trn(folder, "ref.trn")[0] == "G O D <space> D A Y (s_1-s-1-a)"
    assert trn(folder, "ref.wrd.trn")[0] == "GOD DAY (s_1-s-1-a)"
    assert trn(folder, "hyp.trn")[1] == "D <blank> A Y <space> A (s02-s02-b)"
    assert not (folder / "hyp.trn.bak2").exists()


@pytest.mark.parametrize("flag", ["--dic", "--dict"])
def test_dictionary_as_an_option(work: Path, flag: str) -> None:
    done = run(work, "score_sclite.sh", flag, "dict.txt", "exp/m/decode_test")
    assert done.returncode == 0, done.stderr
    assert (work / "exp/m/decode_test/result.txt").exists()


def test_sub_words_are_joined_by_their_model(work: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    (work / "text").write_text("GOOD DAY\nGOD A DAY\nDAY\n")
    sentencepiece.SentencePieceTrainer.train(
        input=str(work / "text"),
        model_prefix=str(work / "bpe"),
        vocab_size=14,
        model_type="bpe",
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_file=str(work / "bpe.model"))
    ref = model.encode("GOOD DAY", out_type=str)
    tokens = ["<unk>", *sorted(set(ref))]
    (work / "dict.txt").write_text(
        "".join(f"{token} {number}\n" for number, token in enumerate(tokens, 1))
    )
    ids = " ".join(str(tokens.index(piece) + 1) for piece in ref)
    output = [{"token": " ".join(ref), "rec_tokenid": f"{ids} {len(tokens) + 1}"}]
    folder = work / "exp/m/decode_test"
    write_parts(folder, {1: {"a": {"utt2spk": "s", "output": output}}, 2: {}})
    score(work, "--wer", "true", "--bpe", "14", "--bpemodel", "bpe.model")
    assert trn(folder, "ref.wrd.trn") == ["GOOD DAY (s-a)"]
    assert trn(folder, "hyp.wrd.trn") == ["GOOD DAY (s-a)"]


def broken(**changes: Any) -> dict[str, Any]:
    """An utterance whose best hypothesis has other values; None takes a key away."""
    best = GOOD["output"][0] | changes
    output = {key: value for key, value in best.items() if value is not None}
    return {"utt2spk": "s", "output": [output]}


@pytest.mark.parametrize(
    ("utt", "message"),
    [
        (broken(rec_tokenid=None), "utterance 'u': has no rec_tokenid; was it decoded"),
        (broken(token=None), "utterance 'u': has no token; decode a set that has"),
        (broken(rec_tokenid="1 x"), "must be whole numbers, is '1 x'"),
        (broken(rec_tokenid="3 11"), "dict.txt: has no token 11, only 0 to 10; is it"),
        (
            broken(rec_tokenid="4 10", rec_token="A B <eos>"),
            "token 10 is '<eos>' there, but was decoded as 'B'; is it the dictionary",
        ),
        ({"utt2spk": "s", "output": []}, "data.json: utterance 'u': has no output"),
    ],
)
def test_results_that_cannot_be_scored(
    work: Path, utt: dict[str, Any], message: str
) -> None:
    write_parts(work / "exp/m/decode_test", {1: {"u": utt}, 2: {"v": utt}})
    done = run(work, "score_sclite.sh", "exp/m/decode_test", "dict.txt")
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 2  # both utterances
    assert not (work / "exp/m/decode_test/result.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["exp/m", "dict.txt"], "exp/m: no data.*.json there; decode first (stage 5)"),
        (["exp/x", "dict.txt"], "exp/x: no such directory; decode first"),
        (["exp/m/decode_test", "nodict"], "nodict: dictionary cannot be read"),
        (["exp/m/decode_test"], "no dictionary: score_sclite.sh [options]"),
        (["--num-spkrs", "0", "exp/m/decode_test", "dict.txt"], "0 must be 1 or more"),
        (["--num-spkrs", "2", "exp/m/decode_test", "dict.txt"], "'s02-b': no speaker"),
        (["--nlsyms", "no", "exp/m/decode_test", "dict.txt"], "--nlsyms: no: no such"),
        (["--filter", "no", "exp/m/decode_test", "dict.txt"], "--filter: no: no such"),
        (
            ["--filter", "dict.txt", "exp/m/decode_test", "dict.txt"],
            "--filter: sed: file dict.txt line 1",
        ),
        (
            ["--wer", "true", "--bpe", "5", "exp/m/decode_test", "dict.txt"],
            "--bpe: words need the sentencepiece model; give --bpemodel FILE",
        ),
        (
            [
                *("--wer", "true", "--bpe", "5", "--bpemodel", "dict.txt"),
                *("exp/m/decode_test", "dict.txt"),
            ],
            "--bpemodel: dict.txt: not a sentencepiece model",
        ),
        (["--nlsym", "x", "--weer", "y", "exp/m"], "unknown option '--weer'"),
    ],
)
def test_mistakes_are_named(work: Path, arguments: list[str], message: str) -> None:
    done = run(work, "score_sclite.sh", *arguments)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_part_that_is_missing(work: Path) -> None:
    write_parts(work / "exp/m/decode_test", {4: {}})
    done = run(work, "score_sclite.sh", "exp/m/decode_test", "dict.txt")
    assert "data.3.json: missing, though data.4.json is there" in done.stderr


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("s/s_1/x/", "makes '(x-s-1-a)' of the id '(s_1-s-1-a)'"),
        ("s/(.*//", "'G O O D <space> D A Y ' must end in '(speaker-id)'"),
        ("2d", "changes the number of lines"),
    ],
)
def test_a_filter_must_leave_the_ids(work: Path, script: str, message: str) -> None:
    (work / "filter.sed").write_text(script)
    done = run(
        work,
        "score_sclite.sh",
        *("--filter", "filter.sed", "exp/m/decode_test", "dict.txt"),
    )
    assert done.returncode == 1
    assert message in done.stderr


def test_tables_of_all_experiments(work: Path) -> None:
    score(work, "--wer", "true")
    lines = run(work, "show_result.sh").stdout.splitlines()
    head = ["|dataset|Snt|Wrd|Corr|Sub|Del|Ins|Err|S.Err|", "|---" * 9 + "|"]
    start = lines.index("## m")
    assert [line for line in lines[start:] if line] == [
        "## m",
        "### CER",
        *head,
        "|decode_test|2|12|75.0|8.3|16.7|16.7|41.7|100.0|",
        "### WER",
        *head,
        "|decode_test|2|3|0.0|100.0|0.0|33.3|133.3|100.0|",
    ]
    assert run(work, "show_result.sh", "--maxdepth", "0", "exp/m").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "nothing: no such directory"),
        (["--maxdepth", "0"], "exp: no */result.txt between 0 and 0 levels below"),
    ],
)
def test_no_results_to_show(work: Path, arguments: list[str], message: str) -> None:
    done = run(work, "show_result.sh", *arguments)
    assert done.returncode == 1
    assert message in done.stderr


def test_a_report_without_sums_is_named(work: Path) -> None:
    folder = score(work)
    (folder / "result.txt").write_text("cut off")
    done = run(work, "show_result.sh")
    assert "exp/m/decode_test/result.txt: has no Sum/Avg row" in done.stderr


def test_two_speakers_are_scored_by_the_best_assignment(work: Path) -> None:
    swapped = {"utt2spk": "x", "output": [DAY["output"], GOOD["output"]]}
    for ref, hyp in ((0, 1), (1, 0)):  # the hypotheses of the other reference
        outputs = [dict(output) for output in swapped["output"][ref]]
        other = (GOOD if hyp else DAY)["output"][0]
        outputs[0] |= {key: other[key] for key in ("rec_tokenid", "rec_token")}
        swapped["output"][ref] = outputs
    folder = work / "exp/two"
    write_parts(folder, {1: {"u1": swapped}})
    done = run(work, "score_sclite.sh", "--num-spkrs", "2", "exp/two", "dict.txt")
    assert done.returncode == 0, done.stderr
    names = {f"result_r{ref}h{hyp}.txt" for ref in (1, 2) for hyp in (1, 2)}
    assert names <= {path.name for path in folder.iterdir()}
    _, total, rate, count, *body = (
        (folder / "min_perm_result.json").read_text().splitlines()
    )
    # G O O D <space> D A Y against G O D <space> D E Y: one deleted, one substituted;
    # <noise> D A Y against D A Y <space> A: one deleted, two inserted
    assert total == "Total Scores: (#C #S #D #I) 9 1 2 2"
    assert rate == f"Error Rate:   {500 / 12:.2f}" and count == "Total Utts:  1"
    assert total in done.stdout and rate in done.stdout
    entry = json.loads("\n".join(body))["utts"]["u1"]
    assert set(entry) == {"r1h2", "r2h1", "Scores"}


def test_texts_are_scored_without_a_dictionary(work: Path) -> None:
    output = {"text": "Good day, all.", "rec_text": "good<eos>"}
    utts = {"a-1": {"output": [output | {"rec_text": "Good day all<eos>"}]}}
    utts["a-2"] = {"output": [output | {"rec_text": "Good day, al<eos>"}]}
    write_parts(work / "exp/texts", {1: utts})
    done = run(work, "score_sclite_wo_dict.sh", "--wer", "true", "exp/texts")
    assert done.returncode == 0, done.stderr
    folder = work / "exp/texts"
    assert (folder / "ref.trn").read_text().startswith("G o o d <space> d a y <space>")
    assert "Good day all (a_1)" in (folder / "ref.wrd.trn").read_text()
    assert "Good day, all. (a_1)" in (folder / "ref_org.wrd.trn").read_text()

    def errors(name: str) -> list[str]:
        blocks = (folder / name).read_text().splitlines()
        return [line.split(")")[1].strip() for line in blocks if "Scores:" in line]

    assert errors("result.txt") == ["12 0 0 0", "11 0 1 1"]
    assert errors("result.wrd.txt") == ["3 0 0 0", "1 2 0 0"]
    assert errors("result_w_punc.wrd.txt") == ["1 2 0 0", "2 1 0 0"]
