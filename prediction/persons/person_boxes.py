"""Where the people of an image are: boxes from torchvision's COCO detectors, or from a user's ONNX file.

`load_person_detector("torchvision")` or `load_person_detector("people.onnx")` gives a function from images to boxes.

An ONNX file must have one input, float, (1, 3, height, width) or (3, height, width): RGB from 0 to 1. Its size may be
fixed or dynamic. Its outputs must be of one of two layouts, told apart by their shapes:

1. separate: boxes (N, 4) as (left, top, right, bottom), scores (N,), and if there are several classes integer labels
   (N,), 1 for a person, as torchvision's detectors have it. Inputs of dynamic size get the image as it is.
2. YOLOv8: one output (1, 4 + classes, N) of (centre u, centre v, width, height) and the score of each class from 0 to 1,
   class 0 for a person. Inputs of dynamic size get the image scaled to 640 pixels, its sides multiples of 32.

Boxes are in pixels of that input, measured from its corner. For inputs of fixed size the image is scaled to fit, keeping
its aspect, and the rest is grey (114), as YOLO does.

Returned boxes follow `evolift.detector2d.crop`: (left, top, width, height) with (0, 0) the centre of the top-left pixel.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights
from torchvision.ops import clip_boxes_to_image, nms, remove_small_boxes

from evolift.posedata.errors import InputError
from evolift.prediction.onnx_session import OnnxSession
from evolift.prediction.settings import PersonSettings
from evolift.training.device import on_device
from evolift.training.torch_file import read_torch_file

MIN_SCORE = PersonSettings().person_score
"""Boxes of a lower score are left out, if nothing else is asked for."""
MAX_OVERLAP = 0.5
"""Of boxes that overlap by more (intersection over union) the one of the highest score is kept."""
TORCHVISION = "torchvision"
MODELS = (
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "ssdlite320_mobilenet_v3_large",
)
"""Detectors of torchvision that can be chosen, the first if none is named. Only those whose arithmetic does not depend
on whether their weights were downloaded or come from a file."""
_LABEL = 1  # of a person, in COCO and torchvision; 0 is the background
_GREY = 114
_DYNAMIC_SIDE, _DYNAMIC_STEP = 640, 32

Image = UInt8[np.ndarray, "_height _width 3"]


class PersonBoxes(NamedTuple):
    """People of one image, from left to right.

    Args:
        boxes: (left, top, width, height), pixels, inside the image.
        scores: of each, 0 to 1.
    """

    boxes: Float32[np.ndarray, "people 4"]
    scores: Float32[np.ndarray, "people"]


class Candidates(NamedTuple):
    """What a detector says of people, before any choice.

    Args:
        corners: (left, top, right, bottom), pixels of the image measured from its corner.
        scores: 0 to 1.
    """

    corners: Float32[Tensor, "candidates 4"]
    scores: Float32[Tensor, "candidates"]


class PersonDetector:
    """Finds the people of an image.

    Args:
        candidates: image (RGB) -> all that may be people.
        name: of the detector, for messages.
        min_score: boxes of a lower score are left out.
        max_people: those of the highest scores are kept; None for all.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        candidates: Callable[[Image], Candidates],
        name: str,
        *,
        min_score: float = MIN_SCORE,
        max_people: int | None = None,
    ) -> None:
        if not 0 <= min_score <= 1 or (max_people is not None and max_people < 1):
            raise ValueError(
                f"min_score must be in [0, 1], max_people at least 1 (got {min_score}, {max_people})"
            )
        self._candidates, self.name, self.min_score, self.max_people = candidates, name, min_score, max_people

    def __call__(self, image: Image) -> PersonBoxes:
        """The people of an image (RGB), from left to right; there may be none.

        Raises:
            InputError: an ONNX file gives what its layout does not allow.
        """
        found = self._candidates(image)
        corners = clip_boxes_to_image(found.corners, (image.shape[0], image.shape[1]))
        confident = torch.nonzero(found.scores >= self.min_score)[:, 0]
        large_enough = confident[remove_small_boxes(corners[confident], 1.0)]
        best = large_enough[nms(corners[large_enough], found.scores[large_enough], MAX_OVERLAP)][
            : self.max_people
        ]
        best = best[torch.argsort(corners[best, 0] + corners[best, 2], stable=True)]
        low, high = corners[best].split(2, -1)
        return PersonBoxes(torch.cat([low - 0.5, high - low], -1).numpy(), found.scores[best].numpy())


