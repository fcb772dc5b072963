"""The store makes each entry once, whole, and notices damage."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest

from meddistill.store import MANIFEST, Store


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
        (folder / "first half").write_text("done")
        raise KeyboardInterrupt

    def go_on(folder: Path) -> None:
        assert (folder / "first half").read_text() == "done"
        make(folder)

    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).find_or_make("key", killed)
    assert not (tmp_path / "key").exists()
    assert (Store(tmp_path).find_or_make("key", go_on) / "first half").exists()
