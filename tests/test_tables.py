"""Tables that grow while they are read, and rows of a dataset as ranges."""

import numpy as np
import pytest

from tinymodel.errors import UserError
from tinymodel.tables import TableTail, from_ranges, read_last, read_rows, read_table, to_ranges


def test_a_torn_last_line_is_ignored(tmp_path):
    file = tmp_path / "steps.csv"
    file.write_text("step,loss\n1,2.5\n2,2.")
    assert len(read_table(file, ("step", "loss"))) == 1
    tail = TableTail(file)
    assert tail.read() == (False, [[1, 2.5]])
    with open(file, "a") as table:
        table.write("25\n")
    assert tail.read() == (False, [[2, 2.25]])


def test_an_empty_or_missing_table_has_its_columns(tmp_path):
    assert list(read_table(tmp_path / "none.csv", ("a", "b")).columns) == ["a", "b"]
    assert TableTail(tmp_path / "none.csv").read() == (False, [])


def test_ranges_give_indices_back():
    indices = np.array([0, 1, 2, 10, 11, 5, 7])
    assert to_ranges(indices) == [[0, 3], [10, 12], [5, 6], [7, 8]]
    assert np.array_equal(from_ranges(to_ranges(indices)), indices)
    assert len(from_ranges(to_ranges(np.array([], int)))) == 0


def test_a_table_that_has_grown_or_was_changed_by_a_reader_is_read_as_it_is(tmp_path):
    file = tmp_path / "epochs.csv"
    file.write_text("epoch,lr\n1,0.5\n")
    table = read_table(file, ("epoch", "lr"))
    table["lr"] = 0.0  # the reader's own
    table.loc[0, "epoch"] = 9
    assert read_table(file, ("epoch", "lr")).to_numpy().tolist() == [[1, 0.5]]
    with open(file, "a") as stream:
        stream.write("2,0.25\n")
    assert read_table(file, ("epoch", "lr"))["epoch"].tolist() == [1, 2]
    file.unlink()
    assert read_table(file, ("epoch", "lr")).empty


@pytest.mark.parametrize("rows", [0, 1, 20, 21, 5000])
def test_the_last_rows_are_those_of_the_whole_table(tmp_path, rows):
    file, columns = tmp_path / "steps.csv", ("step", "loss")
    lines = [f"{step},{step / 7:.9g}" for step in range(rows)]
    file.write_text("\n".join(["step,loss", *lines, "9,9.9"]))  # the last line is torn
    last = read_last(file, columns, 20)
    assert last.shape == (min(rows, 20), 2)
    assert last.tolist() == read_rows(file, columns)[-20:].tolist()
    assert last.tolist() == read_table(file, columns).tail(20).to_numpy().tolist()


def test_the_last_rows_of_nothing_or_of_a_damaged_table(tmp_path):
    file, columns = tmp_path / "steps.csv", ("step", "loss")
    assert len(read_last(file, columns, 20)) == 0
    file.write_bytes(b"step,loss\n\xff\xfe,\x00\n" * 500)
    with pytest.raises(UserError, match="damaged"):
        read_last(file, columns, 20)
