"""Labels of Istio that more than one room reads (istio.io/api/label, 1.32)."""

REVISION = "istio.io/rev"
"""The revision that a namespace or pod asks for, and the one that an istiod or webhook is of."""
DATAPLANE_MODE = "istio.io/dataplane-mode"
"""`ambient` or `none`, of a namespace or pod."""
