"""What docs/losses.md says of a loss is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cases import VOID, make

from meddistill.config.confdir import choices
from meddistill.errors import UserError
from meddistill.losses.choice import check_loss

TEXT = (Path(__file__).parents[2] / "docs" / "losses.md").read_text(encoding="utf-8")
COLUMNS = re.compile(r"^\| `(\w+)` \|.*\| (\d+) \| (yes|no) \| (.*) \|$", re.M)
TABLE = {name: rest for name, *rest in COLUMNS.findall(TEXT) if name in choices("loss")}


@pytest.mark.parametrize("name", TABLE)
def test_the_page_tells_what_a_loss_needs_and_over_what_it_stacks(name):
    least, relates, stacks = TABLE[name]
    loss = make(name)
    assert int(least) == loss.min_classes
    assert (relates == "yes") == loss.relates_rows
    assert set(re.findall(r"`(\w+)`", stacks)) == set(loss.per_member)


@pytest.mark.parametrize("name", VOID)
def test_the_page_shows_the_message_of_a_loss_that_is_void_for_two_classes(name):
    with pytest.raises(UserError) as caught:
        check_loss(make(name), 2)
    assert str(caught.value).split("; losses that work")[0] in TEXT
