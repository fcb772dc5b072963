"""What the page on extending says works as it is written there."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

from composing import composed
from meddistill.config.compose import build
from meddistill.config.known import check_sections, check_targets
from meddistill.config.resolvers import resolved
from meddistill.trial.arms import StudentArm

PAGE = Path(__file__).parents[1] / "docs" / "extend.md"


def test_the_pages_arm_of_a_student_is_built_with_its_tries(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    arm = re.search(r"    # mine/arm/warm\.yaml\n((?:    .*\n)+)", text)
    (tmp_path / "arm").mkdir()
    (tmp_path / "arm" / "warm.yaml").write_text(dedent(arm[1]))
    config = composed("trial", "arm=[distilled,warm]", f"hydra.searchpath=[file://{tmp_path}]")
    check_sections(config)
    check_targets(resolved(config))
    built = build(resolved(config)["arms"]["warm"], "arms.warm", _recursive_=False)
    assert isinstance(built, StudentArm)
    assert len(built.tries()) == 4


def test_the_pages_data_source_is_trained_on_and_refuses_what_it_says(meddistill, monkeypatch):
    text = PAGE.read_text(encoding="utf-8")
    parts = (r"    # (sources\.py)\n(.*?)\n    # mine", r"    # (mine/data/wine\.yaml)\n(.*?)\n\n")
    for file, block in (re.search(part, text, re.DOTALL).groups() for part in parts):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(dedent(block))
    (command,) = re.findall(r"    PYTHONPATH=\. meddistill (.* data=wine .*)\n", text)
    monkeypatch.syspath_prepend(Path.cwd())
    code, out, err = meddistill(*command.split(), "loss=ce", "trainer.max_epochs=1")
    assert code == 0, err
    assert "wine: 178 rows, 13 columns; another 130, the one 48; positive class: the one" in out
    code, _, err = meddistill("distill", "--config-dir", "mine", "data=wine", "data.cultivar=7")
    assert (code, "data.cultivar=7: must be 0, 1 or 2" in err) == (2, True)
