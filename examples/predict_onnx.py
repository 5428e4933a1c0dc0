"""The 3D pose of the person in a photograph from an exported chain, without torch and without evolift.

evolift export runs/chain/best.safetensors -o chain.onnx
python examples/predict_onnx.py chain.onnx photo.jpg LEFT,TOP,WIDTH,HEIGHT

Needs numpy, opencv-python-headless and onnxruntime. The box of the person is in pixels, from a detector of people or by
hand (evolift predict can also search for the person); without one the person should fill the image. Prints, for each
joint, millimetres relative to the root, pixels, and the confidence.
"""

import json
import sys

import cv2
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
metadata = json.loads(session.get_modelmeta().custom_metadata_map["evolift"])
width, height = metadata["input_size"]
bgr = cv2.imread(sys.argv[2])
if bgr is None:
    sys.exit(f"{sys.argv[2]} is not a readable image")
image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
extent = np.array(image.shape[1::-1])
box = [-0.5, -0.5, *extent]  # the whole image: the centre of its top-left pixel is (0, 0)
if len(sys.argv) > 3:
    box = [float(number) for number in sys.argv[3].split(",")]

# The crop around the box, and the map from its pixels to those of the image.
step = max(box[2], box[3] * width / height) * metadata["padding"] / width
corner = np.add(box[:2], np.divide(box[2:], 2)) - step * (np.array([width, height]) - 1) / 2
image_from_crop = np.array([[step, 0, corner[0]], [0, step, corner[1]]])
less = np.maximum(1, np.rint(extent / max(1, int(step)))).astype(int).tolist()
small = cv2.resize(image, less, interpolation=cv2.INTER_AREA)  # average first: warpAffine skips pixels
ratio = (np.array(less) / extent)[:, None]
back = np.concatenate([image_from_crop[:, :2] * ratio, (image_from_crop[:, 2:] + 0.5) * ratio - 0.5], 1)
crop = cv2.warpAffine(small, back, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)

given = {
    "crop": crop,
    "image_from_crop": image_from_crop.astype(np.float32),
    "image_size": extent.astype("f4"),
}
taken = {one.name: given[one.name][None] for one in session.get_inputs()}
answers = session.run(["joints_3d", "joints_2d", "confidence"], taken)
for name, mm, px, confidence in zip(
    metadata["skeleton"]["joints"], *(each[0] for each in answers), strict=True
):
    print(f"{name:15}", *(f"{value:9.1f}" for value in (*mm, *px)), f"{confidence:6.2f}")
