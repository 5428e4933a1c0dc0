"""Keypoints in COCO's JSON: annotation files, result lists of any detector, COCO-WholeBody, and AlphaPose.

An annotation file is an object with `images` and `annotations`; each annotation holds `keypoints`, a flat list of
x, y, v per joint with v = 0 unlabelled, 1 hidden, 2 visible. A result list holds objects of the same kind whose third
numbers are scores. AlphaPose writes a result list whose `image_id` is a file name, with `box` and, for tracks, `idx`.
Joints are told by the names in `categories[i].keypoints`; without them by the number of values, of whole bodies only the
joints of the body (`evolift.posedata.keypoint_formats.joint_columns`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from evolift.posedata.checked_json import expect, number_table, whole_number
from evolift.posedata.errors import InputError
from evolift.posedata.frame_numbers import frames_of_names
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.keypoint_formats.track_ids import track_ids
from evolift.posedata.skeleton import COCO17, HALPE26, MPII16, Skeleton

SKELETON_OF_COUNT: dict[int, Skeleton] = {
    17: COCO17,
    133: COCO17,  # COCO-WholeBody: the body comes first
    26: HALPE26,
    136: HALPE26,  # Halpe: body and feet come first
}
_OF_ALPHAPOSE = SKELETON_OF_COUNT | {16: MPII16, 68: HALPE26}  # 68: Halpe without a face
_TRACKS = ("track_id", "idx")
_KEYS_OF_PEOPLE = {
    "image_id", "category_id", "keypoints", "bbox", "box", *_TRACKS,
    "id", "area", "segmentation", "num_keypoints", "iscrowd", "score",
}  # fmt: skip
_KEYS_OF_IMAGES = {
    "id", "file_name", "width", "height", "frame_id", "frame",
    "license", "coco_url", "flickr_url", "date_captured",
}  # fmt: skip
_KEYS_OF_CATEGORIES = {"id", "name", "keypoints", "skeleton", "supercategory"}
_KEYS_OF_FILE = {"images", "annotations", "categories", "info", "licenses"}
"""What is read, and what says nothing about a pose."""


def keypoints_of_coco(values: Any, reading: Reading, *, is_alphapose: bool = False) -> Keypoints:
    """People of a COCO annotation file or result list.

    Args:
        values: from `read_json`.
        reading: of the file.
        is_alphapose: joints without names are those of AlphaPose's models.

    Raises:
        InputError: something is missing or of the wrong kind, it cannot be told which joints these are, or nobody is in it.
    """
    where = reading.where
    is_annotation = isinstance(values, dict)
    entries = values.get("annotations") if isinstance(values, dict) else values
    place = f"{where}: annotations" if is_annotation else f"{where}: "
    entries = expect(entries, list, place)
    places = [f"{place}[{number}]" for number in range(len(entries))]
    for entry, at in zip(entries, places, strict=True):
        expect(entry, dict, at)
    names, category = _person_names(values, where) if isinstance(values, dict) else ([], None)
    kept = [number for number, entry in enumerate(entries) if _is_person(entry)]
    people = [n for n in kept if category is None or entries[n].get("category_id", category) == category]
    if len(people) < len(kept):
        reading.notes.append(f"{len(kept) - len(people)} annotations of other categories are left out")
    entries, places = [entries[number] for number in people], [places[number] for number in people]
    if not entries:
        raise InputError(f"{where} holds no person with keypoints")
    images = _image_table(values, where) if is_annotation else {}
    table = _joint_table(entries, places)
    columns = joint_columns(
        reading,
        f"{where}: names of its category" if names else f"{places[0]}.keypoints",
        table.shape[1],
        names=names or None,
        known=_OF_ALPHAPOSE if is_alphapose else SKELETON_OF_COUNT,
    )
    has_flags = _are_flags(table[..., 2], is_annotation)
    image, frames, sizes, are_frames = _images(entries, places, images)
    ids, said = _tracks(entries)
    reading.notes += said
    reading.found("keys of people", _keys(entries), _KEYS_OF_PEOPLE)
    if isinstance(values, dict):
        reading.found("keys of the file", values, _KEYS_OF_FILE)
        reading.found("keys of images", _keys(values["images"]), _KEYS_OF_IMAGES)
        reading.found("keys of categories", _keys(values.get("categories") or []), _KEYS_OF_CATEGORIES)
    return keypoints_of(
        columns,
        table[..., :2],
        format="alphapose" if is_alphapose else "coco",
        confidence=None if has_flags else table[..., 2],
        visibility=np.clip(np.nan_to_num(table[..., 2]), 0, 2) if has_flags else None,
        image=image,
        frame=frames,
        person=ids,
        box=_boxes(entries, places),
        image_size=sizes,
        is_over_time=are_frames and not said,
    )


def _keys(entries: list[dict[str, Any]]) -> list[str]:
    """Keys of all entries, each once."""
    return list(dict.fromkeys(key for entry in entries for key in entry))


def _person_names(values: dict[str, Any], where: str) -> tuple[list[str], Any]:
    """Names of the joints of the category that people have, and its id; none and None in a file without categories."""
    categories = expect(values.get("categories") or [], list, f"{where}: categories")
    number = person_category(categories, where)
    if number is None:
        return [], None
    place = f"{where}: categories[{number}]"
    names = names_of_category(categories[number], f"{place}.keypoints")
    return names, categories[number].get("id") if len(categories) > 1 else None


def person_category(categories: list[Any], where: str) -> int | None:
    """Which category of an annotation file its people have: the one called person, else the only one with keypoints.

    Args:
        categories: the file's list.
        where: the file, for messages.

    Returns:
        Its place in the list, None if the list is empty.

    Raises:
        InputError: several may be meant.
    """
    entries = list(enumerate(categories))
    for number, entry in entries:
        expect(entry, dict, f"{where}: categories[{number}]")
    people = [pair for pair in entries if str(pair[1].get("name")).lower() == "person"] or entries
    found = [pair for pair in people if pair[1].get("keypoints")] or people
    if len(found) > 1:
        called = ", ".join(str(entry.get("name")) for _, entry in found)
        raise InputError(
            f"{where}: its people may be of several categories ({called}): leave one in the file"
        )
    return found[0][0] if found else None


def names_of_category(category: dict[str, Any], place: str) -> list[str]:
    """Names of the joints of a category's keypoints, in their order; none if it has no names.

    Raises:
        InputError: they are no list of different texts.
    """
    names: list[str] = expect(category.get("keypoints") or [], list, place)
    for number, name in enumerate(names):
        expect(name, str, f"{place}[{number}]")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{place} have the name {twice!r} twice: give each joint its own")
    return names


def _is_person(entry: dict[str, Any]) -> bool:
    """Annotations of crowds and of people without labelled joints have no pose to read."""
    flat = entry.get("keypoints")
    return bool(flat) and not (isinstance(flat, list) and all(value == 0 for value in flat))


def _joint_table(entries: list[dict[str, Any]], places: list[str]) -> Float64[np.ndarray, "rows joints 3"]:
    width = len(expect(entries[0]["keypoints"], list, f"{places[0]}.keypoints"))
    if width % 3:
        raise InputError(f"{places[0]}.keypoints has {width} numbers, which are not three for each joint")
    flat = number_table([e["keypoints"] for e in entries], width, [f"{at}.keypoints" for at in places])
    return flat.reshape(len(entries), -1, 3)


def _are_flags(third: Float64[np.ndarray, "rows joints"], is_annotation: bool) -> bool:
    """Whether third numbers are visibility flags: only 0, 1 and 2, and in a result list not all one score."""
    are_flags = np.isin(np.nan_to_num(third), (0, 1, 2)).all()
    return bool(are_flags and (is_annotation or (third == 2).any()))


_Image = tuple[int, str, int, int, int | None]
"""Number in the file, name, width, height, and frame as the file tells it."""


def _image_table(values: dict[str, Any], where: str) -> dict[Any, _Image]:
    """Image of each image id."""
    table: dict[Any, _Image] = {}
    for number, image in enumerate(expect(values.get("images"), list, f"{where}: images")):
        at = f"{where}: images[{number}]"
        expect(image, dict, at)
        identity = expect(image.get("id"), (int, str), f"{at}.id")
        name = expect(image.get("file_name", ""), str, f"{at}.file_name")
        width, height = (expect(image.get(k, 0), (int, float), f"{at}.{k}") for k in ("width", "height"))
        told = next((image[key] for key in ("frame_id", "frame") if image.get(key) is not None), None)
        frame = None if told is None else whole_number(told, f"{at}: its frame")
        table[identity] = (number, name, _pixels(width), _pixels(height), frame)
    return table


def _pixels(value: float) -> int:
    """A side of an image; 0, which means unknown, if it makes no sense."""
    return int(value) if 0 < value < 2**31 else 0


def _images(
    entries: list[dict[str, Any]], places: list[str], images: dict[Any, _Image]
) -> tuple[list[str], list[int] | None, np.ndarray, bool]:
    """Name, frame number and size of each entry's image, and whether images are told to be frames."""
    identities = [
        expect(entry.get("image_id"), (int, str), f"{at}.image_id")
        for entry, at in zip(entries, places, strict=True)
    ]
    if not images:
        no_sizes = np.zeros((len(identities), 2), np.int32)
        if not all(isinstance(identity, int) for identity in identities):
            return [str(identity) for identity in identities], None, no_sizes, True
        numbers = [whole_number(one, f"{at}.image_id") for one, at in zip(identities, places, strict=True)]
        return [""] * len(numbers), numbers, no_sizes, True
    for identity, at in zip(identities, places, strict=True):
        if identity not in images:
            raise InputError(f"{at}.image_id is {identity!r}, which is not in its images")
    rows = [images[identity] for identity in identities]
    sizes = np.array([row[2:4] for row in rows], np.int32)
    told = _told_frames(rows, images)
    return [row[1] for row in rows], told or [row[0] for row in rows], sizes, told is not None


