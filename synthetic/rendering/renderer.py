"""Off-screen drawing of scenes with pyvista (VTK): an image and the depth behind each of its pixels.

One window serves many images; nothing of one image is left in the next. Needs OpenGL without a display: EGL
or OSMesa.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from evolift.posedata.errors import InputError
from evolift.posedata.extras import require_extra
from evolift.synthetic.rendering.backdrop import Image
from evolift.synthetic.rendering.mesh import Mesh
from evolift.synthetic.rendering.scene import FARTHEST, NEAREST, Lamp, Scene

SUPERSAMPLING = 2
MAX_LAMPS = 4
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
        size: width and height of the images, pixels.

    Raises:
        InputError: there is no OpenGL to draw with, or the extra `render` is not installed; the message says what to install.
    """

    def __init__(self, size: int) -> None:
        require_extra("render", "pyvista")
        with contextlib.suppress(ImportError):
            # Mesa and triton, which torch loads when it likes, each bring an LLVM: if Mesa's comes first, loading
            # triton's kills the process; the other way round both work.
            importlib.import_module("triton")
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
        self._plotter.renderer.SetBackground(0, 0, 0)
        self._set_camera_axes()
        self._add_actor()
        self._add_lamps()

    def _set_camera_axes(self) -> None:
        camera = self._plotter.camera
        camera.SetPosition(0, 0, 0)
        camera.SetFocalPoint(0, 0, 1)
        camera.SetViewUp(0, -1, 0)

    def draw(
        self, scene: Scene
    ) -> tuple[Float32[np.ndarray, "size size 3"], Float32[np.ndarray, "fine fine"]]:
        """A scene's image (RGB, 0 to 1) and, `SUPERSAMPLING` times finer, the depth of what is seen in mm.

        Depth is along the optical axis; `FARTHEST` where only the backdrop is seen.

        Raises:
            ValueError: the scene has more than `MAX_LAMPS` lamps.
        """
        mesh = scene.person if scene.surroundings is None else Mesh.joined([scene.person, scene.surroundings])
        self._mapper.SetInputData(self._poly_data(mesh))
        self._actor.GetProperty().SetAmbient(scene.ambient)
        self._set_lamps(scene.lamps)
        camera = self._plotter.camera
        camera.SetViewAngle(float(np.degrees(2 * np.arctan(self.size / 2 / scene.camera.K[1, 1]))))
        camera.SetClippingRange(NEAREST, FARTHEST)
        self._window.Render()
        buffer = self._read_depth_buffer()
        depth = NEAREST * FARTHEST / (FARTHEST - buffer * np.float32(FARTHEST - NEAREST))
        return self._composed(self._read_colours(), buffer < 1, scene.backdrop), depth

    def _add_actor(self) -> None:
        """The one actor of the window; `draw` gives it a new mesh."""
        from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper  # noqa: PLC0415

        self._mapper = vtkPolyDataMapper()
        self._mapper.SetScalarModeToUsePointData()
        self._mapper.SetColorModeToDirectScalars()
        self._actor = vtkActor()
        self._actor.SetMapper(self._mapper)
        surface = self._actor.GetProperty()
        surface.SetDiffuse(1.0)
        surface.SetSpecular(0.06)
        surface.SetSpecularPower(12)
        surface.SetInterpolationToPhong()
        self._plotter.renderer.AddActor(self._actor)

    def _add_lamps(self) -> None:
        """All the lamps that the window will ever have; `draw` sets and switches them."""
        self._lights = []
        for _ in range(MAX_LAMPS):
            light = self._pyvista.Light(light_type="scene light")
            light.positional = False
            light.focal_point = (0, 0, 0)
            self._plotter.add_light(light)
            self._lights.append(light)

    def _set_lamps(self, lamps: tuple[Lamp, ...]) -> None:
        if len(lamps) > MAX_LAMPS:
            raise ValueError(f"a scene has at most {MAX_LAMPS} lamps (got {len(lamps)})")
        for light in self._lights[len(lamps) :]:
            light.SetSwitch(False)
        for light, lamp in zip(self._lights, lamps, strict=False):
            light.SetSwitch(True)
            light.SetColor(*lamp.colour)
            light.SetIntensity(lamp.strength)
            light.SetPosition(*(1e5 * value for value in lamp.direction))

    def _poly_data(self, mesh: Mesh) -> Any:
        corners = np.empty((len(mesh.triangles), 4), np.int64)
        corners[:, 0] = 3
        corners[:, 1:] = mesh.triangles
        data = self._pyvista.PolyData(mesh.points.astype(np.float32), corners.reshape(-1))
        normals: Any = mesh.normals.astype(np.float32)  # pyvista's types want float64
        data.point_data.active_normals = normals
        data.point_data["colours"] = np.rint(mesh.colours * 255).astype(np.uint8)
        data.point_data.active_scalars_name = "colours"
        return data

    def _read_colours(self) -> UInt8[np.ndarray, "fine fine 3"]:
        from vtkmodules.util.numpy_support import vtk_to_numpy  # noqa: PLC0415
        from vtkmodules.vtkCommonCore import vtkUnsignedCharArray  # noqa: PLC0415

        last = self._pixels - 1
        values = vtkUnsignedCharArray()
        self._window.GetPixelData(0, 0, last, last, 0, values, 0)
        pixels: np.ndarray = vtk_to_numpy(values)  # type: ignore[no-untyped-call]  # VTK is untyped
        return pixels.reshape(self._pixels, self._pixels, 3)[::-1]

    def _read_depth_buffer(self) -> Float32[np.ndarray, "fine fine"]:
        from vtkmodules.util.numpy_support import vtk_to_numpy  # noqa: PLC0415
        from vtkmodules.vtkCommonCore import vtkFloatArray  # noqa: PLC0415

        last = self._pixels - 1
        values = vtkFloatArray()
        self._window.GetZbufferData(0, 0, last, last, values)
        buffer: np.ndarray = vtk_to_numpy(values)  # type: ignore[no-untyped-call]  # VTK is untyped
        return buffer.reshape(self._pixels, self._pixels)[::-1]

    def _composed(
        self,
        colours: UInt8[np.ndarray, "fine fine 3"],
        solid: Bool[np.ndarray, "fine fine"],
        backdrop: Image,
    ) -> Float32[np.ndarray, "size size 3"]:
        """The drawn surfaces, which are black where nothing is, over the backdrop."""
        small = (self.size, self.size)
        drawn = cv2.resize(np.ascontiguousarray(colours), small, interpolation=cv2.INTER_AREA)
        cover = cv2.resize(solid.astype(np.float32), small, interpolation=cv2.INTER_AREA)
        image: np.ndarray = drawn.astype(np.float32) / 255 + (1 - cover[..., None]) * backdrop
        return image

    def close(self) -> None:
        """Free the off-screen window and its OpenGL context."""
        self._plotter.close()

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
