"""What a pose store holds, in words and tables, for people who look at it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from evolift.posedata.store import CHUNK_ROWS, PoseStore

MOST_LISTED = 60
"""Subjects or actions that are listed one by one, those of most rows; more are told together."""
MOST_ACROSS = 12
MOST_SAID = 300
"""Characters of one parameter; reports of evolution are longer, and whole in the store alone."""


def rows_listed(store: PoseStore) -> str:
    """Rows of each subject in each action, with sums; whichever are more go down, so that the table stays narrow."""
    table = store.table()
    labels = [table[name].astype(str) for name in ("subject", "action")]
    down, across = sorted(labels, key=lambda names: -names.nunique())
    counts = pd.crosstab(down, across)
    sums = counts.sum(axis=1)
    left_out = sums.sort_values(ascending=False, kind="stable").index[MOST_LISTED:]
    # One column is the sums itself, and very many are wider than any screen.
    shown = counts if across.nunique() <= MOST_ACROSS else counts.iloc[:, :0]
    if across.nunique() != 1:
        shown = shown.assign(all=sums)
    rest = shown.loc[left_out].sum().rename(f"{len(left_out)} more")
    shown = shown.drop(index=left_out)
    total = shown.sum() + rest
    if len(left_out):
        shown.loc[str(rest.name)] = rest
    shown.loc["all"] = total
    shown.index.name, shown.columns.name = down.name, None
    return str(shown.astype(int).to_string())


def summary_lines(store: PoseStore) -> list[str]:
    """Name, size, skeleton, frame, columns, cameras and provenance, a line each."""
    provenance = store.provenance
    lines = [
        f"{store.path}: {len(store):,} poses of {store.skeleton.name} ({len(store.skeleton)} joints)",
        f"frame: {store.coordinate_frame}; units: mm, px",
        f"columns: {', '.join(sorted(store.columns))}",
        _cameras(store),
    ]
    if store.unlabelled:
        lines.append(f"unlabelled in 3D: {', '.join(store.unlabelled)}")
    if "image" in store.columns:
        lines.append(f"images: relative to {store.image_folder}")
    if "visibility" in store.columns:
        lines.append(_visibility(store))
    lines.append(f"made by: {provenance.command} (evolift {provenance.version}, seed {provenance.seed})")
    said = ", ".join(f"{json.dumps(name)}: {_said(value)}" for name, value in provenance.parameters.items())
    lines.append(f"parameters: {{{said}}}")
    lines += [f"input: {name} (SHA-256 {digest})" for name, digest in provenance.inputs.items()]
    return lines


def _said(value: object) -> str:
    said = json.dumps(value, ensure_ascii=False)
    return said if len(said) <= MOST_SAID else f"... ({len(said):,} characters)"


def _cameras(store: PoseStore) -> str:
    if not store.cameras:
        return "cameras: none"
    sizes = sorted({(camera.width, camera.height) for camera in store.cameras})
    names = ", ".join(camera.name or "unnamed" for camera in store.cameras[:4])
    more = ", ..." if len(store.cameras) > 4 else ""
    image_sizes = ", ".join(f"{width}x{height}" for width, height in sizes[:4]) + (
        ", ..." if len(sizes) > 4 else ""
    )
    return f"cameras: {len(store.cameras)} ({names}{more}), {image_sizes} px"


def _visibility(store: PoseStore) -> str:
    counts = np.zeros(3, np.int64)
    for poses in store.batches(CHUNK_ROWS * 4):
        if poses.visibility is not None:
            counts += np.bincount(poses.visibility.reshape(-1), minlength=3)
    share = 100 * counts / counts.sum()
    return f"joints: {share[2]:.1f}% visible, {share[1]:.1f}% hidden, {share[0]:.1f}% unlabelled"
