"""The 3D pose of the person in a photograph from an exported chain, without torch and without evolift.

evolift export runs/joint/best.safetensors -o chain.onnx
python examples/predict_onnx.py chain.onnx photo.jpg LEFT,TOP,WIDTH,HEIGHT

Needs numpy, opencv-python-headless and onnxruntime. The box of the person is in pixels, from a detector of people or by
hand (evolift predict can also search for the person); without one the person should fill the picture.
"""

import json
import sys
from collections.abc import Sequence

import cv2
import numpy as np
import onnxruntime


def cut(
    image: np.ndarray, box: Sequence[float], size: Sequence[int], padding: float
) -> tuple[np.ndarray, np.ndarray]:
    """The crop around a box (left, top, width, height), and the map from its pixels to the picture's, (2, 3)."""
    width, height = size
    step = (
        max(box[2], box[3] * width / height) * padding / width
    )  # pixels of the picture per pixel of the crop
    corner = np.add(box[:2], np.divide(box[2:], 2)) - step * (np.array(size) - 1) / 2
    image_from_crop = np.array([[step, 0, corner[0]], [0, step, corner[1]]])
    factor = (
        max(1, int(step)) if step > 2 else 1
    )  # average large pictures down first: warpAffine skips pixels
    extent = np.array(image.shape[1::-1])
    small = cv2.resize(
        image, np.maximum(1, np.rint(extent / factor)).astype(int).tolist(), interpolation=cv2.INTER_AREA
    )
    ratio = (np.array(small.shape[1::-1]) / extent)[:, None]
    back = np.concatenate([image_from_crop[:, :2] * ratio, (image_from_crop[:, 2:] + 0.5) * ratio - 0.5], 1)
    return cv2.warpAffine(
        small, back, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    ), image_from_crop


def predict(
    session: onnxruntime.InferenceSession,
    image: np.ndarray,
    box: Sequence[float],
    size: Sequence[int],
    padding: float,
) -> list[np.ndarray]:
    """Joints relative to the root in mm (joints, 3), in pixels of the picture (joints, 2), and their confidence."""
    crop, image_from_crop = cut(image, box, size, padding)
    given = {"crop": crop, "image_from_crop": image_from_crop.astype(np.float32)}
    given["image_size"] = np.array(image.shape[1::-1], np.float32)
    taken = {one.name: given[one.name][None] for one in session.get_inputs()}
    return [answer[0] for answer in session.run(["joints_3d", "joints_2d", "confidence"], taken)]


def main() -> None:
    """Print the pose of the person in the box, or in the whole picture."""
    session = onnxruntime.InferenceSession(sys.argv[1])
    told = json.loads(session.get_modelmeta().custom_metadata_map["evolift"])
    picture = cv2.imread(sys.argv[2])
    if picture is None:
        sys.exit(f"{sys.argv[2]} is not a readable picture")
    image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    box = [-0.5, -0.5, image.shape[1], image.shape[0]]  # the centre of the top-left pixel is (0, 0)
    if len(sys.argv) > 3:
        box = [float(number) for number in sys.argv[3].split(",")]
    pose, joints, confidence = predict(session, image, box, told["input_size"], told["padding"])
    for name, mm, px, sure in zip(told["skeleton"]["joints"], pose, joints, confidence, strict=True):
        print(f"{name:15}", *(f"{value:9.1f}" for value in (*mm, *px)), f"{sure:6.2f}")


if __name__ == "__main__":
    main()
