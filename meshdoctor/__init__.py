"""MeshDoctor tells why an Istio mesh fails requests, with evidence and what to change."""

import os as _os

__version__ = "0.1.0"

# screens/, probes/ and fixtures/ live at the repository root and are linked into this package. A checkout
# that could not create the links (Windows without core.symlinks) still runs: look for them beside us.
if not _os.path.isdir(_os.path.join(__path__[0], "screens")):
    __path__.append(_os.path.dirname(_os.path.abspath(__path__[0])))
