"""Errors, whole-or-nothing files, and classes named in configs."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import DataError, UsageError, UserError, one_of, run_command
from espnet.utils.files import (
    atomic_write,
    files_below,
    is_stream,
    make_folder_of,
    remove_folder,
)


def test_dynamic_import_returns_the_named_object() -> None:
    assert dynamic_import("pathlib:Path") is Path


@pytest.mark.parametrize(
    "path, message",
    [
        ("pathlib.Path", "model-module: 'pathlib.Path' must have the form"),
        ("no_such_module:X", "no module named 'no_such_module'"),
        ("pathlib:Pth", r"module 'pathlib' has no 'Pth' \(did you mean 'Path'\?\)"),
    ],
)
def test_dynamic_import_says_what_is_wrong(path: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        dynamic_import(path, "model-module")


def test_atomic_write_keeps_the_old_file_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    with atomic_write(path) as stream:
        stream.write("old")
    with pytest.raises(RuntimeError), atomic_write(path) as stream:
        stream.write("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "a.json", tmp_path / "file" / "b" / "a.json"):
        with pytest.raises(UserError, match="a.json: cannot be written: "):
            atomic_write(path).__enter__()
        with pytest.raises(UserError, match="a.json: cannot be written: "):
            make_folder_of(path)
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(UserError, match="folder: cannot be written: Is a directory"),
        atomic_write(tmp_path / "folder") as stream,
    ):
        stream.write("x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_goes_although_a_file_comes_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that is cancelled writes its exit code while the folder is removed."""
    folder, unlink = tmp_path / "done", os.unlink
    folder.mkdir()
    (folder / "1").touch()

    def write_another(path: str, **kwargs: Any) -> None:
        unlink(path, **kwargs)
        with suppress(OSError):
            (folder / "2").touch()

    monkeypatch.setattr(os, "unlink", write_another)
    remove_folder(folder)
    assert not list(tmp_path.iterdir())
    remove_folder(folder)  # none is there


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_folder_is_no_file_and_that_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written: Is a directory; name a"):
        make_folder_of(tmp_path)


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with (
        pytest.raises(UserError, match="a.json: cannot be written: No space left"),
        atomic_write(path),
        open("/dev/full", "w") as disk,
    ):
        disk.write("x")
    assert not list(tmp_path.iterdir())


def test_nothing_takes_the_place_of_a_pipe_or_device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with atomic_write(pipe) as stream:
        stream.write("text")
    assert pipe.is_fifo() and os.read(reader, 9) == b"text"
    os.close(reader)
    with atomic_write("-") as stream:
        stream.write("for stdout")
    assert capsys.readouterr().out == "for stdout"
    # where stdout goes to a file, /dev/stdout looks like that file
    assert all(map(is_stream, ("/dev/null", "/dev/stdout", "/dev/fd/1")))
    assert not is_stream("/dev/shm/x") and not is_stream(tmp_path / "new")


def test_files_below_enters_links_and_no_circle(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "b").touch()
    (tmp_path / "here" / "deep").mkdir(parents=True)
    (tmp_path / "here" / "deep" / "up").symlink_to(tmp_path / "here")
    (tmp_path / "here" / "link").symlink_to(tmp_path / "there")
    (tmp_path / "here" / "a").touch()
    names = [str(p.relative_to(tmp_path)) for p in files_below(tmp_path / "here")]
    assert names == ["here/a", "here/link/b"]


def test_errors_of_another_file_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.json"):
        (tmp_path / "other").read_text()
    with pytest.raises(BrokenPipeError), atomic_write(tmp_path / "a.json"):
        raise BrokenPipeError(32, "Broken pipe")


def fails(error: BaseException):
    def main(argv: object) -> int:
        raise error

    return main


@pytest.mark.parametrize(
    "main, status, lines",
    [
        (lambda argv: None, 0, []),
        (lambda argv: 3, 3, []),
        (fails(UserError("a: b")), 1, ["x.py: error: a: b"]),
        (fails(UsageError("a: b")), 2, ["x.py: error: a: b"]),
        (fails(DataError(["p:1: q", "p:2: r"])), 1, ["p:1: q", "p:2: r"]),
        (fails(KeyboardInterrupt()), 130, ["x.py: interrupted"]),
    ],
)
def test_run_command_reports_without_a_traceback(
    main, status: int, lines: list[str], monkeypatch, capsys
) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/x.py"])
    with pytest.raises(SystemExit) as exit:
        run_command(main)
    text = capsys.readouterr().err.splitlines()
    assert exit.value.code == status
    assert len(text) == len(lines)
    assert all(line.endswith(end) for line, end in zip(text, lines, strict=True))


def test_run_command_keeps_the_traceback_of_our_own_mistakes() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(lambda argv: 1 // 0)


def test_one_of_lists_the_choices() -> None:
    text = one_of("atype", "loc", ["dot", "location"])
    assert text == "atype: 'loc' is none of dot, location (did you mean 'location'?)"