def load_person_detector(
    choice: str,
    *,
    weights: Path | None = None,
    min_score: float = MIN_SCORE,
    max_people: int | None = None,
    device: str = "cpu",
) -> PersonDetector:
    """A person detector by choice.

    Args:
        choice: "torchvision", "torchvision:MODEL" with one of `MODELS`, or the path of an .onnx file.
        weights: state dict of the torchvision model (.pth); None for torchvision's COCO weights, which it downloads
            once.
        min_score, max_people: see `PersonDetector`.
        device: of a torchvision model; ONNX files run on the CPU.

    Raises:
        InputError: there is no such detector or file, the weights cannot be had or do not fit, onnxruntime is not
            installed, or the file is of another layout.
    """
    kind, _, model = choice.partition(":")
    candidates: Callable[[Image], Candidates]
    if kind == TORCHVISION:
        name = model or MODELS[0]
        candidates = TorchvisionCandidates(load_torchvision(name, weights), device)
        return PersonDetector(candidates, f"torchvision's {name}", min_score=min_score, max_people=max_people)
    path = Path(choice)
    if path.suffix.lower() != ".onnx" or not path.is_file():
        raise InputError(
            f"{choice} is no person detector: give {TORCHVISION}, {TORCHVISION}:MODEL, or an .onnx file that is there"
        )
    if weights is not None:
        raise InputError(
            f"{path} has its weights inside: leave out {weights}, which is for a torchvision detector"
        )
    return PersonDetector(OnnxCandidates(path), str(path), min_score=min_score, max_people=max_people)


class TorchvisionCandidates:
    """People as a detector of torchvision finds them; its own threshold, about 0.05 or less, comes first.

    Args:
        model: takes a list of images (3, height, width) from 0 to 1, and gives boxes, labels and scores of each.
        device: "cpu", "cuda", ...

    Raises:
        InputError: there is no such device.
    """

    def __init__(self, model: nn.Module, device: str = "cpu") -> None:
        self.model = on_device(model, device).eval()
        self.device = next(self.model.parameters()).device

    @torch.no_grad()
    def __call__(self, image: Image) -> Candidates:
        """Boxes (pixel corners) and scores of everything in an RGB image that the detector labels as a person."""
        scaled = torch.from_numpy(np.ascontiguousarray(image)).to(self.device).permute(2, 0, 1) / 255
        found = {name: values.cpu() for name, values in self.model([scaled])[0].items()}
        is_person = found["labels"] == _LABEL
        return Candidates(found["boxes"][is_person].float(), found["scores"][is_person].float())


def load_torchvision(name: str, weights: Path | None = None) -> nn.Module:
    """One of `MODELS` with its weights.

    Args:
        name: of the model.
        weights: file of its state dict, or of {"model": state dict} as torchvision's training scripts write it; None for
            the COCO weights that torchvision downloads and keeps.

    Raises:
        InputError: there is no such model, or its weights cannot be had or do not fit.
    """
    if name not in MODELS:
        raise InputError(
            f"there is no person detector {TORCHVISION}:{name}: choose one of {', '.join(MODELS)}"
        )
    model: nn.Module = get_model(name, weights=None, weights_backbone=None)
    where, state = _downloaded(name) if weights is None else (str(weights), _state_in(weights))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).splitlines()[1:2]).strip()
        raise InputError(
            f"{where} does not fit torchvision's {name} ({reason[:200]}): give the weights of that model, or name theirs with {TORCHVISION}:MODEL"
        ) from None
    if not all(values.isfinite().all() for values in state.values()):
        raise InputError(f"{where} holds weights that are not finite: give other weights")
    return model


