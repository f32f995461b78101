"""Prepared datasets: written once, opened in milliseconds."""

from tinymodel.data.image_folder import prepare_folder, prepare_zip
from tinymodel.data.prepared import (
    ClassInfo,
    PreparedDataset,
    Subset,
    list_datasets,
    open_dataset,
    remove_dataset,
)
from tinymodel.data.sample import prepare_sample
from tinymodel.data.tiny_imagenet import download, prepare_tiny_imagenet

__all__ = [
    "ClassInfo",
    "PreparedDataset",
    "Subset",
    "download",
    "list_datasets",
    "open_dataset",
    "prepare_folder",
    "prepare_sample",
    "prepare_tiny_imagenet",
    "prepare_zip",
    "remove_dataset",
]
