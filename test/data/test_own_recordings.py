"""Tables of recordings as spreadsheets write them, and lengths of segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet.data.own_recordings import copy_kaldi, read_csv
from espnet.utils.errors import UserError


def test_a_cell_of_several_lines_is_several_words(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text('wav,text\na.wav,"good\nday"\nb.wav,"say ""a, b"""\n')
    texts = [(e.place, e.recording.text) for e in read_csv(table)]
    assert texts == [(f"{table}:2", "good day"), (f"{table}:4", 'say "a, b"')]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (['a.wav,"good day', "b.wav,yes", "c.wav,no"], 2),
        (["a.wav,yes", 'b.wav,"good" day'], 3),
        (["a.wav,yes", 'b.wav,"good day', 'c.wav,"no"'], 3),
        (['a.wav,"good day', *["b.wav,yes"] * 20000], 2),
    ],
)
def test_a_quote_that_is_not_closed_swallows_nothing(
    rows: list[str], line: int, tmp_path: Path
) -> None:
    table = tmp_path / "a.csv"
    table.write_text("\n".join(["wav,text", *rows]) + "\n")
    with pytest.raises(UserError, match=rf"a.csv:{line}: the quotes are wrong"):
        read_csv(table)


def test_segments_to_the_end_of_their_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They count as five seconds, not as a negative length."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("r.wav", np.zeros(8000), 8000)
    data = tmp_path / "train"
    data.mkdir()
    (data / "wav.scp").write_text("r r.wav\n")
    (data / "segments").write_text("r-1 r 0.25 0.75\nr-2 r 0.75 -1\n")
    (data / "text").write_text("r-1 A\nr-2 B\n")
    (data / "utt2spk").write_text("r-1 r\nr-2 r\n")
    (data / "spk2utt").write_text("r r-1 r-2\n")
    assert copy_kaldi(data, tmp_path / "copy") == (5.5, (8000,))