def _downloaded(name: str) -> tuple[str, Mapping[str, Tensor]]:
    choice = get_model_weights(name).DEFAULT
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where torch says what it downloads is no result
            return choice.url, choice.get_state_dict(
                progress=False, check_hash=True, weights_only=True, map_location="cpu"
            )
    except Exception as error:  # of the network, of the cache's disk, of a damaged file: they share no base
        reason = str(getattr(error, "reason", error)).splitlines() or [type(error).__name__]
        raise InputError(
            f"the weights of torchvision's {name} could not be had from {choice.url} ({reason[0]}): download them where there is a network, and give the file with `person_weights`"
        ) from None


def _state_in(path: Path) -> Mapping[str, Tensor]:
    state = read_torch_file(path)
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    if not isinstance(state, dict) or not state or not all(isinstance(one, Tensor) for one in state.values()):
        raise InputError(f"{path} holds no state dict: save the model's state_dict() with torch.save")
    return state


class OnnxCandidates:
    """People as an ONNX file finds them (see the top of this file for what it must be like).

    Args:
        path: of the file.

    Raises:
        InputError: onnxruntime is not installed, or cannot read or run the file, or it is of another layout.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._session = path, OnnxSession(path)
        self._type, self._shape = self._checked_input()
        self._is_fixed = any(isinstance(side, int) for side in self._shape[-2:])
        # A first image tells the layout, and any error before the work has begun.
        width, height = self._input_size() or (_DYNAMIC_SIDE, _DYNAMIC_SIDE)
        self._layout = self._layout_of(self._run(np.full((height, width, 3), _GREY, np.uint8)))

    def __call__(self, image: Image) -> Candidates:
        """All boxes of people.

        Raises:
            InputError: the file cannot be run on this image, or gives what its layout does not allow.
        """
        size = self._input_size()
        if size is None and self._layout == "separate":
            return self._candidates(self._run(image))
        fitted = _fit(image, size)
        found = self._candidates(self._run(fitted.image))
        scale, margin = (torch.tensor([*pair, *pair]) for pair in (fitted.scale, fitted.margin))
        return Candidates(((found.corners - margin) / scale).float(), found.scores)

    def _checked_input(self) -> tuple[type[np.floating[Any]], list[object]]:
        """Type and shape of the input."""
        inputs = self._session.inputs
        types: dict[str, type[np.floating[Any]]] = {
            "tensor(float)": np.float32,
            "tensor(float16)": np.float16,
        }
        shape = list(inputs[0].shape) if inputs else []
        is_image = len(shape) in (3, 4) and (shape[-3] == 3 or not isinstance(shape[-3], int))
        is_one = len(shape) == 3 or (len(shape) == 4 and (shape[0] == 1 or not isinstance(shape[0], int)))
        if len(inputs) != 1 or inputs[0].type not in types or not is_image or not is_one:
            found_shapes = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs) or "none"
            raise InputError(
                f"{self.path} has the inputs {found_shapes}: export it with one input, float, of shape (1, 3, height, width)"
            )
        return types[inputs[0].type], shape

    def _input_size(self) -> tuple[int, int] | None:
        """(width, height) that the input must have, None if any will do."""
        if not self._is_fixed:
            return None
        height, width = (side if isinstance(side, int) else _DYNAMIC_SIDE for side in self._shape[-2:])
        return width, height

    def _run(self, image: Image) -> list[np.ndarray]:
        scaled = np.ascontiguousarray(image.transpose(2, 0, 1), self._type) / self._type(255)
        values = scaled if len(self._shape) == 3 else scaled[None]
        return self._session.run(values, image.shape[1], image.shape[0])

    def _layout_of(self, found: list[np.ndarray]) -> Literal["separate", "yolo"]:
        if len(found) == 1 and _is_yolo(found[0]):
            return "yolo"
        if self._separate(found) is not None:
            return "separate"
        raise self._wrong_layout(found)

    def _wrong_layout(self, found: list[np.ndarray]) -> InputError:
        return InputError(
            f"{self.path} has the outputs {self._session.shapes(found)}: export it with boxes (N, 4), scores (N,) and maybe integer labels (N,), or with one output (1, 4 + classes, N) as YOLOv8"
        )

    def _separate(self, found: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None] | None:
        """Boxes, scores and labels among outputs in any order, None if they are something else."""
        boxes = [one for one in found if one.ndim == 2 and one.shape[1] == 4 and _is_real(one)]
        scores = [one for one in found if one.ndim == 1 and _is_real(one)]
        labels = [one for one in found if one.ndim == 1 and np.issubdtype(one.dtype, np.integer)]
        are_all = len(boxes) + len(scores) + len(labels) == len(found)
        if not are_all or len(boxes) != 1 or len(scores) != 1 or len(labels) > 1:
            return None
        if any(len(one) != len(boxes[0]) for one in scores + labels):
            return None
        return boxes[0], scores[0], labels[0] if labels else None

    def _candidates(self, found: list[np.ndarray]) -> Candidates:
        """Boxes of people in pixels of the input."""
        if self._layout == "yolo":
            if not _is_yolo(found[0]):
                raise self._wrong_layout(found)
            table = found[0][0].astype(np.float32)
            self._require(table[:4], table[4:])
            low, high = table[:2] - table[2:4] / 2, table[:2] + table[2:4] / 2
            is_person = table[4:].argmax(0) == 0
            corners, scores = np.concatenate([low, high]).T[is_person], table[4][is_person]
        else:
            parts = self._separate(found)
            if parts is None:
                raise self._wrong_layout(found)
            corners, scores, labels = parts[0].astype(np.float32), parts[1].astype(np.float32), parts[2]
            self._require(corners, scores)
            if labels is not None:
                corners, scores = corners[labels == _LABEL], scores[labels == _LABEL]
        return Candidates(
            torch.from_numpy(np.ascontiguousarray(corners)), torch.from_numpy(np.ascontiguousarray(scores))
        )

    def _require(self, boxes: np.ndarray, scores: np.ndarray) -> None:
        if not np.isfinite(boxes).all() or not np.isfinite(scores).all():
            raise InputError(f"{self.path} gives boxes or scores that are not finite: export it again")
        if scores.size and not (scores.min() >= -1e-3 and scores.max() <= 1 + 1e-3):
            raise InputError(
                f"{self.path} gives scores from {scores.min():g} to {scores.max():g}: export a detector of boxes alone, with scores from 0 to 1"
            )


class _Fitted(NamedTuple):
    """An image inside another: its pixels measured from the corner times `scale` plus `margin`, each (u, v)."""

    image: Image
    scale: tuple[float, float]
    margin: tuple[int, int]


def _fit(image: Image, size: tuple[int, int] | None) -> _Fitted:
    """An image scaled to fit (width, height) and laid on grey; None for a YOLO's input of any size."""
    height, width = image.shape[:2]
    outer = size or (_DYNAMIC_SIDE, _DYNAMIC_SIDE)
    zoom = min(outer[0] / width, outer[1] / height)
    inner = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    if size is None:
        outer = (_whole_steps(inner[0]), _whole_steps(inner[1]))
    left, top = (outer[0] - inner[0]) // 2, (outer[1] - inner[1]) // 2
    fitted = np.full((outer[1], outer[0], 3), _GREY, np.uint8)
    scaled = cv2.resize(np.ascontiguousarray(image), inner, interpolation=cv2.INTER_LINEAR)
    fitted[top : top + inner[1], left : left + inner[0]] = scaled
    return _Fitted(fitted, (inner[0] / width, inner[1] / height), (left, top))


def _whole_steps(side: int) -> int:
    return math.ceil(side / _DYNAMIC_STEP) * _DYNAMIC_STEP


def _is_yolo(found: np.ndarray) -> bool:
    # More places than numbers for each: other YOLOs turn the table round, and that must not be taken for this one.
    is_table = found.ndim == 3 and found.shape[0] == 1 and 5 <= found.shape[1] < found.shape[2]
    return is_table and _is_real(found)


def _is_real(values: np.ndarray) -> bool:
    return bool(np.issubdtype(values.dtype, np.floating))
