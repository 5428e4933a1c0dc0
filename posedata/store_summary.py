"""What a pose store holds, in words and tables, for people who look at it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from evolift.posedata.store import CHUNK_ROWS, PoseStore


def subjects_by_actions(store: PoseStore) -> pd.DataFrame:
    """Rows of each subject (down) in each action (across), with sums in the margins."""
    table = store.table()
    return pd.crosstab(
        table["subject"].astype(str), table["action"].astype(str), margins=True, margins_name="all"
    )


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
    lines.append(f"parameters: {json.dumps(provenance.parameters, ensure_ascii=False)}")
    lines += [f"input: {name} (SHA-256 {digest})" for name, digest in provenance.inputs.items()]
    return lines


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