def _told_frames(rows: list[_Image], images: dict[Any, _Image]) -> list[int] | None:
    """Frame of each row: what its image says, else the number in its name; None if images are not told to be frames.

    All images are asked, those without people too: names of a file mean one thing.
    """
    told = [image[4] for image in images.values()]
    if None not in told and len(set(told)) == len(told):
        return [row[4] for row in rows if row[4] is not None]
    every = list(images.values())
    in_names = frames_of_names([image[1] for image in every])
    if in_names is None:
        return None
    number_of = {image[0]: number for image, number in zip(every, in_names, strict=True)}
    return [number_of[row[0]] for row in rows]


def _tracks(entries: list[dict[str, Any]]) -> tuple[list[str] | None, list[str]]:
    """Ids of tracked people (`track_id` of PoseTrack, `idx` of AlphaPose), and notes."""
    found = (track_ids([entry.get(key) for entry in entries]) for key in _TRACKS)
    notes: list[str] = []
    for ids, said in found:
        if ids is not None:
            return ids, []
        notes += said
    return None, notes


def _boxes(entries: list[dict[str, Any]], places: list[str]) -> Float64[np.ndarray, "rows 4"]:
    none = [None] * 4
    boxes = [entry.get("bbox") or entry.get("box") or none for entry in entries]
    table = number_table(boxes, 4, [f"{at}.bbox" for at in places])
    table[~(table[:, 2:] > 0).all(1)] = np.nan
    return table
