"""From the user's stores to what rows train on and are scored on, as stages.

A store's content says what it is for: photographs (images, no 3D joints) teach the detectors; images with 3D joints
teach and score everything; poses alone teach the lifters, and if there are no images with 3D joints, people are
rendered in them. Without any store of 3D joints, the built-in actors act. 3D joints are divided by subject, or
validation by action; photographs all train.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolift.cli.recipe_file import Options
from evolift.cli.reproducing.report_rows import TEST, VALIDATION
from evolift.cli.reproducing.scale import Scale
from evolift.cli.reproducing.stages import Product, Stage
from evolift.posedata.errors import InputError

TRAIN = "train"
SPLITS = (TRAIN, VALIDATION, TEST)
RENDER_SEEDS = {TRAIN: 0, VALIDATION: 1, TEST: 2}

Register = Callable[..., Stage]
"""Makes a stage, or gives the one that is the same."""


@dataclass(frozen=True)
class Division:
    """Who is held out.

    Args:
        test_subjects, validation_subjects: by name.
        validation_actions: instead of validation subjects.
    """

    test_subjects: tuple[str, ...]
    validation_subjects: tuple[str, ...]
    validation_actions: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataSets:
    """What rows learn from and are scored on.

    Args:
        images: with 3D joints, by split.
        counts: of those images.
        poses: for lifters and evolution, by split.
        photographs: that all train.
    """

    images: dict[str, Product]
    counts: dict[str, int]
    poses: dict[str, Product]
    photographs: tuple[Product, ...]


@dataclass(frozen=True)
class _Content:
    path: Path
    has_images: bool
    has_3d: bool
    table: Any

    def labels(self, column: str) -> list[str]:
        return sorted({str(name) for name in self.table[column].unique()})


def data_sets(
    stores: Sequence[Path], scale: Scale, division: Division, register: Register, needed: Iterable[str]
) -> DataSets:
    """The stages that make the data.

    Args:
        stores: the user's.
        scale: says how many people are rendered, and how large.
        division: who is held out.
        register: makes a stage, or gives the one that is the same.
        needed: splits that rows are trained or scored on.

    Raises:
        InputError: there are several stores of one kind that there may be one of, a name is in none of them, or a split
            would be empty.
        StoreError: a store is not sound.
    """
    contents = [_content_of(path) for path in stores]
    with_images = [content for content in contents if content.has_3d and content.has_images]
    posed = [content for content in contents if content.has_3d and not content.has_images]
    for kind, several in (("images with 3D joints", with_images), ("3D poses without images", posed)):
        if len(several) > 1:
            names = " and ".join(str(content.path) for content in several)
            raise InputError(f"{names} are both stores of {kind}: give one")
    _require_names(division, [*with_images, *posed])
    photographs = tuple(Product(content.path) for content in contents if not content.has_3d)
    needed = [split for split in SPLITS if split in needed]
    poses: dict[str, Product] = {}
    if posed:
        poses = _divided(posed[0], division, register, needed)[0]
    if with_images:
        images, counts = _divided(with_images[0], division, register, needed)
        return DataSets(images, counts, poses or images, photographs)
    if not posed:
        poses = {split: _actors(split, scale, register) for split in needed}
    counts = {split: scale.images[split] for split in needed}
    images = {
        split: register(
            "data render",
            {"images": counts[split], "size": scale.image_size, "seed": RENDER_SEEDS[split]},
            arguments=(poses[split],),
        ).product()
        for split in needed
    }
    return DataSets(images, counts, poses, photographs)


def _require_names(division: Division, contents: Sequence[_Content]) -> None:
    """Refuse names that are in no store of 3D joints."""
    for names, column, flag in (
        (division.test_subjects, "subject", "--test-subjects"),
        (division.validation_subjects, "subject", "--validation-subjects"),
        (division.validation_actions, "action", "--validation-actions"),
    ):
        known = {label for content in contents for label in content.labels(column)}
        unknown = sorted(set(names) - known)
        if unknown and not contents:
            raise InputError(
                f"there is no store of 3D joints with the {column} {unknown[0]!r}: give it by --data (built-in actors divide themselves: --scale small)"
            )
        if unknown:
            raise InputError(
                f"no store of 3D joints has the {column} {unknown[0]!r}: name others by {flag}, of {', '.join(sorted(known))}"
            )


def _content_of(path: Path) -> _Content:
    from evolift.posedata.store import PoseStore

    with PoseStore(path) as store:
        has_images = "image" in store.columns
        has_3d = store.coordinate_frame != "none"
        table = store.table()
    if not has_images and not has_3d:
        raise InputError(f"{path}: it has neither images nor 3D joints: no stage can use it")
    return _Content(path.resolve(), has_images, has_3d, table)


def _divided(
    content: _Content, division: Division, register: Register, needed: Sequence[str]
) -> tuple[dict[str, Product], dict[str, int]]:
    subjects, actions = content.labels("subject"), content.labels("action")
    test = [name for name in division.test_subjects if name in subjects]
    chosen = [name for name in division.validation_subjects if name in subjects and name not in test]
    acts = [name for name in division.validation_actions if name in actions]
    if division.validation_actions:
        chosen = []
    is_test = content.table["subject"].isin(test)
    is_validation = ~is_test & (content.table["action"].isin(acts) | content.table["subject"].isin(chosen))
    rows = {TEST: is_test, VALIDATION: is_validation, TRAIN: ~is_test & ~is_validation}
    counts = {split: int(rows[split].sum()) for split in needed}
    _require_rows(content, division, counts, subjects)
    by_action = {"actions": acts, "without-subjects": test}
    named: dict[str, dict[str, list[str]]] = {
        TEST: {"subjects": test},
        VALIDATION: by_action if acts else {"subjects": chosen},
        TRAIN: {"without-subjects": [*test, *chosen], "without-actions": acts},
    }
    products = {}
    for split in needed:
        options: Options = {flag: ",".join(names) for flag, names in named[split].items() if names}
        arguments = (Product(content.path),)
        products[split] = register("data select", options, arguments=arguments).product()
    return products, counts


def _require_rows(
    content: _Content, division: Division, counts: dict[str, int], subjects: Sequence[str]
) -> None:
    named = {
        TEST: (division.test_subjects, "--test-subjects"),
        VALIDATION: (
            division.validation_actions or division.validation_subjects,
            "--validation-subjects or --validation-actions",
        ),
        TRAIN: (("all others",), "fewer of them by --test-subjects and --validation-subjects"),
    }
    for split, count in counts.items():
        if count == 0:
            names, flags = named[split]
            raise InputError(
                f"{content.path}: no row is left for {split} ({', '.join(names) or 'nobody named'}): name {flags}; its subjects are {', '.join(subjects)}"
            )


def _actors(split: str, scale: Scale, register: Register) -> Product:
    """Three people and, for the test, actions that no other split has."""
    from evolift.synthetic.acting.actors import TEST_ACTIONS, TEST_SUBJECTS, TRAIN_ACTIONS, TRAIN_SUBJECTS

    *training, held_out = TRAIN_SUBJECTS
    unseen = [action for action in TEST_ACTIONS if action not in TRAIN_ACTIONS]
    subjects, actions = {
        TRAIN: (training, TRAIN_ACTIONS),
        VALIDATION: ([held_out], TRAIN_ACTIONS),
        TEST: (TEST_SUBJECTS, unseen),
    }[split]
    options = {"subjects": ",".join(subjects), "actions": ",".join(actions), "clips": 1}
    changed = scale.changed("data actors", options | {"seed": int(split == TEST)})
    return register("data actors", changed).product()
