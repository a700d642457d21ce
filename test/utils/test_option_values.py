"""Values of options from Python and from texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from espnet.utils.errors import UserError
from espnet.utils.option_values import check_values, number
from espnet.utils.options import option, parse_options


@dataclass(frozen=True)
class Options:
    count: int = option(1, "")
    share: float = option(0.5, "")
    flag: bool = option(False, "")
    kind: str = option("a", "", choices=("a", "b"))
    path: str | None = option(None, "")
    names: list[str] = option([], "", several=True)
    pair: tuple = option((1.0, 0.0), "", parse=str)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"count": "x"}, "count: 'x' is not a whole number"),
        ({"count": 2.5}, "count: 2.5 is not a whole number"),
        ({"count": True}, "count: True is not a whole number"),
        ({"share": "x"}, "share: 'x' is not a number"),
        ({"share": float("nan")}, "share: nan is not a number"),
        ({"share": None}, "share: None is not a number"),
        ({"flag": "yes"}, "flag: 'yes' is not True or False"),
        ({"kind": "c"}, "kind: 'c' is none of a, b"),
        ({"path": 3}, "path: 3 is not a text"),
        ({"names": "Linear"}, "names: 'Linear' is not a list"),
        ({"pair": "1,0"}, "pair: '1,0' is not several values"),
    ],
)
def test_values_of_another_type(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_values([Options], values)


def test_values_that_fit() -> None:
    values = {"count": 2, "share": 1, "flag": True, "kind": "b", "path": None}
    check_values([Options], {**values, "names": ["x"], "pair": (1, 2), "other": "?"})


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan"])
def test_nan_is_no_number(
    text: str, capsys: pytest.CaptureFixture, tmp_path: Any
) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        number(text)
    with pytest.raises(SystemExit):
        parse_options([Options], [f"--share={text}"], prog="p")
    assert f"invalid float value: '{text}'" in capsys.readouterr().err
    config = tmp_path / "c.yaml"
    config.write_text(f"share: {text}\n")
    with pytest.raises(UserError, match=f"share: '{text}' is not a number"):
        parse_options([Options], ["--config", str(config)], prog="", config_files=True)
