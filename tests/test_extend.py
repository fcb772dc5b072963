"""What the page on extending says works as it is written there."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

from meddistill.compose import build, resolved
from meddistill.known import check_sections, check_targets
from meddistill.trial.arms import StudentArm
from test_known import composed

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
