"""The columns that a student reads while its teacher reads them all."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from composing import composed
from conftest import SMALL_TEACHER
from frames import with_frame
from meddistill.config.identity import identity
from meddistill.config.resolvers import resolved
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.images.records import ImageRecords
from meddistill.errors import SettingError, UserError
from meddistill.inference.loading import load_model
from meddistill.losses.building import build_loss
from meddistill.stack.tables import _key
from meddistill.students.columns import Columns, build_columns
from meddistill.students.rows import asks_teacher
from meddistill.students.told import Told, _bands, _Design
from meddistill.teachers.teaching import with_unlabelled_rows

FOREST = ("teacher=forest", "teacher.trees=5", "teacher.min_samples_leaf=8",
          "teacher.max_features=null", "teacher.out_of_fold=false")  # fmt: skip
SHORT = ("trainer.max_epochs=2", "student=mlp_tiny")
MUNGE = {"_target_": "meddistill.data.tables.munge.Munge", "copies": 1}


@pytest.fixture
def file(tmp_path):
    """A table whose label follows `marker` and, less so, `ward`; nothing else says anything."""
    random = np.random.default_rng(0)
    rows = 160
    marker = random.normal(size=rows)
    ward = random.choice(["north", "south"], rows)
    ill = marker + 2 * (ward == "south") + 0.3 * random.normal(size=rows) > 1
    frame = pd.DataFrame({"marker": marker, "noise": random.normal(size=rows), "ward": ward,
                          "age": random.integers(20, 90, rows), "ill": np.where(ill, "yes", "no"),
                          "patient": np.arange(rows) // 2})  # fmt: skip
    frame.to_csv(tmp_path / "table.csv", index=False)
    return ("data=table", f"data.path={tmp_path}/table.csv", "data.target=ill",
            "data.group=patient")  # fmt: skip


def metrics(folder):
    return json.loads(Path(folder, "metrics.json").read_text())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"keep": []}, "keep=[]: a student reads one column at least"),
        ({"keep": "age"}, "keep=age: must be a list: columns.keep=[age]"),
        ({"keep": ["a", "a"]}, "keep=[a,a]: 'a' is named twice"),
        ({"keep": ["a"], "most": 2}, "names the columns, and columns.most would choose them"),
        ({"most": 0}, "most=0: must be a whole number of at least 1"),
        ({"costs": {"a": -1}, "budget": 3}, "costs.a=-1: must be a number at least 0"),
        ({"budget": 3}, "budget=3: pays for columns.costs, which names none"),
        ({"costs": {"a": 1}}, "nothing reads them without columns.budget"),
    ],
)
def test_settings_that_can_not_be_are_refused(settings, says):
    with pytest.raises(SettingError) as caught:
        Columns(**settings)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"keep": ["mean radus"]}, "no such column; is 'mean radius' meant? The models read"),
        ({"keep": ["ill"]}, "columns.keep=ill: data.target names it, so no model reads it"),
        ({"keep": ["date"]}, "columns.keep=date: data.drop names it, so no model reads it"),
        ({"most": 31}, "columns.most=31: there are 30 columns"),
        ({"costs": {"crp": 1}, "budget": 3}, "columns.costs=crp: no such column"),
    ],
)
def test_what_these_rows_have_not_is_refused(settings, says, cohort):
    with pytest.raises(SettingError) as caught:
        Columns(**settings).check_on(cohort.records, {"target": "ill", "drop": ["date"]})
    assert says in str(caught.value)


def test_a_budget_that_pays_for_no_column_is_refused_with_the_cheapest(cohort):
    prices = {name: 10 + place for place, name in enumerate(cohort.records.columns)}
    with pytest.raises(SettingError, match="the cheapest, 'mean radius', costs 10"):
        Columns(costs=prices, budget=9).check_on(cohort.records, {})


def test_a_budget_above_what_all_columns_cost_is_refused_as_too_many_columns_are(cohort):
    prices = {"mean area": 4, "mean radius": 3.5}
    with pytest.raises(SettingError, match=r"all columns cost 7\.5: leave columns\.costs"):
        Columns(costs=prices, budget=8).check_on(cohort.records, {})
    Columns(costs=prices, budget=7.5).check_on(cohort.records, {})


def test_rows_without_columns_are_refused_by_their_kind():
    pictures = ImageRecords.__new__(ImageRecords)  # its kind is all that is looked at
    with pytest.raises(SettingError, match="and these rows are images: take columns=all"):
        Columns(keep=["age"]).check_on(pictures, {})
    Columns().check_on(pictures, {})


class Worth:
    """Columns that each tell a share of their own, whichever stand beside it."""

    def __init__(self, shares):
        self.shares, self.columns = shares, list(shares)

    alone = Told.alone
    forward = Told.forward
    _nothing = _Design(np.zeros((1, 0)), np.zeros((1, 0)))

    @property
    def _designs(self):
        return {k: _Design(np.full((1, 1), v), np.zeros((1, 1))) for k, v in self.shares.items()}

    def _shares(self, taken, names):
        return {name: float(taken.train.sum()) + self.shares[name] for name in names}


@pytest.mark.parametrize("seed", range(8))
def test_the_columns_chosen_are_within_number_and_budget_and_tell_nearly_the_most(seed):
    random = np.random.default_rng(seed)
    shares = dict(zip("abcdefg", (random.random(7) ** 3 / 7).tolist(), strict=True))
    costs = dict(zip("abcde", random.integers(1, 9, 5).tolist(), strict=True))
    most, budget = int(random.integers(1, 5)), int(random.integers(0, 15))
    chosen = Columns(most=most, costs=costs, budget=budget).choose(Worth(shares))
    allowed = [
        sum(shares[name] for name in some)
        for size in range(1, most + 1)
        for some in itertools.combinations(shares, size)
        if sum(costs.get(name, 0) for name in some) <= budget
    ]
    assert len(chosen.columns) <= most
    assert chosen.cost <= budget
    assert max(chosen.told.values()) >= 0.5 * (1 - 1 / np.e) * max(allowed)
    best = sorted(shares, key=lambda name: -shares[name])[:most]
    assert list(Columns(most=most).choose(Worth(shares)).told) == best


def test_a_cheap_column_is_taken_before_a_dear_one_where_it_buys_more():
    shares, costs = {"mri": 0.3, "crp": 0.25, "bp": 0.2}, {"mri": 50, "crp": 10, "bp": 10}
    chosen = Columns(costs=costs, budget=50).choose(Worth(shares))
    assert chosen.columns == ["crp", "bp"]
    assert Columns(costs={**costs, "bp": 45}, budget=50).choose(Worth(shares)).columns == ["mri"]


def test_a_column_that_tells_nothing_more_is_not_read():
    assert Columns(most=2).choose(Worth({"a": 0.0, "b": 0.2})).columns == ["b"]
    with pytest.raises(UserError, match="tells anything of the teacher's answers"):
        Columns(most=2).choose(Worth({"a": 0.0, "b": -0.1}))


@pytest.fixture(scope="module")
def answers(cohort):
    """Log-probabilities that two columns decide, of which one says what a third says too."""
    frame = cohort.records.frame
    score = frame["mean area"].rank(pct=True) + (frame["mean texture"] > 19) - 1
    return np.log(np.stack([1 - _sigmoid(score), _sigmoid(score)], axis=1)).astype(np.float32)


def _sigmoid(values):
    return 1 / (1 + np.exp(-3 * values.to_numpy()))


def test_columns_that_decide_are_taken_and_one_that_says_the_same_is_not(data, answers):
    told = Told(data, answers)
    chosen = Columns(most=2).choose(told)
    sizes = {"mean area", "mean perimeter", "mean radius"}
    assert "mean texture" in chosen.columns
    assert len(sizes & set(chosen.columns)) == 1
    assert 0.9 < max(chosen.told.values()) <= 1
    assert min(chosen.alone[name] for name in sizes) > 0.3  # the others tell as much, and no more
    assert list(chosen.alone.values()) == sorted(chosen.alone.values(), reverse=True)


def test_a_choice_reads_no_test_row_and_no_label(cohort, split, data, answers):
    known = Columns(most=3).choose(Told(data, answers))
    frame, others = cohort.records.frame.copy(), answers.copy()
    frame.iloc[split.test] = frame.iloc[split.test[::-1]].to_numpy()
    others[split.test] = -1.0
    target = cohort.target.copy()
    target[split.train] = 1 - target[split.train]
    same = CohortDataModule(with_frame(cohort, frame, target=target), split)
    assert Columns(most=3).choose(Told(same, others)) == known
    others[split.validation] = others[split.validation][::-1]
    assert Columns(most=3).choose(Told(same, others)) != known


def test_a_flag_and_a_rare_category_are_bands_of_their_own():
    rare, common = np.zeros(100, np.float32), np.ones(100, np.float32)
    rare[:3], common[:3] = 1, 0
    for values in (rare, common):
        own, others = _bands(values, values[:4])
        assert sorted(own.sum(axis=0)[own.any(axis=0)]) == [3, 97]
        assert (others[0] != others[3]).any()


def test_rows_made_for_the_teacher_are_of_all_columns_whichever_the_student_reads(data):
    few = data.with_columns(["mean area", "worst area"])
    made = [with_unlabelled_rows(MUNGE, each).unlabelled[-1].frame for each in (data, few)]
    assert made[0].equals(made[1])
    assert few.in_shape == (2,)
    assert few.with_columns(None).rows.inputs.equal(data.rows.inputs)


def test_a_student_asks_for_its_columns_alone(file, meddistill, tmp_path):
    code, out, err = meddistill("distill", *file, *FOREST, *SHORT, "columns.most=2",
                                "hydra.run.dir=run")  # fmt: skip
    assert code == 0, err
    found = metrics("run")["columns"]
    assert found["columns"] == ["marker", "ward"]
    assert set(found["told"]) == {"marker", "ward"}
    assert len(found["alone"]) == 4
    assert "columns: of 4 the student reads 2: '" in out
    assert "The student reads 2 of 4 column(s): 'marker', 'ward'." in out
    model = load_model("run")
    frame = pd.read_csv(tmp_path / "table.csv")
    alone = model.predict_proba(frame[["ward", "marker"]])
    pd.testing.assert_frame_equal(model.predict_proba(frame), alone)
    kept = pd.read_parquet("run/predictions.parquet")["p_yes"].to_numpy()
    np.testing.assert_allclose(alone["yes"], kept, atol=1e-6)
    with pytest.raises(UserError, match="these rows lack column 'ward'"):
        model.predict_proba(frame[["marker"]])
    assert meddistill("report", "run")[0] == 0
    page = Path("run/report.html").read_text()
    assert "an additive model of a column tells" in page


def test_a_student_alone_reads_the_columns_that_the_teacher_chose(file, meddistill):
    for loss in ("ce", "kd"):
        code, _, err = meddistill("distill", *file, *FOREST, *SHORT, "columns.most=2",
                                  f"loss={loss}", f"hydra.run.dir={loss}")  # fmt: skip
        assert code == 0, err
    assert metrics("ce")["columns"] == metrics("kd")["columns"]
    assert metrics("ce")["teacher"] is None
    code, _, err = meddistill("distill", *file, *SHORT, "loss=ce", "columns.keep=[marker,ward]",
                              "hydra.run.dir=kept", "store=other")  # fmt: skip
    assert code == 0, err
    assert metrics("kept")["score"] == metrics("ce")["score"]
    assert not Path("other").exists()


def test_students_alone_of_two_teachers_read_what_their_own_teacher_chose():
    own = resolved(composed("distill", "loss=ce", "columns.most=2"))
    other = {**own, "teacher": {**own["teacher"], "seed": 1}}
    loss = build_loss(own["loss"])
    assert asks_teacher(own, loss)
    assert len({_key(each, loss) for each in (own, other)}) == 2
    assert not asks_teacher({**own, "columns": {**own["columns"], "most": None}}, loss)


def test_columns_are_an_axis_of_a_stack_whose_members_are_those_trained_alone(file, meddistill):
    common = (*file, *FOREST, *SHORT)
    code, out, err = meddistill(
        "distill", "-m", *common, "columns.most=1,2", "seed=0,1", "hydra.sweep.dir=sweep"
    )
    assert code == 0, err
    assert "one by one" not in out
    sweep = pd.read_csv("sweep/sweep.csv").set_index(["columns.most", "seed"])
    code, _, err = meddistill("distill", *common, "columns.most=2", "seed=1", "hydra.run.dir=alone")
    assert code == 0, err
    assert sweep.loc[(2, 1), "score"] == pytest.approx(metrics("alone")["score"], abs=1e-6)
    code, _, err = meddistill("pick", "sweep", "columns.most=1", "seed=0", "--to", "picked")
    assert code == 0, err
    schema, (first, *others) = (
        load_model("picked").card.schema,
        metrics("picked")["columns"]["columns"],
    )
    assert [*schema["numeric"], *schema["categorical"]] == [first]
    assert not others


def test_a_live_teacher_reads_every_column_of_synthetic_rows_too(meddistill):
    for answers in ("live", "stored"):
        code, _, err = meddistill(
            "distill", *SMALL_TEACHER, *SHORT, "synthetic=munge", "synthetic.copies=1",
            "columns.most=3", f"answers={answers}", f"hydra.run.dir={answers}",
        )  # fmt: skip
        assert code == 0, err
    live, stored = (
        torch.load(f"{name}/checkpoints/best.ckpt", weights_only=True)["state_dict"]
        for name in ("live", "stored")
    )
    for name, value in stored.items():
        torch.testing.assert_close(live[name], value, atol=1e-5, rtol=1e-4)


def test_a_file_of_answers_is_enough_for_a_choice(meddistill, cohort):
    pd.DataFrame({"malignant": cohort.target}).to_csv("scores.csv", index=False)
    code, _, err = meddistill(
        "distill", "teacher=scores", "teacher.path=scores.csv", "teacher.column=malignant", *SHORT,
        "columns.most=3", "hydra.run.dir=run",
    )  # fmt: skip
    assert code == 0, err
    assert len(metrics("run")["columns"]["columns"]) == 3


def test_a_student_of_fewer_columns_starts_from_no_part_of_its_teacher(meddistill):
    code, _, err = meddistill("distill", *SMALL_TEACHER, *SHORT, "init=subset", "columns=few")
    assert code == 2
    assert "init=subset: the teacher reads columns that the student does not" in err
    assert not Path("store").exists()


def test_runs_that_read_every_column_are_the_runs_they_were():
    for verb in ("distill", "trial"):
        kept = identity(resolved(composed(verb)))
        assert not [key for key in kept if "columns" in key]
    settings = resolved(composed("distill", "columns.costs={mean area:4}", "columns.budget=9"))
    assert build_columns(settings).costs == {"mean area": 4}
    assert identity(settings)["columns.costs.mean area"] == 4


@pytest.mark.parametrize(("given", "other"), [("[b,a,10]", "[10,a,b]"), ("[3,a]", "[a,'3']")])
def test_columns_named_in_another_order_make_the_same_run(given, other):
    one, two = (
        identity(resolved(composed("distill", f"columns.keep={names}"))) for names in (given, other)
    )
    assert one == two
    assert one != identity(resolved(composed("distill", "columns.keep=[a,b]")))


def test_a_restricted_schema_reads_what_the_whole_one_reads(cohort):
    whole = replace(cohort.records.schema, notation={})
    few = whole.only({"worst area", "mean area"})
    assert few.columns == ["mean area", "worst area"]
    assert cohort.records.only(few.columns).cells.numbers.tolist() == (
        cohort.records.frame[few.columns].to_numpy().tolist()
    )
