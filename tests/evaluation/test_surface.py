"""A sweep's surface by hand, and a simulation of the winner's curse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from meddistill.evaluation.surface import MEASURES, find_axes, surface
from sweep_frames import by_split, failed, grid, noisy, student, sweep

RATIO = 1 / 3


def lr(found, value):
    """The line of a learning rate."""
    return found.table.set_index("optimizer.lr").loc[value]


def test_axes_are_settings_and_replicates():
    rows = [student(0.1, loss=loss, optimizer__lr=1, seed=seed, data__split_seed=split)
            for loss in ("ce", "kd") for seed in (0, 1) for split in (0, 1)]  # fmt: skip
    assert find_axes(sweep(rows)) == (("loss",), ("seed", "data.split_seed"))


def test_facts_are_no_axes_and_settings_that_only_metrics_know_are():
    rows = [student(0.1, name="a", parameters=1), student(0.2, name="b", parameters=2, epochs=3),
            failed(), student(0.3, threshold=0.3)]  # fmt: skip
    assert find_axes(sweep(rows)) == (("threshold",), ())


def test_an_axis_that_a_failed_student_alone_varies_is_an_axis():
    assert find_axes(sweep([student(0.1, depth=1), failed(depth=2)])) == (("depth",), ())


def test_an_axis_that_some_students_lack_is_a_setting():
    rows = [student(0.2, loss="ce"), student(0.1, loss="kd", loss__temperature=2)]
    found = surface(sweep(rows))
    assert found.settings == ("loss", "loss.temperature")
    assert len(found.table) == 2


def test_means_and_errors_by_hand():
    found = surface(by_split({1: [0.1, 0.2, 0.3], 2: [0.4, 0.4, 0.7]}))
    assert found.table["optimizer.lr"].tolist() == [1, 2]
    assert found.table["score"].tolist() == pytest.approx([0.2, 0.5])
    # s = 0.1 and sqrt(0.03); times sqrt(1/3 + 1/3)
    errors = np.sqrt(2 / 3) * np.array([0.1, np.sqrt(0.03)])
    assert found.table["standard_error"].tolist() == pytest.approx(list(errors))
    assert lr(found, 2)["test/auroc"] == pytest.approx(0.5)
    assert lr(found, 2)["test/accuracy"] == pytest.approx(0.75)
    assert lr(found, 2)["test/calibration_error"] == pytest.approx(0.05)
    assert lr(found, 2)[["students", "repeats"]].tolist() == [3, 3]
    assert (found.splits, found.seeds, found.repeats_of) == (3, 1, "data.split_seed")
    assert found.ratio == pytest.approx(RATIO)


def test_seeds_are_averaged_within_a_split_first():
    scores = {(0, 0): 0.1, (0, 1): 0.3, (1, 0): 0.6, (1, 1): 0.6, (1, 2): 0.6}
    rows = [student(s, seed=seed, data__split_seed=split) for (split, seed), s in scores.items()]
    found = surface(sweep(rows))
    # splits 0.2 and 0.6: mean 0.4, s^2 = 0.08, times 1/2 + 1/3
    assert found.table["score"].tolist() == pytest.approx([0.4])
    assert found.table["standard_error"].tolist() == pytest.approx([np.sqrt(0.08 * 5 / 6)])
    assert found.table["test/log_loss"].tolist() == pytest.approx([0.4])
    assert found.seeds == 3


def test_starts_are_averaged_over_as_seeds_are_and_one_is_not_the_winner():
    scores = {0.5: [0.1, 0.5, 0.6], 1: [0.3, 0.3, 0.3]}
    rows = [student(s, init__share=share, init__seed=seed)
            for share, of_seeds in scores.items() for seed, s in enumerate(of_seeds)]  # fmt: skip
    found = surface(sweep(rows))
    assert (found.settings, found.replicates) == (("init.share",), ("init.seed",))
    assert (found.repeats_of, found.splits) == ("init.seed", 1)
    assert found.table["init.share"].tolist() == [1, 0.5]
    assert found.table["score"].tolist() == pytest.approx([0.3, 0.4])
    error = np.std(scores[0.5], ddof=1) / np.sqrt(3)
    assert found.table["standard_error"].tolist() == pytest.approx([0.0, error])


def test_higher_is_better_turns_the_order_and_the_choice():
    rows = [student(s, 1 - s, optimizer__lr=lr, data__split_seed=k, monitor="val/auroc")
            for lr, scores in {1: [0.7, 0.7], 2: [0.9, 0.8]}.items()
            for k, s in enumerate(scores)]  # fmt: skip
    found = surface(sweep(rows))
    assert found.table["optimizer.lr"].tolist() == [2, 1]
    assert found.choice.chosen["test/auroc"].mean == pytest.approx(0.85)


def test_the_flag_is_holm_over_corrected_paired_tests():
    rng = np.random.default_rng(2)
    base = rng.normal(0.3, 0.05, 10)
    shifts = {0: 0.0, 1: 0.003, 2: 0.008, 3: 0.009, 4: 0.05}
    scores = {k: list(base + shift + rng.normal(0, 0.004, 10)) for k, shift in shifts.items()}
    found = surface(by_split(scores))
    assert found.table["optimizer.lr"].iloc[0] == 0
    raw = []
    for other in (1, 2, 3, 4):
        t = stats.ttest_rel(scores[other], scores[0]).statistic / np.sqrt(1 + 10 * RATIO)
        raw.append(2 * stats.t.sf(abs(t), 9))
    order = np.argsort(raw)
    adjusted = np.empty(4)
    adjusted[order] = np.maximum.accumulate(np.array(raw)[order] * [4, 3, 2, 1]).clip(max=1)
    assert [lr(found, k)["p"] for k in (1, 2, 3, 4)] == pytest.approx(list(adjusted))
    assert [lr(found, k)["not_told_from_best"] for k in range(5)] == [True, *(adjusted > 0.05)]
    assert raw[2] < 0.05 < adjusted[2]
    assert found.table["not_told_from_best"].sum() == 3
    assert np.isnan(lr(found, 0)["p"])


def test_without_the_correction_for_overlap_more_would_be_told():
    gap = [0.01, 0.02, 0.03, 0.02]  # plain t = 4.9, p = 0.016; corrected t = 3.2, p = 0.049
    base = [0.1, 0.5, 0.3, 0.2]
    found = surface(by_split({1: base, 2: [b + g for b, g in zip(base, gap, strict=True)]}))
    plain = stats.ttest_1samp(gap, 0)
    t = plain.statistic / np.sqrt(1 + 4 * RATIO)
    assert lr(found, 2)["p"] == pytest.approx(2 * stats.t.sf(t, 3))
    assert lr(found, 2)["p"] > 2 * plain.pvalue


def test_missing_blocks_use_the_common_ones_and_stand_last():
    # lr 2 lost the hard split 2: its mean is the lowest, yet it is worse wherever both ran
    found = surface(by_split({1: [0.1, 0.2, 0.9], 2: [0.15, 0.27, None], 3: [None, None, 0.1]}))
    assert found.table["optimizer.lr"].tolist() == [1, 3, 2]
    assert found.table["repeats"].tolist() == [3, 1, 2]
    t = stats.ttest_1samp([0.05, 0.07], 0).statistic / np.sqrt(1 + 2 * RATIO)
    assert lr(found, 2)["p"] == pytest.approx(2 * stats.t.sf(t, 1))
    assert np.isnan(lr(found, 3)["p"])
    assert np.isnan(lr(found, 3)["standard_error"])
    assert lr(found, 3)["not_told_from_best"]


def test_a_setting_that_beats_the_best_where_both_ran_is_not_told_from_it():
    better = {1: [0.1, 0.2, 0.3, 0.1, 0.1], 2: [0.05, 0.15, 0.25, 0.05, None]}
    better = {lr: [s if s is None else s + 0.001 * k * lr for k, s in enumerate(values)]
              for lr, values in better.items()}  # fmt: skip
    found = surface(by_split(better))
    assert lr(found, 2)["p"] < 0.05
    assert lr(found, 2)["not_told_from_best"]


def test_equal_settings_are_not_told_apart_and_constant_gaps_only_by_many_splits():
    base = list(np.random.default_rng(5).normal(0.3, 0.1, 6))
    many = surface(by_split({1: base, 2: base, 3: [s + 0.1 for s in base]}))
    assert lr(many, 2)["p"] == 1
    assert lr(many, 3)["p"] == pytest.approx(2 * 2**-5)
    few = surface(by_split({1: base[:2], 3: [s + 0.1 for s in base[:2]]}))
    assert lr(few, 3)["p"] == pytest.approx(0.5)
    assert few.table["not_told_from_best"].all()


def test_one_split_spreads_over_seeds_without_the_correction():
    scores = {1: [0.1, 0.2, 0.3], 2: [0.4, 0.6, 0.9]}
    rows = [student(s, optimizer__lr=k, seed=seed)
            for k, values in scores.items() for seed, s in enumerate(values)]  # fmt: skip
    found = surface(sweep(rows))
    assert (found.splits, found.seeds, found.repeats_of) == (1, 3, "seed")
    assert lr(found, 1)["standard_error"] == pytest.approx(stats.sem(scores[1]))
    assert lr(found, 2)["p"] == pytest.approx(stats.ttest_rel(scores[1], scores[2]).pvalue)
    chosen = found.choice.chosen["test/log_loss"]
    assert (chosen.mean, chosen.count) == (pytest.approx(0.2), 1)
    assert np.isnan(chosen.error)


def test_one_split_named_in_the_file_is_one_split():
    found = surface(sweep([student(s, seed=k, data__split_seed=7) for k, s in enumerate((1, 3))]))
    assert (found.splits, found.repeats_of) == (1, "seed")
    assert found.replicates == ("seed",)


def test_teachers_spread_wider_than_seeds_unless_some_students_have_none():
    rows = [student(0.1 * teacher + 0.01 * seed, seed=seed, teacher__seed=teacher)
            for teacher in (0, 1) for seed in (0, 1)]  # fmt: skip
    found = surface(sweep(rows))
    assert found.repeats_of == "teacher.seed"
    # teachers 0.005 and 0.105: s / sqrt(2) = 0.05
    assert found.table["standard_error"].tolist() == pytest.approx([0.05])
    alone = [student(0.3, seed=seed, loss="ce") for seed in (0, 1)]
    assert surface(sweep([*rows, *alone])).repeats_of == "seed"


def test_one_student_a_setting_has_no_error_and_tells_nothing_apart():
    found = surface(sweep([student(s, optimizer__lr=k) for k, s in enumerate((0.9, 0.1, 0.5))]))
    assert found.table["score"].tolist() == [0.1, 0.5, 0.9]
    assert found.repeats_of is None
    assert found.table[["standard_error", "p"]].isna().all(axis=None)
    assert found.table["not_told_from_best"].all()


def test_failed_students_count_nowhere():
    whole = by_split({1: [0.1, 0.3], 2: [0.2, 0.5]})
    both = pd.concat([whole, sweep([failed(optimizer__lr=3, data__split_seed=9)])])
    found = surface(both.reset_index(drop=True))
    assert found.table.equals(surface(whole).table)
    assert found.splits == 2


def test_nothing_finished_is_refused():
    with pytest.raises(ValueError, match="No student"):
        surface(sweep([student(np.nan, seed=1), failed(seed=2)]))


def test_differing_monitors_are_compared_by_one_measure():
    rows = [student(0.3, monitor="val/log_loss"), student(0.4, monitor="val/log_loss", seed=1),
            student(0.2, monitor="val/auroc") | {"score": 0.99}]  # fmt: skip
    found = surface(sweep(rows))
    assert found.settings == ("monitor",)
    assert found.monitor == "val/log_loss"
    assert found.table["score"].tolist() == pytest.approx([0.2, 0.35])


def test_unknown_sizes_leave_means_without_errors():
    frame = by_split({1: [0.1, 0.3], 2: [0.2, 0.5]}).drop(columns=["rows/train"])
    found = surface(frame)
    assert found.table["score"].tolist() == pytest.approx([0.2, 0.35])
    assert found.table[["standard_error", "p"]].isna().all(axis=None)


def test_the_choice_by_hand():
    found = surface(by_split(
        {1: [0.1, 0.5, 0.3], 2: [0.2, 0.4, 0.4]},
        {1: [0.31, 0.9, 0.33], 2: [0.8, 0.35, 0.7]},
    ))  # fmt: skip
    choice = found.choice
    expected = np.array([0.31, 0.35, 0.33])  # lr 1, 2, 1
    assert choice.chosen["test/log_loss"].mean == pytest.approx(expected.mean())
    error = expected.std(ddof=1) * np.sqrt(1 / 3 + RATIO)
    assert choice.chosen["test/log_loss"].error == pytest.approx(error)
    blind = np.array([0.555, 0.625, 0.515])
    assert choice.anything["test/log_loss"].mean == pytest.approx(blind.mean())
    table = found.table["optimizer.lr"]
    assert [table[taken] for taken in choice.taken] == [1, 2, 1]
    assert choice.alone is None
    assert choice.chosen_minus_alone is None
    assert set(choice.chosen) == {f"test/{name}" for name in MEASURES}


def test_the_choice_averages_seeds_before_choosing():
    scores = {1: [0.10, 0.50], 2: [0.25, 0.25]}  # lr 1 has the best single student
    rows = [student(s, optimizer__lr=lr, seed=seed)
            for lr, values in scores.items() for seed, s in enumerate(values)]  # fmt: skip
    assert surface(sweep(rows)).choice.chosen["test/log_loss"].mean == pytest.approx(0.25)


def with_alone(kd, ce):
    """{temperature: [(score, test), ...]} and the same for rates of the student alone."""
    rows = [student(*pair, loss="kd", loss__temperature=t, data__split_seed=k)
            for t, pairs in kd.items() for k, pair in enumerate(pairs)]  # fmt: skip
    rows += [student(*pair, loss="ce", optimizer__lr=r, data__split_seed=k, name="student alone")
             for r, pairs in ce.items() for k, pair in enumerate(pairs) if pair]  # fmt: skip
    return surface(sweep(rows)).choice


def test_differences_to_the_student_alone_are_paired():
    choice = with_alone(
        {1: [(0.1, 0.2), (0.5, 0.6), (0.1, 0.3)], 2: [(0.2, 0.9), (0.4, 0.4), (0.2, 0.9)]},
        {1: [(0.3, 0.5), (0.3, 0.5), (0.3, 0.4)]},
    )
    assert choice.alone_taken == 1  # of the second split
    assert choice.alone["test/log_loss"].mean == pytest.approx(1.4 / 3)
    assert choice.distilled["test/log_loss"].mean == pytest.approx((0.2 + 0.4 + 0.3) / 3)
    gaps = {"chosen": np.array([-0.3, 0.0, -0.1]), "distilled": np.array([-0.3, -0.1, -0.1])}
    for name, gap in gaps.items():
        found = getattr(choice, f"{name}_minus_alone")["test/log_loss"]
        half = stats.t.ppf(0.975, 2) * gap.std(ddof=1) * np.sqrt(1 / 3 + RATIO)
        assert (found.mean, found.low, found.high) == pytest.approx(
            (gap.mean(), gap.mean() - half, gap.mean() + half)
        )


def test_several_students_alone_are_chosen_on_validation_too():
    choice = with_alone({1: [(0.1, 0.2), (0.1, 0.2)]},
                        {1: [(0.3, 0.5), (0.4, 0.9)], 2: [(0.4, 0.9), (0.3, 0.7)]})  # fmt: skip
    assert choice.alone_settings == 2
    assert choice.alone["test/log_loss"].mean == pytest.approx(0.6)


def test_splits_without_the_student_alone_are_left_out_of_the_difference():
    choice = with_alone({1: [(0.1, 0.2), (0.1, 0.3), (0.1, 0.9)]},
                        {1: [(0.3, 0.5), (0.3, 0.7), None]})  # fmt: skip
    gap = choice.distilled_minus_alone["test/log_loss"]
    assert (gap.count, gap.mean) == (2, pytest.approx(-0.35))


def test_only_students_alone_have_no_reference():
    rows = [student(s, name="student alone", optimizer__lr=s) for s in (0.1, 0.2)]
    assert surface(sweep(rows)).choice.alone is None


def test_three_axes_and_every_setting_once():
    rows = [student(0.1 + 0.01 * t + a, loss__temperature=t, loss__alpha=a, optimizer__lr=lr,
                    seed=seed)
            for t in (1, 2) for a in (0.1, 0.9) for lr in (1, 2) for seed in (0, 1)]  # fmt: skip
    found = surface(sweep(rows))
    assert found.settings == ("loss.temperature", "loss.alpha", "optimizer.lr")
    assert len(found.table) == 8
    assert (found.table["students"] == 2).all()


def test_the_order_of_the_rows_does_not_matter():
    frame = grid()
    mixed = surface(frame.sample(frac=1, random_state=1).reset_index(drop=True))
    columns = ["loss.temperature", "score", "standard_error", "p", "test/auroc"]
    pd.testing.assert_frame_equal(
        surface(frame).table[columns].reset_index(drop=True),
        mixed.table[columns].reset_index(drop=True),
    )


def test_the_honest_score_is_unbiased_and_the_winners_own_is_not():
    rng = np.random.default_rng(6)
    sweeps = 150
    own, honest = [], []
    for _ in range(sweeps):
        found = surface(noisy(rng, settings=30, splits=3))
        own.append(found.table["score"].iloc[0])
        honest.append(found.choice.chosen["test/log_loss"].mean)
    error = 0.02 / np.sqrt(3 * sweeps)
    assert abs(np.mean(honest) - 0.3) < 4 * error
    assert np.mean(own) < 0.3 - 15 * error


def test_equal_settings_are_rarely_all_told_from_the_best():
    rng = np.random.default_rng(7)
    told = [(~surface(noisy(rng, 10, 10)).table["not_told_from_best"]).any() for _ in range(100)]
    assert np.mean(told) < 0.1
