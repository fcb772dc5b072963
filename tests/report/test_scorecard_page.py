"""The printed card: its points, every sum's risk, and what became of the test rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from meddistill.data.tables.bands import Bands
from meddistill.data.tables.cells import Notation
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.inference.card import Card
from meddistill.inference.network import MeanOfProbabilities, NetworkModel
from meddistill.inference.scorecard import described
from meddistill.models.scorecard import ScoreCard
from meddistill.report.curves import Answered
from meddistill.report.page import DataTable, Page, render
from meddistill.report.run_page import _columns
from meddistill.report.scorecard import card_section, card_table, risks
from meddistill.students.columns import Choice

CARD = {
    "columns": [
        {"column": "age", "bands": [["under 50", 0], ["50 or more", 4], ["not known", 1]]},
        {"column": "<b>ward</b>", "bands": [["a, b", -2], ["not known", 0]]},
    ],
    "scale": 0.9,
    "offset": -1.0,
}


def test_a_model_is_described_by_bands_of_equal_points_together():
    frame = pd.DataFrame({"age": np.arange(100.0), "x": 1.0, "ward": list("abcd") * 25})
    schema = Schema(numeric=("age", "x"), categorical=("ward",))
    bands = Bands().fit(TableRecords(frame, schema), 5, None)
    card = ScoreCard(bands.in_shape, 2)
    with torch.no_grad():
        card.points[0] = torch.tensor([0, 0, 3, 0, 0, 1])
        card.points[2] = torch.tensor([2, 0, 2, -1, 0, 0])
    plain = Card({}, ["x"], ["no", "yes"], {}, list(bands.in_shape))
    found = described(NetworkModel(plain, MeanOfProbabilities([card]), bands))
    assert found == {
        "columns": [
            {"column": "age", "bands": [("up to 39", 0), ("40 to 58", 3), ("59 or more", 0),
                                        ("not known", 1)]},
            {"column": "ward", "bands": [("a, c", 2), ("b", 0), ("d", -1), ("not known", 0)]},
        ],
        "notes": [
            "In column 'age' a number between whole ones counts as the lower, 44.9 as 44.",
            "In column 'ward' a category that is not on the card counts as not known.",
        ],
        "scale": 1.0,
        "offset": 0.0,
    }  # fmt: skip


def test_the_page_marks_chosen_columns_that_the_card_did_without():
    told, alone = {"age": 0.5, "ward": 0.6}, {"age": 0.5, "ward": 0.4, "sex": 0.1}
    (section,) = _columns({"columns": Choice(["age"], told, alone).facts()})
    (table,) = section.parts
    assert {row[0]: row[1][0] for row in table.rows} == {
        "age": "50.0%", "ward": "60.0%, not read", "sex": "not read"
    }  # fmt: skip
    assert "1 of 3 column(s): 'age'" in table.notes[0]


def test_the_card_says_in_which_band_bounds_and_numbers_between_whole_ones_are():
    schema = Schema(numeric=("crp", "dose"), notation={"crp": Notation(bounds=True)})
    frame = pd.DataFrame({"crp": ["<5", "7.5"] * 50, "dose": np.arange(100.0)})
    bands = Bands().fit(TableRecords(frame, schema), 5, None)
    card = ScoreCard(bands.in_shape, 2)
    with torch.no_grad():
        card.points[:, 1] = 1
    plain = Card({}, ["crp", "dose"], ["no", "yes"], {}, list(bands.in_shape))
    found = described(NetworkModel(plain, MeanOfProbabilities([card]), bands))
    said = [
        "In column 'crp' a bound such as <5 counts as 5.",
        "In column 'dose' a number between whole ones counts as the lower, 44.9 as 44.",
    ]
    assert found["notes"] == said
    assert all(note in card_table(found, "yes").notes for note in said)
    rows = pd.DataFrame({"crp": ["<5", "5"], "dose": [19.9, 19]})
    codes = bands(bands.read(rows))
    assert (codes[0] == codes[1]).all()
    test = Answered("m", 0, np.full((4, 2), 0.5), np.array([0, 1, 0, 1]))
    html = render(Page("t", "l", [card_section(found, test, "yes")]))
    assert "such as &lt;5 counts as 5" in html


def test_every_sum_that_can_be_reached_has_its_risk():
    assert risks(CARD) == [
        (str(each), f"{100 * expit(-1 + 0.9 * each):.0f} %") for each in range(-2, 5)
    ]


def test_certain_sums_are_told_together():
    found = risks({**CARD, "scale": 3.0})
    assert found[0] == ("-2 or less", "under 1 %")
    assert found[-1] == ("2 or more", "over 99 %")
    assert [sums for sums, _ in found[1:-1]] == ["-1", "0", "1"]


@pytest.mark.parametrize("scale", [0.9, 3.0, 0.05])
def test_each_test_row_is_on_the_rung_of_its_sum(scale):
    card = {**CARD, "scale": scale}
    sums = np.array([-2, -2, 0, 1, 4, 4, 4])
    risk = expit(card["offset"] + scale * sums)
    test = Answered("m", 0, np.stack([1 - risk, risk], 1), np.array([0, 1, 0, 1, 1, 1, 0]))
    section = card_section(card, test, "yes")
    points, _, ladder = [part for part in section.parts if isinstance(part, DataTable)]
    assert points.rows[0] == ["age", "under 50: 0", "50 or more: +4", "not known: +1"]
    assert points.rows[1] == ["<b>ward</b>", "a, b: -2", "", "not known: 0"]
    assert sum(int(row[2]) for row in ladder.rows) == 7
    assert ladder.rows[0][2:4] == ["2", "1"]
    assert ladder.rows[-1][2:] == ["3", "2", "67 % (21 to 94)"]


def test_the_card_is_printed_on_a_page_of_its_own_in_its_order():
    test = Answered("m", 0, np.full((4, 2), 0.5), np.array([0, 1, 0, 1]))
    html = render(Page("t", "l", [card_section(CARD, test, "yes")]))
    assert '<section class="page">' in html
    assert "<button" not in html
    assert "&lt;b&gt;ward" in html
    assert "50 or more: +4" in card_table(CARD, "yes").markdown()
