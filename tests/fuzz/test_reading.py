"""Bad files through everything that reads what somebody uploads: a sentence, or a result that is whole."""

import io
import warnings

import numpy as np
import pytest
from conftest import SENT

from tinymodel.data import image_folder, list_datasets, prepare_zip, remove_dataset
from tinymodel.data.decoding import Unreadable, decode
from tinymodel.errors import UserError
from tinymodel.explain.photo import open_photo
from tinymodel.run_archive import import_run
from tinymodel.runs import Run, list_runs

from . import bad

PICTURES, ZIPS, PREPARED, RUNS = 2000, 300, 5, 90


def is_sentence(said: str) -> bool:
    return bool(said.strip()) and "\n" not in said and "Traceback" not in said and len(said) < 1000


@pytest.fixture(autouse=True)
def silent():
    """No library may warn either, but for what the program says of it: that goes into the log of the server."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # as decoding.py
        yield


def test_pictures(private):
    for where, data in bad.each(PICTURES, 1, bad.picture):
        try:
            photo = open_photo(data, "a photo")
            assert photo.pixels.dtype == np.uint8 and photo.pixels.ndim == 3, where
            assert photo.seen(photo.middle).shape == (64, 64, 3), where
        except UserError as error:
            assert is_sentence(str(error)), (where, error)
        try:
            assert decode(data).shape == (64, 64, 3), where
        except Unreadable as error:
            assert is_sentence(str(error)), (where, error)
    SENT["pictures"] += PICTURES


def test_zips_of_pictures(private):
    for where, data in bad.each(ZIPS, 2, bad.pictures_zip):
        try:
            assert image_folder.disk_needed(io.BytesIO(data), "pets.zip") > 0, where
        except UserError as error:
            assert is_sentence(str(error)), (where, error)
    for where, data in bad.each(PREPARED, 3, bad.pictures_zip):
        try:
            dataset = prepare_zip(io.BytesIO(data), "pets", title="pets.zip")
            assert len(dataset.images) == len(dataset.samples) >= 4, where
            remove_dataset("pets")
        except UserError as error:
            assert is_sentence(str(error)), (where, error)
        assert list_datasets() == [], where
    SENT["zips of pictures"] += ZIPS + PREPARED


def test_zips_of_runs(private, scored_run):
    files = {file.name: file.read_bytes() for file in scored_run.folder.glob("*.*")}
    for where, data in bad.each(RUNS, 4, lambda rng: bad.run_zip(rng, files)):
        try:
            run = import_run(io.BytesIO(data), "a-run.zip").run
        except UserError as error:
            assert is_sentence(str(error)), (where, error)
        else:
            read_all(run, where)
            run.delete()
        assert [run.name for run in list_runs()] == ["scored"], where
    SENT["zips of runs"] += RUNS


def read_all(run: Run, where: str) -> None:
    """What pages ask of a run: answers or sentences."""
    for ask in (run.info, run.progress, run.epochs, run.steps, run.predictions, run.network):
        try:
            ask()
        except UserError as error:
            assert is_sentence(str(error)), (where, error)
    assert run.classes and run.config, where
