"""Writes tiny ASF/AMC files in the layout of mocap.cs.cmu.edu, CRLF line ends and all."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

LENGTH_UNIT = 0.45

# name: (parent, direction, length, axis in degrees, degrees of freedom); lengths in the unit of the file.
BONES: dict[str, tuple[str, tuple[float, float, float], float, tuple[float, float, float], str]] = {
    "lhipjoint": ("root", (0.65, -0.71, 0.27), 2.5, (0, 0, 0), ""),
    "lfemur": ("lhipjoint", (0.34202, -0.939693, 0), 7.4, (0, 0, 20), "rx ry rz"),
    "ltibia": ("lfemur", (0.34202, -0.939693, 0), 7.2, (0, 0, 20), "rx"),
    "lfoot": ("ltibia", (0.09, -0.24, 0.966), 2.2, (-90, 0, 20), "rx rz"),
    "rhipjoint": ("root", (-0.65, -0.71, 0.27), 2.5, (0, 0, 0), ""),
    "rfemur": ("rhipjoint", (-0.34202, -0.939693, 0), 7.4, (0, 0, -20), "rx ry rz"),
    "rtibia": ("rfemur", (-0.34202, -0.939693, 0), 7.2, (0, 0, -20), "rx"),
    "rfoot": ("rtibia", (-0.09, -0.24, 0.966), 2.2, (-90, 0, -20), "rx rz"),
    "lowerback": ("root", (0, 1, -0.05), 2.0, (0, 0, 0), "rx ry rz"),
    "upperback": ("lowerback", (0, 1, 0), 2.0, (0, 0, 0), "rx ry rz"),
    "thorax": ("upperback", (0, 1, 0), 2.0, (0, 0, 0), "rx ry rz"),
    "lowerneck": ("thorax", (0, 1, 0.1), 1.6, (0, 0, 0), "rx ry rz"),
    "upperneck": ("lowerneck", (0, 1, -0.1), 1.6, (0, 0, 0), "rx ry rz"),
    "head": ("upperneck", (0, 1, 0), 1.7, (0, 0, 0), "rx ry rz"),
    "lclavicle": ("thorax", (0.94, 0.3, 0), 3.6, (0, 0, 0), "ry rz"),
    "lhumerus": ("lclavicle", (1, 0, 0), 5.0, (180, 30, 90), "rx ry rz"),
    "lradius": ("lhumerus", (1, 0, 0), 3.4, (180, 30, 90), "rx"),
    "lwrist": ("lradius", (1, 0, 0), 1.7, (180, 60, 90), "ry"),
    "rclavicle": ("thorax", (-0.94, 0.3, 0), 3.6, (0, 0, 0), "ry rz"),
    "rhumerus": ("rclavicle", (-1, 0, 0), 5.0, (180, -30, -90), "rx ry rz"),
    "rradius": ("rhumerus", (-1, 0, 0), 3.4, (180, -30, -90), "rx"),
    "rwrist": ("rradius", (-1, 0, 0), 1.7, (180, -60, -90), "ry"),
}


def asf_text() -> str:
    lines = [
        "# AST/ASF file generated using VICON BodyLanguage", ":version 1.10", ":name VICON", ":units",
        "  mass 1.0", f"  length {LENGTH_UNIT}", "  angle deg", ":documentation", "   .ast/.asf generated", ":root",
        "   order TX TY TZ RX RY RZ", "   axis XYZ", "   position 0 0 0  ", "   orientation 0 0 0 ", ":bonedata",
    ]  # fmt: skip
    for number, (name, (_, direction, length, axis, dof)) in enumerate(BONES.items(), 1):
        lines += ["  begin", f"     id {number} ", f"     name {name}"]
        lines += [f"     direction {' '.join(map(repr, direction))}", f"     length {length} "]
        lines += [f"     axis {' '.join(map(repr, axis))}  XYZ"]
        if dof:
            lines += [f"    dof {dof}", "    limits (-160.0 20.0)"]
            lines += ["           (-70.0 70.0)"] * (len(dof.split()) - 1)
        lines += ["  end"]
    lines += [":hierarchy", "  begin"]
    for parent in dict.fromkeys(bone[0] for bone in BONES.values()):
        lines.append(f"    {parent} {' '.join(name for name, bone in BONES.items() if bone[0] == parent)}")
    return "\r\n".join([*lines, "  end", ""])


def amc_text(values: dict[str, np.ndarray]) -> str:
    """`values`: bone -> (frames, channels) in degrees; root translation in the file's unit."""
    lines = ["#!OML:ASF H:\\Terrain\\Monday\\Monday.ASF", ":FULLY-SPECIFIED", ":DEGREES"]
    for frame in range(len(values["root"])):
        lines.append(str(frame + 1))
        lines += [
            f"{bone} {' '.join(f'{value:.6g}' for value in rows[frame])}" for bone, rows in values.items()
        ]
    return "\r\n".join([*lines, ""])


def random_values(frames: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = {
        "root": np.concatenate([rng.normal(0, 20, (frames, 3)), rng.uniform(-180, 180, (frames, 3))], 1)
    }
    for name, (*_, dof) in BONES.items():
        if dof:
            values[name] = rng.uniform(-80, 80, (frames, len(dof.split())))
    values["lclavicle"][0] = 1.5e-14  # the files hold such numbers
    return {
        name: np.array([[float(f"{v:.6g}") for v in row] for row in rows]) for name, rows in values.items()
    }


def write_database(folder: Path, clips: dict[str, int], edit: Callable[[str], str] = str) -> Path:
    """`clips`: for example {"01_01": 5}, frames of each; `edit` changes the text of each AMC. Returns the folder."""
    for number, (clip, frames) in enumerate(clips.items()):
        subject = clip.split("_")[0]
        place = folder / "all_asfamc" / "subjects" / subject
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{subject}.asf").write_bytes(asf_text().encode())
        (place / f"{clip}.amc").write_bytes(edit(amc_text(random_values(frames, number))).encode())
    return folder


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in sorted(folder.rglob("*")):
            if entry.is_file():
                archive.write(entry, entry.relative_to(folder).as_posix())
    return path
