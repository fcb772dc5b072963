"""Tags and notes: kept and shown, and no part of what a run is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

QUICK = ("loss=ce", "trainer.max_epochs=1")


def config(folder: Path) -> dict:
    return yaml.safe_load((folder / "config.yaml").read_text())


def test_tags_and_notes_are_shown_and_make_no_other_run(meddistill, monkeypatch):
    code, out, err = meddistill("distill", *QUICK, "tags=[pilot,icu]", "notes='agreed, Monday'")
    assert code == 0, err
    assert "Tags: pilot, icu. Notes: agreed, Monday" in out
    (folder,) = Path("outputs").glob("distill-*")
    assert config(folder)["tags"] == ["pilot", "icu"]
    assert "Tags: pilot, icu." in (folder / "report.md").read_text()
    monkeypatch.setattr("meddistill.tasks._work", lambda *_: pytest.fail("worked again"))
    assert "Tags: pilot, icu." in meddistill("distill", *QUICK)[1], "they stay without new ones"
    _, out, _ = meddistill("distill", *QUICK, "tags=[final]")
    assert "Tags: final. Notes: agreed, Monday" in out
    assert list(Path("outputs").glob("distill-*")) == [folder]
    assert config(folder)["tags"] == ["final"]
    assert "Tags: final." in meddistill("report", str(folder))[1]
    assert "Tags: final." in (folder / "report.html").read_text()


def test_a_sweep_with_other_tags_is_the_same_sweep(meddistill):
    sweep = ("distill", "-m", *QUICK, "seed=0,1")
    _, out, _ = meddistill(*sweep, "tags=[pilot]")
    assert "Tags: pilot." in out
    code, out, err = meddistill(*sweep, "tags=[final]")
    assert code == 0, err
    assert "Tags: final." in out
    assert len(list(Path("outputs").glob("distill-sweep-*"))) == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [("tags=pilot", "tags=pilot: must be a list of words: tags=[pilot,icu]"),
     ("notes=[a]", "notes=[a]: must be a text"),
     ("tags=[{a: 1}]", "must be a list of words")],
)  # fmt: skip
def test_tags_are_words_and_notes_a_text(meddistill, override, message):
    code, _, err = meddistill("distill", override)
    assert code == 2
    assert message in err
