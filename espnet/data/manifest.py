"""data.json: which features and which transcript belong to an utterance.

{"utts": {"s01-a": {"input": [{"feat": "f.ark:6", "name": "input1", "shape": [T, D]}],
                    "output": [{"name": "target1", "shape": [L, V], "text": "GOOD",
                                "token": "G O O D", "tokenid": "9 17 17 6"}],
                    "utt2spk": "s01"}}}
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any, TypeGuard

from espnet.utils.errors import DataError, UserError
from espnet.utils.files import atomic_write
from espnet.utils.lines import shorten

Utts = dict[str, dict[str, Any]]


def read_utts(path: str | Path) -> Utts:
    """Read the ``utts`` of any JSON of that form; what they hold is not checked.

    Raises:
        UserError: missing file, not JSON, or not ``{"utts": {id: {...}}}``.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            content = json.load(stream)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}:{error.lineno}: not valid JSON: {error.msg}; make it again"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text: {error.reason}") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}; is the path right, and has the "
            "stage run that makes it?"
        ) from None
    utts = content.get("utts") if isinstance(content, dict) else None
    if not isinstance(utts, dict):
        raise UserError(f'{path}: must be {{"utts": {{...}}}}, has no mapping "utts"')
    wrong = [utt for utt, entry in utts.items() if not isinstance(entry, dict)]
    if wrong:
        raise DataError(
            shorten([f"{path}: utterance '{utt}': is not a mapping" for utt in wrong])
        )
    return utts


def load_manifest(path: str | Path, need_output: bool = True) -> Utts:
    """Read and check a data.json: every utterance has inputs and targets that fit.

    Args:
        path: the file.
        need_output: targets must be there (training); decoding can do without.

    Returns:
        Utterance id -> entry, in the order of the file.

    Raises:
        UserError: the file is missing, is no data.json or holds no utterance.
        DataError: one line for each utterance and key that is wrong.
    """
    utts = read_utts(path)
    if not utts:
        raise UserError(f"{path}: holds no utterance; make it again with data2json.sh")
    problems = [
        f"{path}: utterance '{utt}': {problem}"
        for utt, entry in utts.items()
        for problem in _problems(entry, need_output)
    ]
    if problems:
        raise DataError(shorten(problems))
    return utts


def _problems(entry: dict[str, Any], need_output: bool) -> Iterator[str]:
    """What is wrong with one utterance: ``key: reason``."""
    for key in ("input", "output"):
        parts = entry.get(key)
        if not parts and key == "output" and not need_output:
            continue
        if not isinstance(parts, list) or not parts:
            yield f"{key}: must be a list of at least one mapping, is {parts!r:.40}"
            continue
        for i, part in enumerate(parts):
            if not isinstance(part, dict):
                yield f"{key}[{i}]: must be a mapping, is {part!r:.40}"
                continue
            check = _output_problem if key == "output" else _input_problem
            problem = check(part)
            if problem:
                yield f"{key}[{i}].{problem}"


def _input_problem(part: dict[str, Any]) -> str | None:
    if not isinstance(part.get("feat"), str):
        return f"feat: must be the place of the features, is {part.get('feat')!r:.40}"
    shape = part.get("shape")
    if not _is_shape(shape):
        return f"shape: must be a list of whole numbers such as [173, 83], is {shape!r}"
    return None if min(shape) > 0 else f"shape: {shape} is empty; drop the utterance"


def _output_problem(part: dict[str, Any]) -> str | None:
    shape, ids = part.get("shape"), part.get("tokenid")
    if not _is_shape(shape):
        return f"shape: must be a list of whole numbers such as [8, 30], is {shape!r}"
    if ids is None and isinstance(part.get("feat"), str):
        return None
    if not isinstance(ids, str):
        return f"tokenid: must be ids with blanks between, is {ids!r:.40}"
    try:
        numbers = [int(number) for number in ids.split()]
    except ValueError:
        return f"tokenid: must be whole numbers, is {ids!r:.40}"
    if len(numbers) != shape[0]:
        return f"tokenid: has {len(numbers)} ids, but shape is {shape}"
    if numbers and len(shape) > 1 and not 0 <= min(numbers) <= max(numbers) < shape[1]:
        return f"tokenid: has ids outside 0 to {shape[1] - 1} (shape is {shape})"
    return None


