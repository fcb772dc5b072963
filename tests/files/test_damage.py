"""Damaged files in the folder of a run are noticed, named and made anew."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import lightning.pytorch as pl
import pytest

from conftest import SMALL_TEACHER
from damages import DAMAGES, damage
from meddistill.errors import DamagedError
from meddistill.files.atomic import LEDGER, read_json, write_atomically
from meddistill.files.ledger import open_ledger
from meddistill.runs.runfolder import RunFolder
from meddistill.stack.folder import StackFolder
from meddistill.training.classifier import Classifier

CONFIG = {"verb": "distill", "seed": 0}
METRICS = {"score": 1.0, "monitor": "val/log_loss", "threshold": 0.5, "data": {}}
OF_A_JOB = {"members": 1, "finished": 1, "seconds": 1.0, "tables": []}


@pytest.fixture(params=DAMAGES)
def kind(request):
    return request.param


def killed(folder: RunFolder) -> RunFolder:
    """A folder at work whose process is gone."""
    folder.close()
    return folder


@pytest.mark.parametrize(
    "name", ["checkpoints/last.ckpt", "search/last.ckpt", "parts/0.ckpt", "parts/search-3.json"]
)
def test_what_a_repeat_would_go_on_from_is_gone_and_named_if_it_is_damaged(
    tmp_path, caplog, kind, name
):
    run = RunFolder(tmp_path / "run", CONFIG)
    run.open()
    for each in (name, "checkpoints/best.ckpt"):
        write_atomically(run.path / each, b"any content of some length")
    killed(run)
    damage(run.path / name, kind)
    again = RunFolder(run.path, CONFIG)
    assert again.open() is None
    again.close()
    assert not (run.path / name).exists()
    assert (run.path / "checkpoints" / "best.ckpt").exists()
    (said,) = [each.getMessage() for each in caplog.records]
    assert str(run.path / name) in said
    assert "damaged" in said


def test_another_runs_training_state_is_not_gone_on_from(tmp_path, caplog):
    killed_run = RunFolder(tmp_path / "run", CONFIG)
    killed_run.open()
    killed(killed_run)
    (tmp_path / "run" / "checkpoints").mkdir()
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(b"another's")
    assert RunFolder(tmp_path / "run", CONFIG).open() is None
    assert not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()
    assert "last.ckpt" in caplog.text


def test_a_users_own_files_in_a_runs_folder_stay(tmp_path):
    for name in ("notes.txt", "checkpoints/mine.ckpt", ".notes.txt.swp"):
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_text("mine")
    for _ in range(2):
        run = RunFolder(tmp_path / "run", CONFIG)
        run.open()
        killed(run)
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "run" / "checkpoints" / "mine.ckpt").read_text() == "mine"
    assert (tmp_path / "run" / ".notes.txt.swp").read_text() == "mine"


def test_what_a_killed_write_left_is_gone_at_the_next_opening(tmp_path, monkeypatch):
    run = RunFolder(tmp_path / "run", CONFIG)
    run.open()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # the process is gone
    with pytest.raises(KeyboardInterrupt):
        write_atomically(run.path / "checkpoints" / "last.ckpt", b"half")
    monkeypatch.undo()
    killed(run)
    (left,) = (run.path / "checkpoints").iterdir()
    again = RunFolder(run.path, CONFIG)
    again.open()
    assert not left.exists()
    again.finish(METRICS)
    assert sorted(path.name for path in run.path.iterdir()) == [
        "checkpoints", "config.yaml", "environment.txt", "identity.json", "metrics.json",
    ]  # fmt: skip


def test_a_file_is_whole_on_either_side_of_a_killed_replacement(tmp_path, monkeypatch):
    open_ledger(tmp_path)
    write_atomically(tmp_path / "state", b"earlier")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "state", b"later")  # noted, and not written
    monkeypatch.undo()
    open_ledger(tmp_path)
    assert (tmp_path / "state").read_bytes() == b"earlier"
    write_atomically(tmp_path / "state", b"later")
    open_ledger(tmp_path)
    assert (tmp_path / "state").read_bytes() == b"later"


@pytest.mark.parametrize("ledger", [b"", b"\0\0\0", b"torn li", b"\xff\xfe  state\n"])
def test_a_damaged_ledger_makes_everything_anew(tmp_path, ledger):
    open_ledger(tmp_path)
    write_atomically(tmp_path / "state", b"content")
    (tmp_path / LEDGER).write_bytes(ledger)
    open_ledger(tmp_path)
    assert not (tmp_path / "state").exists()
    write_atomically(tmp_path / "state", b"content")
    open_ledger(tmp_path)
    assert (tmp_path / "state").exists()


@pytest.mark.parametrize("folder", [RunFolder, StackFolder])
def test_a_finished_run_whose_results_are_damaged_is_made_again_and_says_so(
    tmp_path, folder, caplog
):
    for wrong in ("[]", "", '{"score": 1.0', '{"score": 1.0}', "null", "\0\0"):
        run = folder(tmp_path / "run", CONFIG)
        assert run.open() is None
        run.finish({**METRICS, **OF_A_JOB})
        assert folder(tmp_path / "run", CONFIG).open() is not None
        caplog.clear()
        if folder is RunFolder:
            (tmp_path / "run" / "metrics.json").write_text(wrong)
        else:
            record = read_json(tmp_path / "run" / "job.json")
            (tmp_path / "run" / "job.json").write_text(json.dumps({**record, "summary": wrong}))
        run = folder(tmp_path / "run", CONFIG)
        assert run.open() is None
        assert [each.levelname for each in caplog.records] == ["WARNING"]
        assert "made again" in caplog.text
        run.close()


@pytest.mark.parametrize(("folder", "record"), [(RunFolder, "identity.json"),
                                                (StackFolder, "job.json")])  # fmt: skip
def test_a_folder_that_does_not_say_what_made_it_is_refused_if_it_is_finished(
    tmp_path, folder, record
):
    for wrong in ("", "[]", '{"verb": ', "\0\0"):
        run = folder(tmp_path / "run", CONFIG)
        run.open()
        run.finish({**METRICS, **OF_A_JOB})
        whole = (tmp_path / "run" / record).read_bytes()
        (tmp_path / "run" / record).write_text(wrong)
        with pytest.raises(DamagedError, match=record):
            folder(tmp_path / "run", CONFIG).open()
        (tmp_path / "run" / record).write_bytes(whole)
        folder(tmp_path / "run", CONFIG).open()


def test_an_unfinished_folder_that_does_not_say_what_made_it_is_begun_anew(tmp_path, caplog):
    for wrong in ("", "[]", '{"verb": '):
        run = RunFolder(tmp_path / "run", CONFIG)
        run.open()
        killed(run)
        (tmp_path / "run" / "identity.json").write_text(wrong)
        assert RunFolder(tmp_path / "run", CONFIG).open() is None
        assert read_json(tmp_path / "run" / "identity.json") == CONFIG
        assert "identity.json is damaged" in caplog.text


@pytest.mark.parametrize("content", ["", "[1]", "{", "\0", "[" * 100_000, '"text"'])
def test_a_damaged_record_is_named_with_what_is_wrong(tmp_path, content):
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(DamagedError, match=r"record\.json is damaged \(") as found:
        read_json(tmp_path / "record.json")
    again = pickle.loads(pickle.dumps(found.value))
    assert str(again) == str(found.value)


@pytest.mark.parametrize("axes", [(), ("stack.axes=['seed=range(0,2)']",)])
def test_a_store_that_is_removed_while_students_train_costs_nothing(meddistill, monkeypatch, axes):
    original = pl.Trainer.fit

    def without_store(self, module, *given, **named):
        if type(module) is not Classifier:  # a student's fit, not the teacher's
            shutil.rmtree("store")
        return original(self, module, *given, **named)

    monkeypatch.setattr(pl.Trainer, "fit", without_store)
    small = (*SMALL_TEACHER, "student=mlp_tiny", "trainer.max_epochs=2", "logger=none")
    code, out, err = meddistill("distill", *small, *axes, "hydra.run.dir=run")
    assert (code, err) == (0, "")
    assert not Path("store").exists()
    assert "teacher" in out
