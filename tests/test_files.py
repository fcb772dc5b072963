"""Files are whole or absent."""

from __future__ import annotations

import math
import stat

import pytest

from meddistill.files import read_json, write_atomically, write_json


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
