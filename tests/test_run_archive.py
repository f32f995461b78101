"""Runs that travel: whole on the other machine, and nothing harmful gets in."""

import io
import json
import os
import pickle
import time
import zipfile

import pandas as pd
import pytest
import torch
from conftest import run_info

from tinymodel import checkpoint
from tinymodel.config import TrainConfig
from tinymodel.errors import UserError
from tinymodel.evaluation import predictions_are_current
from tinymodel.network import BottleneckNet
from tinymodel.run_archive import export_run, import_run
from tinymodel.run_writer import RunWriter
from tinymodel.runs import Run, list_runs

PREDICTIONS = pd.DataFrame(
    dict(
        index=[0],
        label=[0],
        prediction=[1],
        confidence=[0.5],
        true_probability=[0.2],
        loss=[1.6],
        top5=[[1, 0]],
        top5_probabilities=[[0.5, 0.2]],
    )
)


@pytest.fixture
def run(finished_run) -> Run:
    """A finished run with weights, predictions, a study of a later page, and what does not travel."""
    folder = finished_run.folder
    network = BottleneckNet(**finished_run.info()["model"])
    weights = dict(weights=network.state_dict(), epoch=3, val_accuracy=0.5)
    checkpoint.save(weights, folder / "best.pt")
    lengths = dict(steps=20, epochs=20)
    checkpoint.save(weights | dict(averaged=None, lengths=lengths), folder / "last.pt")
    PREDICTIONS.to_parquet(folder / "predictions.parquet")
    (folder / "ladder.csv").write_text("layer,accuracy\nfirst,0.3\n")
    (folder / "features").mkdir()
    (folder / "features" / "stage1.npy").write_bytes(b"large")
    return finished_run


@pytest.fixture
def packed(run) -> bytes:
    target = io.BytesIO()
    export_run(run, target)
    return target.getvalue()


def repacked(
    packed: bytes, *, without=(), rename=lambda name: name, **contents: bytes
) -> io.BytesIO:
    """The zip with some files replaced, left out or added: `best_pt=b"…"` is best.pt."""
    target = io.BytesIO()
    contents = {name.replace("_", "."): content for name, content in contents.items()}
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            name = entry.filename.split("/")[1]
            if name not in without and name not in contents:
                new.writestr(rename(entry.filename), old.read(entry))
        for name, content in contents.items():
            new.writestr(rename(f"small-classroom-1/{name}"), content)
    target.seek(0)
    return target


def refusal(source) -> str:
    """The sentence with which the import is refused; nothing is left behind by it."""
    before = sorted(os.listdir(os.environ["TINYMODEL_RUNS"]))
    with pytest.raises(UserError) as caught:
        import_run(source, "run.zip")
    assert sorted(os.listdir(os.environ["TINYMODEL_RUNS"])) == before
    sentence = str(caught.value)
    assert sentence.startswith("run.zip ")
    return sentence


