"""Files are whole or absent."""

from __future__ import annotations

import errno
import math
import stat
import threading
import time

import pytest

from meddistill.errors import UserError
from meddistill.files.atomic import locked, read_json, write_atomically, write_json


def test_a_failed_write_leaves_the_earlier_file_and_no_rest(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "earlier")

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, "later")
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_has_the_rights_of_any_other(tmp_path):
    write_atomically(tmp_path / "file", b"x")
    (tmp_path / "other").write_bytes(b"x")
    rights = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "other")]
    assert rights[0] == rights[1]


def test_json_has_null_for_nan(tmp_path):
    write_json(tmp_path / "x.json", {"a": math.nan, "b": [1.5, math.nan]})
    assert read_json(tmp_path / "x.json") == {"a": None, "b": [1.5, None]}


def test_a_file_system_without_locks_is_named_with_the_mend(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with pytest.raises(UserError, match=r"can't be locked .*No locks available.*store=") as found:
        locked(tmp_path / "lock").__enter__()
    assert str(tmp_path / "lock") in str(found.value)


def test_a_long_wait_for_another_process_is_said_and_ends(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("meddistill.files.atomic.QUIET_SECONDS", 0.05)
    order = []

    def second():
        with locked(tmp_path / "lock"):
            order.append("second")

    with caplog.at_level("INFO"), locked(tmp_path / "lock"):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.3)
        order.append("first")
    waiting.join(timeout=5)
    assert order == ["first", "second"]
    assert "waiting for another process that has" in caplog.text
