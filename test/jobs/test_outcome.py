"""Exit codes in words."""

from __future__ import annotations

import pytest

from espnet.jobs.outcome import describe


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "exit code 1"),
        (9, "exit code 9"),
        (127, "exit code 127: command not found; has path.sh been sourced?"),
        (126, "exit code 126: found, but not allowed to run"),
        (137, "exit code 137: killed by signal 9 (SIGKILL), probably out of memory"),
        (-9, "exit code 137: killed by signal 9 (SIGKILL), probably out of memory"),
        (139, "killed by signal 11 (SIGSEGV), a crash in compiled code"),
        (-15, "exit code 143: killed by signal 15 (SIGTERM)"),
        (255, "exit code 255"),
    ],
)
def test_exit_codes_in_words(code: int, words: str) -> None:
    assert describe(code).startswith(words) or describe(code).endswith(words)
