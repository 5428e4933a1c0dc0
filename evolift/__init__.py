"""3D human pose from one camera: train it, extend its data, look inside it, run it on your photographs.

This is the front door: the names that most users need, listed in `__init__.pyi` beside this file. Each is imported when it
is first used, so that `import evolift` takes no time. Everything else is in the room that it is about: `evolift.evolution`,
`evolift.lifter`, ...
"""

import lazy_loader

from evolift.posedata.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
