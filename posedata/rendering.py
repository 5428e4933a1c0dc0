"""Off-screen drawing of scenes with pyvista (VTK): a picture and the depth behind each of its pixels.

One window serves many pictures; nothing of one picture is left in the next. Needs OpenGL without a display: EGL
or OSMesa.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32

from posedata.errors import InputError
from posedata.scene import FARTHEST, NEAREST, Mesh, Scene

SUPERSAMPLING = 2
CHOICE = "VTK_DEFAULT_OPENGL_WINDOW"
NO_OPENGL = (
    "pyvista cannot render without a display here: install EGL (Debian and Ubuntu: apt install libegl1 libgl1-mesa-dri)"
    " or OSMesa (apt install libosmesa6)"
)


@contextlib.contextmanager
def _window_without_display() -> Iterator[None]:
    """Let VTK take EGL (else OSMesa) at once where it would first look for an X server and complain."""
    needed = sys.platform == "linux" and not os.environ.get("DISPLAY") and CHOICE not in os.environ
    if needed:
        os.environ[CHOICE] = "vtkEGLRenderWindow"
    try:
        yield
    finally:
        if needed:
            del os.environ[CHOICE]


def _check_opengl() -> None:
    """Make a tiny window and see whether it has OpenGL: drawing in one that has none kills the process.

    Raises:
        InputError: it has none.
    """
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401, PLC0415  # registers the windows
    from vtkmodules.vtkRenderingCore import vtkRenderWindow  # noqa: PLC0415

    window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(8, 8)
    window.Initialize()
    window.MakeCurrent()
    works = window.IsCurrent()
    window.Finalize()
    if not works:
        raise InputError(NO_OPENGL)


class Renderer:
    """An off-screen window of a fixed size.

    A context manager. It belongs to the process and thread that made it.

    Args:
        size: width and height of the pictures, pixels.

    Raises:
        InputError: there is no OpenGL to draw with; the message names the packages to install.
    """

    def __init__(self, size: int) -> None:
        with _window_without_display():
            import pyvista  # noqa: PLC0415  # heavy, and only now it is known which window to make

            _check_opengl()
            self._pyvista = pyvista
            self.size = size
            self._pixels = size * SUPERSAMPLING
            self._plotter = pyvista.Plotter(off_screen=True, window_size=[self._pixels] * 2, lighting=None)
            window: Any = self._plotter.render_window
            window.SetMultiSamples(0)
            self._plotter.show(auto_close=False)
        self._window = window
        self._set_camera_axes()

    def _set_camera_axes(self) -> None:
        camera = self._plotter.camera
        camera.SetPosition(0, 0, 0)
        camera.SetFocalPoint(0, 0, 1)
        camera.SetViewUp(0, -1, 0)

    def draw(
        self, scene: Scene
    ) -> tuple[Float32[np.ndarray, "size size 3"], Float32[np.ndarray, "fine fine"]]:
        """A scene's picture (RGB, 0 to 1) and, `SUPERSAMPLING` times finer, the depth of what is seen in mm.

        Depth is along the optical axis; `FARTHEST` where only the backdrop is seen.
        """
        mesh = scene.person if scene.surroundings is None else Mesh.joined([scene.person, scene.surroundings])
        plotter = self._plotter
        plotter.clear_actors()
        plotter.remove_all_lights()
        plotter.add_mesh(
            self._poly_data(mesh),
            scalars="colours",
            rgb=True,
            ambient=scene.ambient,
            diffuse=1.0,
            specular=0.06,
            specular_power=12,
            smooth_shading=True,
            reset_camera=False,
            render=False,
        )
        for lamp in scene.lamps:
            light = self._pyvista.Light(light_type="scene light", color=lamp.colour, intensity=lamp.strength)
            light.positional = False
            x, y, z = lamp.direction
            light.position = (1e5 * x, 1e5 * y, 1e5 * z)
            light.focal_point = (0, 0, 0)
            plotter.add_light(light)
        focal = scene.camera.K[1, 1]
        plotter.camera.SetViewAngle(float(np.degrees(2 * np.arctan(self.size / 2 / focal))))
        plotter.camera.SetClippingRange(NEAREST, FARTHEST)
        self._window.Render()
        return self._composed(self._read_colours(), depth := self._read_depth(), scene), depth

    def _poly_data(self, mesh: Mesh) -> Any:
        faces = np.concatenate([np.full((len(mesh.triangles), 1), 3), mesh.triangles], 1)
        data = self._pyvista.PolyData(mesh.points.astype(np.float32), faces)
        normals: Any = mesh.normals.astype(np.float32)  # pyvista-stubs want float64
        data.point_data.active_normals = normals
        data.point_data["colours"] = np.rint(mesh.colours * 255).astype(np.uint8)
        return data

    def _read_colours(self) -> Float32[np.ndarray, "fine fine 3"]:
        from vtkmodules.util.numpy_support import vtk_to_numpy  # noqa: PLC0415
        from vtkmodules.vtkCommonCore import vtkUnsignedCharArray  # noqa: PLC0415

        last = self._pixels - 1
        values = vtkUnsignedCharArray()
        self._window.GetPixelData(0, 0, last, last, 0, values, 0)
        picture: np.ndarray = vtk_to_numpy(values).reshape(self._pixels, self._pixels, 3)[::-1]  # type: ignore[no-untyped-call]  # VTK is untyped
        return picture.astype(np.float32) / 255

    def _read_depth(self) -> Float32[np.ndarray, "fine fine"]:
        from vtkmodules.util.numpy_support import vtk_to_numpy  # noqa: PLC0415
        from vtkmodules.vtkCommonCore import vtkFloatArray  # noqa: PLC0415

        last = self._pixels - 1
        values = vtkFloatArray()
        self._window.GetZbufferData(0, 0, last, last, values)
        buffer: np.ndarray = vtk_to_numpy(values).reshape(self._pixels, self._pixels)[::-1].astype(np.float64)  # type: ignore[no-untyped-call]  # VTK is untyped
        depth: np.ndarray = NEAREST * FARTHEST / (FARTHEST - buffer * (FARTHEST - NEAREST))
        return depth.astype(np.float32)

    def _composed(
        self,
        colours: Float32[np.ndarray, "fine fine 3"],
        depth: Float32[np.ndarray, "fine fine"],
        scene: Scene,
    ) -> Float32[np.ndarray, "size size 3"]:
        backdrop = cv2.resize(scene.backdrop, (self._pixels, self._pixels), interpolation=cv2.INTER_LINEAR)
        solid = (depth < 0.999 * FARTHEST)[..., None]
        picture = np.where(solid, colours, backdrop)
        return cv2.resize(picture, (self.size, self.size), interpolation=cv2.INTER_AREA).astype(np.float32)

    def close(self) -> None:
        """Give the window back."""
        self._plotter.close()

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