def test_a_run_arrives_whole_on_another_machine(run, packed, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYMODEL_RUNS", str(tmp_path / "elsewhere"))
    progress = []
    file = tmp_path / "run.zip"
    file.write_bytes(packed)
    imported = import_run(file, report=lambda fraction, message: progress.append(fraction))
    there = imported.run
    assert imported.left_out == ()
    assert there.folder.parent.name == "elsewhere"
    assert there.name == run.name and there.info() == run.info()
    assert there.epochs().equals(run.epochs()) and there.steps().equals(run.steps())
    assert there.predictions().equals(run.predictions()) and predictions_are_current(there)
    for name, weight in run.network().state_dict().items():
        assert torch.equal(weight, there.network().state_dict()[name])
    files = {item.name for item in there.folder.iterdir()}
    assert "ladder.csv" in files and "features" not in files and "lock" not in files
    assert there.status == "finished"
    assert progress == sorted(progress) and progress[-1] == 1.0


def test_files_keep_their_times_which_tell_what_is_newer(run, tmp_path, monkeypatch):
    moment = time.time() - 100_000
    os.utime(run.folder / "ladder.csv", (moment, moment))
    target = io.BytesIO()
    export_run(run, target)
    there = import_run(target, "run.zip").run
    assert abs((there.folder / "ladder.csv").stat().st_mtime - moment) <= 2


def test_a_name_that_is_taken_gets_a_number(run, packed):
    assert import_run(io.BytesIO(packed), "run.zip").run.name == "small-classroom-1-2"
    third = import_run(io.BytesIO(packed), "run.zip").run
    assert third.name == third.info()["name"] == "small-classroom-1-3"
    assert len(list_runs()) == 3


def test_a_run_packed_while_it_trains_can_be_resumed_where_it_arrives(small_dataset):
    config = TrainConfig(dataset="small", epochs=3, width=4)
    writer = RunWriter.create(run_info(small_dataset, config), "going")
    target = io.BytesIO()
    export_run(writer.run, target)
    there = import_run(target, "run.zip").run
    assert there.status == "interrupted"
    RunWriter.reopen(there.name).close()
    writer.close()


def test_a_folder_zipped_by_hand_is_taken_and_what_is_not_ours_stays_out(packed):
    source = repacked(
        packed, **{"lock": b"", "request": b"", "notes_docx": b"x", ".DS_Store": b"x"}
    )
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr("__MACOSX/._small", b"x")
        archive.writestr("tinymodel/loop.py", b"import os")
    imported = import_run(source, "run.zip")
    assert imported.left_out == ("small-classroom-1/notes.docx", "tinymodel/loop.py")
    files = {item.name for item in imported.run.folder.iterdir()}
    assert files.isdisjoint({"notes.docx", ".DS_Store", "lock", "request"})
    at_the_top = repacked(packed, rename=lambda name: name.split("/")[1])
    assert import_run(at_the_top, "run.zip").run.name == "small-classroom-1-3"


def test_what_is_no_zip_or_only_part_of_one_is_refused(run, packed):
    for content in (b"", b"PK\x03\x04", b"hello" * 100, packed[:1000], packed[:-1]):
        assert "is not a zip file, only part of one, or damaged" in refusal(io.BytesIO(content))
    half = packed[: len(packed) // 2]  # ends after a checkpoint, which is a zip itself
    assert "copy the whole file" in refusal(io.BytesIO(half))
    flipped = bytearray(packed)
    flipped[len(packed) // 3] ^= 0xFF  # inside the weights
    assert "damaged" in refusal(io.BytesIO(bytes(flipped)))


def test_a_zip_of_something_else_is_refused(run, packed):
    assert "no run in it" in refusal(repacked(packed, without=["run.json"]))
    assert "several runs" in refusal(
        repacked(packed, **{"again/run_json": b"{}"}, rename=lambda name: name)
    )


@pytest.mark.parametrize(
    "name", ["../evil.csv", "/etc/evil.csv", "a/../../evil.csv", "..\\evil.csv", "C:\\evil.csv"]
)
def test_an_entry_that_climbs_out_is_refused(run, packed, name, tmp_path):
    source = repacked(packed)
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr(name, b"x")
    assert "climbs out of its folder" in refusal(source)
    assert not list(tmp_path.rglob("evil*"))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(run, packed):
    source = repacked(packed, without=["best.pt"])
    with zipfile.ZipFile(source, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("small-classroom-1/best.pt", bytes(50_000_000))
    assert "times as large when unpacked" in refusal(source)


def test_a_size_that_lies_is_noticed(run, packed):
    source = repacked(packed, without=["log.txt"])
    with zipfile.ZipFile(source, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("small-classroom-1/log.txt", bytes(900_000))
    content = source.getvalue()
    lie = content.replace((900_000).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    assert lie != content
    assert "damaged" in refusal(io.BytesIO(lie))


def test_too_much_for_the_disk_is_refused_before_it_is_unpacked(run, packed, monkeypatch):
    import shutil

    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    assert "only 1 kB are free" in refusal(io.BytesIO(packed))


def test_a_full_disk_is_a_sentence(run, packed, monkeypatch):
    monkeypatch.setattr(os, "utime", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    assert "the disk is full" in refusal(io.BytesIO(packed))


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("owned",)


def saved(how) -> bytes:
    stream = io.BytesIO()
    how(stream)
    return stream.getvalue()


def squeezed(content: bytes) -> bytes:
    """A checkpoint whose zip is compressed, as torch never does."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    return stream.getvalue()


@pytest.mark.parametrize("file", ["best_pt", "last_pt", "previous_pt"])
def test_code_in_a_checkpoint_is_never_run(run, packed, tmp_path, monkeypatch, file):
    monkeypatch.chdir(tmp_path)
    code = saved(lambda stream: torch.save(dict(format=1, weights=Malicious()), stream))
    assert "may contain code" in refusal(repacked(packed, **{file: code}))
    plain = pickle.dumps(Malicious())
    assert "not a checkpoint" in refusal(repacked(packed, **{file: plain}))
    assert not (tmp_path / "owned").exists()


def test_weights_that_are_not_the_networks_are_refused(run, packed):
    other = BottleneckNet(classes=3, width=8).state_dict()
    content = saved(lambda stream: torch.save(dict(format=1, weights=other), stream))
    assert "of another network" in refusal(repacked(packed, best_pt=content))
    content = saved(lambda stream: torch.save(dict(format=1, weights=[1, 2]), stream))
    assert "of another network" in refusal(repacked(packed, best_pt=content))
    best = (run.folder / "best.pt").read_bytes()
    assert "not a checkpoint" in refusal(repacked(packed, best_pt=squeezed(best)))


@pytest.mark.parametrize("lengths", [dict(steps=10**12, epochs=0), dict(steps=-1), {"../x": 0}, 7])
def test_a_checkpoint_whose_tables_are_not_these_is_refused(run, packed, lengths):
    state = dict(format=1, weights=run.network().state_dict(), lengths=lengths)
    content = saved(lambda stream: torch.save(state, stream))
    assert "does not belong to its tables" in refusal(repacked(packed, last_pt=content))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (dict(format=99), "newer version"),
        (dict(format=None), "not that of a run"),
        (dict(classes=[]), "'classes'"),
        (dict(classes=[dict(wnid=1, name="a")]), "'classes'"),
        (dict(classes="abc"), "'classes'"),
        (dict(mean=[0.1, float("nan"), 0.1]), "'mean'"),
        (dict(std=[0, 1, 1]), "'std'"),
        (dict(train_indices=[[0, 10**15]]), "'train_indices'"),
        (dict(val_indices=[[3, 1]]), "'val_indices'"),
        (dict(created="yesterday"), "'created'"),
        (dict(status="excellent"), "'status'"),
        (dict(model=dict(classes=3, width=10**9)), "'model'"),
        (dict(model=dict(classes=3, width=4, surprise=1)), "network is none of"),
        (dict(model=dict(classes=3, width=4, norm="none")), "network is none of"),
        (dict(config=dict(dataset="small", epochs=-1)), "epochs must be between"),
        (dict(config=dict(dataset="../x")), "cannot be the name of a dataset"),
        (dict(config=[]), "configuration is none of"),
        (dict(stacked_on=[]), "'stacked_on'"),
        (dict(steps_per_epoch="many"), "'steps_per_epoch'"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(run, packed, change, sentence):
    content = json.dumps(run.info() | change).encode()
    assert sentence in refusal(repacked(packed, run_json=content))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000, b"[]", b'{"format": 1}'])
def test_a_description_that_is_no_description_is_refused(run, packed, content):
    assert "its run.json" in refusal(repacked(packed, run_json=content))


def test_a_bad_name_in_the_description_is_not_used(packed, run):
    content = json.dumps(run.info() | dict(name="../../evil")).encode()
    assert import_run(repacked(packed, run_json=content), "run.zip").run.name == "imported"


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"epoch\n\xff\xff\n", b"<html>\n"])
def test_a_table_that_is_no_table_of_a_run_is_refused(run, packed, content):
    assert "its table epochs.csv" in refusal(repacked(packed, epochs_csv=content))


def test_words_in_a_table_of_numbers_are_refused(run, packed):
    table = (run.folder / "epochs.csv").read_text().splitlines()
    words = "\n".join([table[0], ",".join(["=SUM(A1)"] * 8), ""]).encode()
    assert "not that of a run" in refusal(repacked(packed, epochs_csv=words))


def test_studies_that_cannot_be_read_stay_out(packed, run):
    imported = import_run(repacked(packed, predictions_parquet=b"PAR1 no PAR1"), "run.zip")
    assert imported.left_out == ("predictions.parquet",)
    assert imported.run.predictions() is None


def test_a_stop_leaves_nothing_behind(run, packed):
    def stop(fraction, message):
        if fraction > 0.3:
            raise KeyboardInterrupt

    before = sorted(os.listdir(run.folder.parent))
    with pytest.raises(KeyboardInterrupt):
        import_run(io.BytesIO(packed), "run.zip", stop)
    assert sorted(os.listdir(run.folder.parent)) == before


def test_an_export_of_a_run_that_is_gone_says_so(run):
    run.delete()
    with pytest.raises(UserError, match="no run 'small-classroom-1'"):
        export_run(run, io.BytesIO())


def test_a_shipped_run_that_comes_back_is_one_of_ones_own(run):
    info = run.info() | {"shipped": True}
    (run.folder / "run.json").write_text(json.dumps(info))
    assert Run.open(run.name).shipped
    packed = io.BytesIO()
    export_run(run, packed)
    assert not import_run(packed, "run.zip").run.shipped
