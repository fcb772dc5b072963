"""A full disk or a folder that can't be written is one message, whoever meets it."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from conftest import SMALL_TEACHER
from meddistill.errors import DiskError, UserError
from meddistill.files.atomic import write_atomically
from meddistill.files.disk import REFUSALS, disk_error, told

ALONE = ("loss=ce", "student=mlp_tiny", "trainer.max_epochs=2", "logger=none")
FULL = Path("/dev/full")


def refuse(monkeypatch, number, name=""):
    """Every file whose name begins so can't be written, for the reason of that number."""
    original = Path.replace

    def replace(self, target):
        if Path(target).name.startswith(name):
            raise OSError(number, os.strerror(number))
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace)


@pytest.mark.parametrize("number", REFUSALS)
def test_every_refusal_names_the_file_the_reason_and_a_mend(tmp_path, monkeypatch, number):
    refuse(monkeypatch, number)
    with pytest.raises(OSError, match=r".") as found:
        write_atomically(tmp_path / "file", "x")
    said = disk_error(found.value)
    assert str(said).startswith(f"{tmp_path / 'file'}: ")
    assert "; " in str(said)
    assert said.exit_code == (1 if REFUSALS[number][0] is DiskError else 2)
    assert pickle.loads(pickle.dumps(said)).exit_code == said.exit_code  # through a launcher
    assert list(tmp_path.iterdir()) == []


def test_what_no_file_system_refused_stays_a_traceback():
    for error in (OSError("?"), ConnectionResetError(errno.ECONNRESET, "?"), KeyError("x"),
                  UserError("said already")):  # fmt: skip
        assert disk_error(error) is None


@pytest.mark.skipif(not FULL.exists(), reason="Linux's device that is always full")
def test_a_full_disk_is_known_from_pyarrow_and_through_other_errors():
    def write() -> None:
        try:
            pa.OSFile(str(FULL), "w").write(b"content")
        except OSError as error:
            raise ValueError("unable to configure handler") from error

    with pytest.raises(DiskError, match="run: the disk is full"), told(Path("run")):
        write()


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (errno.ENOSPC, "best.ckpt", 1),
        (errno.EDQUOT, "predictions.parquet", 1),
        (errno.EROFS, "identity.json", 2),
    ],
)
def test_a_run_that_can_not_write_ends_with_one_message_and_goes_on_when_it_can(
    meddistill, monkeypatch, number, name, code
):
    run = ("distill", *ALONE, "hydra.run.dir=run")
    with monkeypatch.context() as patched:
        refuse(patched, number, name)
        found, out, err = meddistill(*run)
    assert found == code
    assert err.startswith("meddistill: error: ")
    assert name in err
    assert err.count("\n") == 1
    assert "Traceback" not in out + err
    assert meddistill(*run)[0] == 0


def test_a_sweeps_jobs_that_can_not_write_fail_with_the_reason_in_its_table(
    meddistill, monkeypatch
):
    refuse(monkeypatch, errno.ENOSPC, "job.json")
    code, out, err = meddistill("distill", "-m", *ALONE, "seed=0,1", "hydra.sweep.dir=sweep")
    assert code == 1
    assert "Traceback" not in out + err
    assert "job.json: the disk is full" in Path("sweep/jobs.csv").read_text()


def test_a_place_that_is_a_file_is_one_message(meddistill):
    Path("file").write_text("mine")
    for place in ("store=file", "hydra.run.dir=file", "hydra.run.dir=file/run"):
        code, out, err = meddistill("distill", *SMALL_TEACHER, place)
        assert (code, err.count("\n")) == (2, 1)
        assert "file" in err
        assert "Traceback" not in out + err
    assert Path("file").read_text() == "mine"


def test_a_finished_run_where_nothing_can_be_written_is_shown(meddistill, monkeypatch):
    run = ("distill", *ALONE, "hydra.run.dir=run")
    shown = meddistill(*run)[1]
    Path("run/report.md").unlink()
    refuse(monkeypatch, errno.EROFS)
    monkeypatch.setattr("meddistill.runs.logfile.LogFile._open", _read_only)
    code, out, err = meddistill(*run)
    assert (code, err) == (0, "")
    assert "run/report.md: its file system is read-only" in out
    assert out.splitlines()[:6] == shown[shown.index(out[:20]) :].splitlines()[:6]
    code, out, err = meddistill("report", "run")
    assert (code, err) == (0, "")
    assert "Page is not written: run/report.html: its file system is read-only" in out


def _read_only(self):
    raise OSError(errno.EROFS, "Read-only file system", self.baseFilename)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_job_of_many_on_a_disk_that_fills_ends_with_one_message(meddistill):
    Path("small").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "none", "small"]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this container may not mount")
    try:
        code, out, err = meddistill(
            "distill", *ALONE, "hydra.run.dir=small/run", "stack.axes=['seed=range(0,8)']"
        )
    finally:
        subprocess.run(["umount", "--lazy", "small"], check=True)
    assert (code, err.count("\n")) == (1, 1)
    assert "the disk is full; make room" in err
    assert "Traceback" not in out + err
