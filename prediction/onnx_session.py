"""Networks in ONNX files of users, run by onnxruntime on the CPU, with errors of one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.extras import require_extra


class OnnxSession:
    """A network in an ONNX file.

    Args:
        path: of the file.

    Attributes:
        inputs, outputs: what the file declares, each with name, type and shape.

    Raises:
        InputError: onnxruntime is not installed, or cannot read the file.
    """

    def __init__(self, path: Path) -> None:
        require_extra("onnx", "onnxruntime")
        import onnxruntime  # noqa: PLC0415  # of the extra `onnx`

        self.path = path
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised, too
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors share no base
            raise InputError(
                f"{path} is not an ONNX file that onnxruntime can load ({reason_of(error)}): export it again"
            ) from None
        self.inputs: list[Any] = self._session.get_inputs()
        self.outputs: list[Any] = self._session.get_outputs()

    def run(self, values: np.ndarray, width: int, height: int) -> list[np.ndarray]:
        """All outputs for the one input.

        Args:
            values: as the file declares it.
            width, height: of the image in it, for messages.

        Raises:
            InputError: onnxruntime cannot run the file on it.
        """
        try:
            found = self._session.run(None, {self.inputs[0].name: values})
        except Exception as error:  # onnxruntime's errors share no base
            raise InputError(
                f"{self.path} cannot be run on an image of {width} x {height} pixels ({_first_line(error)}): export it for images of any size, or of one"
            ) from None
        return [np.asarray(one) for one in found]

    def shapes(self, found: list[np.ndarray]) -> str:
        """Names and shapes of outputs, for messages."""
        named = zip(self.outputs, found, strict=True)
        return ", ".join(f"{output.name} {one.shape}" for output, one in named) or "none"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