def _is_shape(value: Any) -> TypeGuard[list[int]]:
    """A non-empty list of whole numbers, 0 included."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(type(n) is int and n >= 0 for n in value)
    )


def dimensions(
    utts: Mapping[str, Any], path: str | Path = "data.json"
) -> tuple[int, int]:
    """``(idim, odim)``: feature size D and vocabulary size V of the first utterance.

    Args:
        utts: checked utterances.
        path: their file, for the error.

    Raises:
        UserError: no utterance, or the first has no shape.
    """
    for utt, entry in utts.items():
        sizes = []
        for key in ("input", "output"):
            try:
                sizes.append(int(entry[key][0]["shape"][-1]))
            except (KeyError, IndexError, TypeError, ValueError):
                raise UserError(
                    f"{path}: utterance '{utt}': {key}[0].shape is missing, so the "
                    f"{key} size of the model is not known; make the file with "
                    f"data2json.sh"
                ) from None
        return sizes[0], sizes[1]
    raise UserError(f"{path}: holds no utterance")


def select(utts: Utts, ids: Iterable[str]) -> Utts:
    """The entries of ``ids``, in their order; the entries are not copied.

    Raises:
        DataError: ids that ``utts`` lacks.
    """
    ids = list(ids)
    missing = [f"utterance '{utt}' is not there" for utt in ids if utt not in utts]
    if missing:
        raise DataError(shorten(missing))
    return {utt: utts[utt] for utt in ids}


def split(utts: Utts, parts: int) -> list[Utts]:
    """Cut into ``parts`` pieces of sorted ids; sizes differ by one at most.

    Raises:
        UserError: fewer utterances than parts.
    """
    if parts < 1:
        raise UserError(f"number of parts: {parts} must be 1 or more")
    if len(utts) < parts:
        raise UserError(
            f"{len(utts)} utterances cannot be split into {parts} parts; "
            f"choose {len(utts)} parts at most"
        )
    ids = sorted(utts)
    size, longer = divmod(len(ids), parts)
    ends = [size * k + min(k, longer) for k in range(parts + 1)]
    return [select(utts, ids[ends[k] : ends[k + 1]]) for k in range(parts)]


def join(pieces: Iterable[Utts]) -> Utts:
    """All utterances of several pieces, sorted by id; the later piece wins."""
    together: Utts = {}
    for piece in pieces:
        together.update(piece)
    return {utt: together[utt] for utt in sorted(together)}


def save_json(content: Mapping[str, Any], path: str | Path | None) -> None:
    """Write JSON as recipes know it: 4 blanks a level, UTF-8, sorted keys.

    Only the utterances below ``utts`` keep the order they have.

    Args:
        content: what to write.
        path: the file, made whole or not at all; None for stdout.
    """
    with atomic_write(path) if path is not None else nullcontext(sys.stdout) as stream:
        _write(content, stream)


_text = json.JSONEncoder(ensure_ascii=False).encode  # numbers, strings, empty ones


def _write(content: Mapping[str, Any], stream: IO[str]) -> None:
    """One utterance at a time: a corpus of a million must not be one string."""
    stream.write("{")
    for i, key in enumerate(sorted(content)):
        stream.write((",\n    " if i else "\n    ") + _text(key) + ": ")
        if key != "utts" or not content[key]:
            stream.write(_layout(content[key], "    "))
            continue
        stream.write("{")
        for j, (utt, entry) in enumerate(content[key].items()):
            stream.write((",\n        " if j else "\n        ") + _text(utt) + ": ")
            stream.write(_layout(entry, "        "))
        stream.write("\n    }")
    stream.write("\n}\n" if content else "}\n")


def _layout(value: Any, indent: str) -> str:
    """``json.dumps(value, indent=4, sort_keys=True)`` in a fraction of its time.

    Python's own encoder is slow as soon as it indents.
    """
    inner = indent + "    "
    if isinstance(value, dict) and value:
        lines = [
            f"{inner}{_text(str(key))}: {_layout(value[key], inner)}"
            for key in sorted(value)
        ]
        return "{\n" + ",\n".join(lines) + "\n" + indent + "}"
    if isinstance(value, (list, tuple)) and value:
        lines = [inner + _layout(item, inner) for item in value]
        return "[\n" + ",\n".join(lines) + "\n" + indent + "]"
    return _text(value)
