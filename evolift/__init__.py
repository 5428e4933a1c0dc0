"""3D human pose from one camera: train it, extend its data, look inside it, run it on your photographs."""

from evolift.posedata.version import __version__ as __version__
