"""The JSON tools, with expected files written by hand from the format's description."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from espnet.data.ark import open_ark_writer

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Call = Callable[..., str]

MERGED = """\
{
    "utts": {
        "u1": {
            "input": [
                {
                    "feat": "f.ark:3",
                    "name": "input1",
                    "shape": [
                        7,
                        2
                    ]
                },
                {
                    "feat": "f.ark:3",
                    "name": "input2"
                }
            ],
            "output": [
                {
                    "name": "target1",
                    "text": "Ä  B"
                }
            ],
            "utt2spk": "s"
        }
    }
}
"""


def write(folder: Path, **files: Any) -> None:
    """``a=...`` writes the file a (text) or a.json (utterances)."""
    for name, content in files.items():
        if isinstance(content, str):
            (folder / name).write_text(content, encoding="utf-8")
        else:
            text = json.dumps({"utts": content})
            (folder / f"{name}.json").write_text(text, encoding="utf-8")


def utts_of(text: str) -> dict[str, Any]:
    return json.loads(text)["utts"]  # type: ignore[no-any-return]


def test_data2json(tmp_path: Path, run: Run, stdout_of: Call) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data", text="u1 AÄ\nu2 B\n", utt2spk="u1 s\nu2 s\n")
    write(tmp_path, units="<unk> 1\nA 2\n", **{"path.sh": "echo $unset is loud\n"})
    with open_ark_writer(tmp_path / "f.ark", tmp_path / "f.scp") as writer:
        for utt in ("u1", "u2"):
            writer.write(utt, np.zeros((3, 2), np.float32))
    command = ["data2json.sh", "--feat", "f.scp", "--nj", 2, "--cmd", "run.pl --mem 1G"]
    done = run(*command, "--lang", "en", "data", "units")
    assert done.returncode == 0, done.stderr
    utts = utts_of(done.stdout)
    assert utts["u1"]["output"][0]["tokenid"] == "2 1"
    assert utts["u2"]["input"][0]["shape"] == [3, 2] and utts["u2"]["lang"] == "en"
    assert "2 tokens (2 kinds) not in units became <unk>: 'Ä' 1, 'B' 1" in done.stderr
    assert stdout_of(*command, "--out", "d/x.json", "data", "units") == ""
    assert "\n" + 12 * " " + '"output"' in (tmp_path / "d/x.json").read_text()


def test_data2json_errors(tmp_path: Path, run: Run, error_of: Call) -> None:
    assert "usage: data2json.sh [options] <data-dir> <dict>" in error_of(
        "data2json.sh", "data"
    )
    assert "units: dictionary cannot be read" in error_of("data2json.sh", "d", "units")
    done = run("data2json.sh", "--feats", "x", "data", "units")
    assert done.returncode == 2 and "(did you mean 'feat'?)" in done.stderr
    done = run("data2json.sh", "--allow-one-column", "maybe", "data", "units")
    assert done.returncode == 2 and "'maybe' is neither true nor false" in done.stderr
    write(tmp_path, units="<unk> 1\n", text="u1 A\n", utt2spk="u1 s\n", scp="u2 f:1\n")
    words = error_of("data2json.sh", "--feat", "scp", "--out", "o", ".", "units")
    assert len(words.splitlines()) == 2 and not (tmp_path / "o").exists()


def test_merge_scp2json(tmp_path: Path, stdout_of: Call) -> None:
    write(tmp_path, feats="u1 f.ark:3\n", shape="u1 7,2\n", text="u1 Ä  B\n")
    write(tmp_path, utt2spk="u1 s\n")
    command = [
        *("merge_scp2json.py", "--input-scps", "feat:feats", "shape:shape:shape"),
        *("--input-scps", "feat:feats", "--output-scps", "text:text:str"),
        *("--scps", "utt2spk:utt2spk"),
    ]
    assert stdout_of(*command) == MERGED
    assert stdout_of(*command, "-O", "out/d.json") == ""
    assert (tmp_path / "out/d.json").read_text(encoding="utf-8") == MERGED


def test_merge_scp2json_types_and_single_columns(
    tmp_path: Path, stdout_of: Call
) -> None:
    write(tmp_path, a="u1 1\nu2 2\n", b="u1 0.5\nu2 1e3\n", c="u1\nu2 x\n")
    utts = utts_of(
        stdout_of(
            *("merge_scp2json.py", "--scps", "a:a:int", "b:b:float", "c:c"),
            *("--allow-one-column", "true", "--verbose", 0),
        )
    )
    assert utts["u1"] == {"input": [], "output": [], "a": 1, "b": 0.5, "c": ""}
    assert utts["u2"] == {"input": [], "output": [], "a": 2, "b": 1000.0, "c": "x"}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            ["a:a", "b:b"],
            "b:2: has 'u3', but a:2 has 'u2'; the files must have the same",
        ),
        (["a:a", "c:c"], "c:2: has no line, but a:2 has 'u2'"),
        (["x:a:shape"], "a:2: 'y' is no shape"),
        (["x:c:int"], "c:1: 'z' is no int"),
        (["x:a:eval"], "'x:a:eval': type: 'eval' is none of str, int, float, shape"),
        (["a"], "'a': must have the form key:file or key:file:type"),
        (["x:none"], "none: cannot be read: No such file"),
        (["d:d"], "d:1: 'u1' has nothing after it"),
    ],
)
def test_merge_scp2json_errors(
    tmp_path: Path, error_of: Call, columns: list[str], words: str
) -> None:
    write(tmp_path, a="u1 1\nu2 y\n", b="u1 x\nu3 y\n", c="u1 z\n", d="u1\n")
    assert words in error_of("merge_scp2json.py", "--scps", *columns)


def test_merge_scp2json_without_files(error_of: Call) -> None:
    assert "no scp file given" in error_of("merge_scp2json.py")


def test_concatjson(tmp_path: Path, stdout_of: Call, error_of: Call) -> None:
    write(tmp_path, a={"u3": {"n": 1}, "u1": {"n": 1}}, b={"u2": {}, "u1": {"n": 2}})
    text = stdout_of("concatjson.py", "a.json", "b.json")
    united = {"utts": {"u1": {"n": 2}, "u2": {}, "u3": {"n": 1}}}
    assert text == json.dumps(united, indent=4, sort_keys=True) + "\n"
    write(tmp_path, bad="[]")
    assert 'bad: must be {"utts": {...}}' in error_of("concatjson.py", "a.json", "bad")


def test_splitjson(tmp_path: Path, stdout_of: Call) -> None:
    (tmp_path / "dump").mkdir()
    utts = {f"u{i}": {"n": i} for i in (3, 1, 4, 0, 2)}
    write(tmp_path / "dump", **{"data_u30.x": utts})
    stdout_of("splitjson.py", "--parts", 3, "dump/data_u30.x.json")
    folder = tmp_path / "dump" / "split3utt"
    names = ["data_u30.1.json", "data_u30.2.json", "data_u30.3.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    parts = [utts_of((folder / name).read_text()) for name in names]
    assert [list(part) for part in parts] == [["u0", "u1"], ["u2", "u3"], ["u4"]]
    assert {k: v for part in parts for k, v in part.items()} == utts


def test_splitjson_errors(tmp_path: Path, error_of: Call) -> None:
    write(tmp_path, a={"u1": {}})
    words = error_of("splitjson.py", "-p", 2, "a.json")
    assert "a.json: 1 utterances cannot be split into 2 parts; choose 1 parts" in words
    assert "parts: 0 must be 1 or more" in error_of("splitjson.py", "a.json")
    assert "no.json: cannot be read" in error_of("splitjson.py", "no.json")
    assert not (tmp_path / "split2utt").exists()


def test_scp2json(stdout_of: Call, error_of: Call) -> None:
    text = stdout_of("scp2json.py", "--key", "text", stdin="u2 Ä  B\nu1\n")
    assert utts_of(text) == {"u2": {"text": "Ä B"}, "u1": {"text": ""}}
    assert "Ä" in text
    text = stdout_of("scp2json.py", "--key", "text", stdin="u\u00a01 a\u3000b  c\n")
    assert utts_of(text) == {"u\u00a01": {"text": "a\u3000b c"}}
    assert "--key NAME is missing" in error_of("scp2json.py", stdin="a b\n")
    words = error_of("scp2json.py", "-k", "t", stdin="a b\na c\n")
    assert "stdin:2: 'a' is in line 1 already" in words


def test_addjson(tmp_path: Path, run: Run) -> None:
    base = {
        "u2": {"input": [{"name": "input1"}], "output": [], "category": "c"},
        "u1": {"input": [], "output": [{"name": "target1"}], "utt2spk": "s"},
        "u3": {"input": [], "output": []},
    }
    write(tmp_path, base=base, feat={"u1": {"feat": "f:1"}, "u2": {"feat": "f:2"}})
    write(tmp_path, dim={u: {"idim": "5", "ilen": "9"} for u in ("u1", "u2")})
    write(tmp_path, odim={u: {"odim": "5", "text": "x"} for u in ("u1", "u2")})
    done = run("addjson.py", "base.json", "feat.json", "dim.json")
    assert utts_of(done.stdout) == {
        "u1": {
            "input": [{"feat": "f:1", "name": "input1", "shape": [9, 5]}],
            "output": [{"name": "target1"}],
            "utt2spk": "s",
        },
        "u2": {
            "input": [
                {"name": "input1"},
                {"feat": "f:2", "name": "input2", "shape": [9, 5]},
            ],
            "output": [],
            "utt2spk": "",
            "category": "c",
        },
    }
    assert "base.json: 1 of 3 utterances are not in all files and are dropped: u3" in (
        done.stderr
    )
    done = run("addjson.py", "-i", "false", "base.json", "odim.json")
    assert utts_of(done.stdout)["u1"]["output"][1] == {
        "name": "target2",
        "shape": [5],
        "text": "x",
    }


def test_addjson_errors(tmp_path: Path, error_of: Call) -> None:
    write(tmp_path, a={"u": {}}, b={"u": {"idim": "five"}})
    assert "two different files" in error_of("addjson.py", "a.json", "a.json")
    words = error_of("addjson.py", "a.json", "b.json")
    assert "input: wrong size or shape" in words and "'five'" in words


def test_mergejson(tmp_path: Path, stdout_of: Call, error_of: Call) -> None:
    ids = ("u1", "u2")
    write(tmp_path, feat={u: {"feat": u + ":1"} for u in ids})
    write(tmp_path, dim={u: {"idim": "4", "ilen": "6"} for u in ids})
    write(tmp_path, text={u: {"text": "x", "shape": "3,9"} for u in ids})
    write(tmp_path, spk={"u1": {"utt2spk": "s"}})
    command = [
        *("mergejson.py", "--input-jsons", "feat.json", "dim.json"),
        *("--input-jsons", "feat.json", "--output-jsons", "text.json"),
        *("--jsons", "spk.json"),
    ]
    expected = {
        "u1": {
            "input": [
                {"feat": "u1:1", "name": "input1", "shape": [6, 4]},
                {"feat": "u1:1", "name": "input2"},
            ],
            "output": [{"name": "target1", "shape": [3, 9], "text": "x"}],
            "utt2spk": "s",
        }
    }
    assert utts_of(stdout_of(*command)) == expected
    assert stdout_of(*command, "-O", "m.json") == ""
    assert utts_of((tmp_path / "m.json").read_text()) == expected
    assert "no JSON file given" in error_of("mergejson.py")


RESULT = {
    "s-1-b": {
        "output": [
            {"token": "A <space> B", "tokenid": "3 2 4", "rec_tokenid": "3 2 5"},
            {"token": "worse", "tokenid": "1", "rec_tokenid": "1"},
        ],
        "utt2spk": "s-1",
    },
    "a": {"output": [{"token": "B", "rec_tokenid": "0 4"}], "utt2spk": "s2"},
}
UNITS = "<unk> 1\n<space> 2\nA 3\nB 4\n"


def test_json2trn(tmp_path: Path, stdout_of: Call) -> None:
    write(tmp_path, data=RESULT, units=UNITS)
    stdout_of("json2trn.py", "data.json", "units", "--refs", "r", "--hyps", "h")
    assert (tmp_path / "r").read_text() == "A <space> B (s_1-s-1-b)\nB (s2-a)\n"
    hyps = (tmp_path / "h").read_text().splitlines()
    assert [line.split() for line in hyps] == [
        ["A", "<space>", "(s_1-s-1-b)"],
        ["<blank>", "B", "(s2-a)"],
    ]


def test_json2trn_of_two_speakers(tmp_path: Path, stdout_of: Call) -> None:
    best = [{"token": t, "rec_tokenid": i} for t, i in (("A", "3"), ("B", "4 5"))]
    mixture = {"u": {"output": [[hyp, {}] for hyp in best], "utt2spk": "s"}}
    write(tmp_path, data=mixture, units=UNITS)
    files = ("--refs", "r1", "r2", "--hyps", "h1", "h2")
    stdout_of("json2trn.py", "--num-spkrs", 2, "data.json", "units", *files)
    texts = [(tmp_path / name).read_text() for name in ("r1", "r2", "h1", "h2")]
    assert texts == ["A (s-u)\n", "B (s-u)\n", "A (s-u)\n", "B (s-u)\n"]


def test_json2trn_errors(tmp_path: Path, error_of: Call) -> None:
    write(tmp_path, data=RESULT, units=UNITS)
    command = ("json2trn.py", "data.json", "units")
    files = ("--refs", "r", "--hyps", "h")
    two = error_of(*command, "--num-spkrs", 2, *files)
    assert "--refs: 1 files for 2 speakers; give one for each" in two
    more = error_of("json2trn_wo_dict.py", "data.json", *files, "h2")
    assert "--hyps: 2 files for 1 speakers; give one for each" in more
    write(tmp_path, units="<unk> 1\n<space> 2\n")
    words = error_of(*command, *files)
    assert "data.json: utterance 's-1-b': units: has no token 5, only 0 to 3" in words
    assert not (tmp_path / "r").exists()
    files = ("--refs", "r", "r2", "--hyps", "h", "h2")
    one = error_of(*command, "--num-spkrs", 2, *files)
    assert "data.json: utterance 's-1-b': no speaker 1" in one


def test_json2text(tmp_path: Path, stdout_of: Call) -> None:
    write(tmp_path, data=RESULT, units=UNITS)
    stdout_of("json2text.py", "data.json", "units", "ref", "hyp")
    assert (tmp_path / "ref").read_text() == "s-1-b A <space> B\n"
    assert (tmp_path / "hyp").read_text() == "s-1-b A <space> \na <blank> B\n"


def test_json2text_errors(tmp_path: Path, error_of: Call) -> None:
    write(tmp_path, data={"u": {"output": []}, "v": RESULT["a"]}, units=UNITS)
    words = error_of("json2text.py", "data.json", "units", "ref", "hyp")
    assert "data.json: utterance 'u': output[0].rec_tokenid: must be ids" in words
    assert not (tmp_path / "hyp").exists()
