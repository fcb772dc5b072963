"""The store makes each entry once, whole, and notices damage."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from pathlib import Path

import pytest

from meddistill.errors import DiskError, UserError
from meddistill.files.atomic import LEDGER, write_atomically
from meddistill.files.ledger import MANIFEST
from meddistill.teachers.store import Store


def make(folder: Path) -> None:
    (folder / "deep").mkdir(exist_ok=True)
    (folder / "deep" / "file").write_text("content")


def refuse(folder: Path) -> None:
    raise AssertionError("made although it was there")


def make_slowly(root: str, log: str) -> None:
    def work(folder: Path) -> None:
        with Path(log).open("a") as file:
            file.write("made\n")
        time.sleep(0.5)
        make(folder)

    entry = Store(Path(root)).find_or_make("key", work)
    assert (entry / "deep" / "file").read_text() == "content"


def test_an_entry_is_made_once(tmp_path):
    first = Store(tmp_path).find_or_make("key", make)
    assert Store(tmp_path).find_or_make("key", refuse) == first


def test_processes_that_need_the_same_entry_at_once_make_it_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    jobs = [
        context.Process(target=make_slowly, args=(str(tmp_path / "store"), str(log)))
        for _ in range(4)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0] * 4
    assert log.read_text() == "made\n"


@pytest.mark.parametrize(
    "damage", ["changed", "cut", "removed", "manifest", "no manifest", "added"]
)
def test_a_damaged_entry_is_noticed_and_made_again(tmp_path, damage, caplog):
    entry = Store(tmp_path).find_or_make("key", make)
    file = entry / "deep" / "file"
    if damage == "changed":
        file.write_text("CONTENT")
    elif damage == "cut":
        file.write_text("cont")
    elif damage == "removed":
        file.unlink()
    elif damage == "manifest":
        (entry / MANIFEST).write_text('{"deep/file": ')
    elif damage == "no manifest":
        (entry / MANIFEST).unlink()
    else:
        (entry / "stray").write_text("?")
    assert (Store(tmp_path).find_or_make("key", make) / "deep" / "file").read_text() == "content"
    assert "damaged" in caplog.text
    Store(tmp_path).find_or_make("key", refuse)


def test_an_entry_whose_making_was_killed_is_not_taken_for_whole_and_gone_on_with(tmp_path):
    def killed(folder: Path) -> None:
        write_atomically(folder / "first half", "done")
        raise KeyboardInterrupt

    def go_on(folder: Path) -> None:
        assert (folder / "first half").read_text() == "done"
        make(folder)

    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).find_or_make("key", killed)
    assert not (tmp_path / "key").exists()
    assert (Store(tmp_path).find_or_make("key", go_on) / "first half").exists()


@pytest.mark.parametrize("what", ["key", "key.partial"])
@pytest.mark.parametrize("how", ["file", "dangling link", "link to a folder"])
def test_what_is_no_folder_in_an_entrys_place_is_made_again(tmp_path, what, how, caplog):
    other = tmp_path / "other"
    if how == "file":
        (tmp_path / what).write_text("?")
    else:
        (tmp_path / what).symlink_to(other)
    if how == "link to a folder":
        other.mkdir()
        (other / "mine").write_text("mine")
    entry = Store(tmp_path).find_or_make("key", make)
    assert (entry / "deep" / "file").read_text() == "content"
    assert not entry.is_symlink()
    assert str(tmp_path / what) in caplog.text
    assert sorted(path.name for path in other.glob("*")) == ["mine"] * (how == "link to a folder")
    Store(tmp_path).find_or_make("key", refuse)


def test_a_lock_that_is_a_folder_is_one_message(tmp_path):
    (tmp_path / "key.lock").mkdir()
    with pytest.raises(UserError, match=r"key\.lock: a folder stands where a file must be"):
        Store(tmp_path).find_or_make("key", make)


@pytest.mark.parametrize(
    "manifest", ["[]", "null", '{"deep/file": 1}', '"' + "x" * 10_000_000, "[" * 100_000, "\0"]
)
def test_a_manifest_of_another_kind_is_damage(tmp_path, manifest):
    entry = Store(tmp_path).find_or_make("key", make)
    (entry / MANIFEST).write_text(manifest)
    assert (Store(tmp_path).find_or_make("key", make) / "deep" / "file").read_text() == "content"
    Store(tmp_path).find_or_make("key", refuse)


def test_a_file_that_changes_after_it_was_written_is_never_sealed(tmp_path, caplog):
    def on_a_bad_disk(folder: Path) -> None:
        write_atomically(folder / "good", "good")
        write_atomically(folder / "file", "content")
        (folder / "file").write_text("contemt")

    with pytest.raises(DiskError, match=r"changed after it was written.*repeat the command"):
        Store(tmp_path).find_or_make("key", on_a_bad_disk)
    assert not (tmp_path / "key").exists()

    def again(folder: Path) -> None:
        assert sorted(path.name for path in folder.iterdir()) == [LEDGER, "good", MANIFEST]
        write_atomically(folder / "file", "content")

    assert (Store(tmp_path).find_or_make("key", again) / "file").read_text() == "content"
    assert f"{tmp_path / 'key.partial' / 'file'} is damaged" in caplog.text


def test_what_no_making_wrote_is_never_sealed(tmp_path):
    partial = tmp_path / "key.partial"
    partial.mkdir()
    for stray in (".best.ckpt.abcdefgh.tmp", "stray", "deep/.x.tmp"):
        (partial / stray).parent.mkdir(exist_ok=True)
        (partial / stray).write_text("?")
    entry = Store(tmp_path).find_or_make("key", make)
    files = sorted(path.name for path in entry.rglob("*") if path.is_file())
    assert files == ["file", MANIFEST]


def test_an_entry_killed_before_its_rename_is_whole(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            Store(tmp_path).find_or_make("key", make)
    Store(tmp_path).find_or_make("key", refuse)


def test_a_store_that_is_removed_while_an_entry_is_made_is_one_message(tmp_path):
    def remove(folder: Path) -> None:
        shutil.rmtree(folder)

    with pytest.raises(UserError, match=r"removed while it was being made; repeat"):
        Store(tmp_path / "store").find_or_make("key", remove)
