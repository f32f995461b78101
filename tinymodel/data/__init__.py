"""Prepared datasets: written once, opened in milliseconds."""

from tinymodel.data.prepared import ClassInfo, PreparedDataset, Subset, list_datasets, open_dataset

__all__ = ["ClassInfo", "PreparedDataset", "Subset", "list_datasets", "open_dataset"]
