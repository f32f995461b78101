"""Heat maps against boxes: the measures by hand, the baselines, the four fields, and the table that is kept."""

import os

import numpy as np
import pandas as pd
import pytest
import torch

from tinymodel.data.batches import normalize
from tinymodel.data.prepared import open_dataset
from tinymodel.errors import UserError
from tinymodel.explain import baselines, findings, localisation
from tinymodel.explain.gradcam import LAST_BLOCK, raw_maps
from tinymodel.network import BottleneckNet

MEAN, STD = (0.48, 0.45, 0.40), (0.28, 0.27, 0.28)


def spots(*places: tuple[int, int]) -> np.ndarray:
    """One map for each place (row, column): one there, zero elsewhere."""
    maps = np.zeros((len(places), 64, 64), np.float32)
    for number, (row, column) in enumerate(places):
        maps[number, row, column] = 1
    return maps


def test_boxes_hold_their_last_pixel_too():
    found = localisation.inside(np.array([[2, 3, 5, 3], [0, 0, 63, 63]]))
    assert found[0].sum() == 4
    assert found[0, 3, 2:6].all()
    assert found[1].all()


def test_shares_and_hits_are_those_counted_by_hand():
    box = np.array([[10, 20, 19, 29]] * 4)
    heat = spots((20, 10), (29, 19), (30, 19), (0, 0))
    heat[3] = 0
    np.testing.assert_array_equal(localisation.shares(heat, box)[:3], [1, 1, 0])
    assert np.isnan(localisation.shares(heat, box)[3])
    assert localisation.hits(heat, box).tolist() == [True, True, False, False]
    half = spots((25, 15)) + 3 * spots((60, 60))
    np.testing.assert_allclose(localisation.shares(half, box[:1]), [0.25])
    assert localisation.hits(half, box[:1]).tolist() == [False]


def test_the_gain_of_an_even_map_is_nothing_whatever_the_box():
    boxes = np.array([[0, 0, 9, 9], [5, 6, 60, 63], [0, 0, 63, 63]])
    heat = localisation.smooth(np.ones((3, 8, 8), np.float32))
    area = localisation.inside(boxes).mean((1, 2))
    np.testing.assert_allclose(localisation.shares(heat, boxes), area, atol=1e-6)


def test_a_smooth_map_is_hottest_in_its_hottest_cell_and_has_no_negative_heat():
    cells = np.full((1, 8, 8), -3, np.float32)
    cells[0, 2, 5] = 1
    heat = localisation.smooth(cells)[0]
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert (row // 8, column // 8) == (2, 5)
    assert heat.min() == 0


def test_baselines_are_what_they_say():
    image = np.zeros((1, 64, 64, 3), np.uint8)
    image[:, :, 32:] = 200  # one edge from top to bottom
    edges = baselines.edge_map(image)[0]
    assert edges[:, 31:33].min() > 0
    assert edges[:, :31].max() == edges[:, 33:].max() == 0
    coarse = baselines.coarse(edges[None], 8)[0]
    np.testing.assert_allclose(coarse.sum(), edges.sum(), rtol=1e-5)
    assert (coarse[:, 3:5] > 0).all()
    first, again = (baselines.random_map(np.array([7, 8]), 8) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])
    assert baselines.centre_map(1)[0, 32, 32] == baselines.centre_map(1).sum() == 1


def test_random_maps_are_no_better_than_chance():
    count = 400
    boxes = np.tile([8, 8, 47, 47], (count, 1))
    heat = localisation.smooth(baselines.random_map(np.arange(count), 8))
    gain = localisation.shares(heat, boxes) - localisation.inside(boxes).mean((1, 2))
    found = findings.mean_of(pd.Series(gain))
    assert found.low < 0 < found.high
    assert abs(found.mean) < 0.01


def test_the_table_agrees_with_the_maps_one_by_one(small_dataset):
    torch.manual_seed(0)
    network = BottleneckNet(classes=3, width=4).eval()
    rows = small_dataset.indices("val")
    labels = small_dataset.samples["label"].to_numpy(np.int64)[rows]
    boxes = small_dataset.samples.loc[rows, localisation.BOX].to_numpy(int)
    table = localisation.localise(network, small_dataset.images, rows, labels, boxes, MEAN, STD)
    assert table["index"].tolist() == rows.tolist()
    assert set(table["prediction"]) != set(labels)  # some are wrong, so two maps differ
    for row in table.itertuples():
        image = np.array(small_dataset.images[row.index])
        inputs = normalize(torch.from_numpy(image)[None], MEAN, STD)
        for target, share, hit in (
            (row.label, row.network_inside, row.network_hit),
            (row.prediction, row.inside, row.hit),
        ):
            heat = localisation.smooth(
                raw_maps(network, inputs, [target], layers=[LAST_BLOCK])[1][0]
            )
            place = np.unravel_index(heat[0].argmax(), (64, 64))
            if heat.max() > 1e-6:
                expected = heat[0, 8:48, 8:48].sum() / heat[0].sum()
                np.testing.assert_allclose(share, expected, rtol=1e-3)
                assert hit == all(8 <= value <= 47 for value in place)
        assert localisation.unpacked(row.map).shape == (8, 8)
        assert localisation.unpacked(row.map).max() in (0, 1)


def table_of(*rows: tuple) -> pd.DataFrame:
    columns = ("label", "prediction", "area", "inside", "network_inside", "network_hit")
    return pd.DataFrame([dict(zip(columns, row, strict=True)) for row in rows])


