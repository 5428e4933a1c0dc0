"""Predictions that write themselves: what calls from Python give back."""

from __future__ import annotations

from typing import Any

import orjson

from evolift.posedata.input_file import FilePath, as_path
from evolift.posedata.predictions.prediction_files import write_predictions
from evolift.posedata.predictions.prediction_header import header_of, people_json
from evolift.posedata.predictions.predictions import Predictions


class PredictionTable(Predictions):
    """People, one a row; see `evolift.posedata.predictions.predictions.Predictions` for the arrays."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, those of a `.json` file of predictions."""
        return header_of(self) | {"people": [orjson.loads(person) for person in people_json(self)]}

    def save(self, path: FilePath, *, overwrite: bool = False) -> None:
        """Write a file of predictions: .json, .jsonl, .csv, .npz, or .h5, a pose store.

        Raises:
            OutputError: the ending names no format, the file exists, or it cannot be written.
        """
        path = as_path(path)
        if path.suffix.lower() == ".h5":
            # Here, because what stores need is slow to import.
            from evolift.posedata.predictions.prediction_store import (  # noqa: PLC0415
                write_prediction_store,
            )

            write_prediction_store(path, self, overwrite=overwrite)
        else:
            write_predictions(path, self, overwrite=overwrite)