def test_the_four_fields():
    table = table_of(
        (0, 0, 0.3, 0.5, 0.5, True),
        (0, 0, 0.3, 0.2, 0.2, False),
        (0, 1, 0.3, 0.5, 0.1, False),
        (0, 1, 0.3, 0.2, 0.9, True),
        (0, 0, 0.9, 0.95, 0.95, True),  # hardly any elsewhere
        (0, 0, 0.3, np.nan, np.nan, False),  # an empty map
    )
    assert findings.fields(table).fillna("none").tolist() == [*findings.FIELDS, "none", "none"]  # fmt: skip


def test_classes_are_ranked_by_their_gain():
    table = table_of(
        (0, 0, 0.3, 0.5, 0.5, True),
        (0, 0, 0.3, 0.6, 0.6, True),
        (1, 1, 0.3, 0.2, 0.2, False),
        (1, 1, 0.3, 0.4, 0.4, True),
        (1, 0, 0.3, 0.1, 0.1, False),
    )
    ranked = findings.by_class(table)
    assert ranked["label"].tolist() == [1, 0]
    np.testing.assert_allclose(ranked["gain"], [-0.2 / 3, 0.25])
    np.testing.assert_allclose(ranked["wrong_reason"], [0.5, 0])
    np.testing.assert_allclose(ranked["accuracy"], [2 / 3, 1])
    assert (ranked["low"] < ranked["gain"]).all()


def test_a_class_that_is_right_for_the_wrong_reason_is_suspected_and_a_few_stray_ones_are_not():
    inside, elsewhere = (0.3, 0.5, 0.5, True), (0.3, 0.1, 0.1, False)
    rows = [(1, 1, *elsewhere)] * 10 + [(1, 1, *inside)] * 10
    for label, stray in ((0, 2), (2, 2), (3, 2), (4, 3)):  # 3 of 20 where others have 2: by chance
        rows += [(label, label, *elsewhere)] * stray + [(label, label, *inside)] * (20 - stray)
    found = findings.suspects(table_of(*rows))
    assert found["label"].tolist() == [1]
    np.testing.assert_allclose(found[["share", "others"]], [[0.5, 9 / 80]])
    assert found["images"].tolist() == [10]
    assert findings.suspects(table_of(*rows[20:])).empty


def test_intervals_hold_their_mean_and_shrink_with_more_images():
    few, many = (findings.share_of(pd.Series([True, False, True] * n)) for n in (4, 400))
    assert few.low < few.mean < few.high
    assert few.high - few.low > 5 * (many.high - many.low)
    assert findings.share_of(pd.Series([True] * 5)).high == 1
    assert findings.share_of(pd.Series([True] * 5)).low > 0.5  # not certain
    np.testing.assert_allclose(findings.mean_of(pd.Series([1.0, 3, np.nan])).mean, 2)
    assert np.isnan(findings.mean_of(pd.Series([], dtype=float)).mean)


def test_a_run_is_measured_once_and_anew_when_its_weights_change(run, small_dataset):
    assert localisation.kept(run, "val") is None
    said = []
    table = localisation.localise_split(run, "val")
    pd.testing.assert_frame_equal(localisation.kept(run, "val"), table)
    assert localisation.kept(run, "train") is None
    localisation.localise_run(run, lambda fraction, message: said.append(message))
    assert said == ["Training: image 1 of 36", "Training: image 33 of 36"]  # the rest is there
    assert len(localisation.kept(run, "train")) == 36
    weights = run.folder / "best.pt"
    later = weights.stat().st_mtime + 10
    os.utime(weights, (later, later))
    assert localisation.kept(run, "val") is None
    assert len(localisation.kept(run, "val", outdated=True)) == 12
    localisation.localise_run(run)
    assert localisation.kept(run, "val") is not None


def test_what_was_measured_with_weights_that_training_has_replaced_meanwhile_is_outdated(run):
    weights = run.folder / "best.pt"
    later = weights.stat().st_mtime + 10
    localisation.localise_split(run, "val", lambda *_: os.utime(weights, (later, later)))
    assert localisation.kept(run, "val") is None
    assert localisation.kept(run, "val", outdated=True) is not None


def test_of_the_training_images_the_first_of_each_class_are_measured(
    run, small_dataset, monkeypatch
):
    monkeypatch.setattr(localisation, "PER_CLASS", 5)
    rows = localisation.boxed(run, small_dataset, "train")
    expected = [small_dataset.indices("train", label)[:5] for label in range(3)]
    assert rows.tolist() == np.concatenate(expected).tolist()


def test_a_damaged_table_is_made_again(run):
    (run.folder / localisation.file_name("val")).write_bytes(b"PAR1 nonsense")
    assert localisation.kept(run, "val") is None


def test_stopping_leaves_nothing_behind(run, small_dataset):
    def stop(fraction, message):
        raise InterruptedError

    before = sorted(file.name for file in run.folder.iterdir())
    with pytest.raises(InterruptedError):
        localisation.localise_run(run, stop)
    assert sorted(file.name for file in run.folder.iterdir()) == before


def test_without_boxes_there_is_a_sentence(run, small_dataset):
    file = small_dataset.folder / "samples.parquet"
    samples = pd.read_parquet(file)
    samples[localisation.BOX] = pd.NA
    samples.to_parquet(file)
    assert not len(localisation.boxed(run, open_dataset("small"), "val"))
    with pytest.raises(UserError, match="has no boxes that say where the things are"):
        localisation.localise_run(run)


def test_a_network_cut_short_is_measured_at_its_own_last_block():
    torch.manual_seed(0)
    network = BottleneckNet(classes=3, width=4, depth=4).eval()
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    boxes = np.array([[8, 8, 40, 40]] * 2)
    labels = np.array([0, 1])
    table = localisation.localise(network, images, np.arange(2), labels, boxes, MEAN, STD)
    assert localisation.unpacked(table["map"][0]).shape == (32, 32)
