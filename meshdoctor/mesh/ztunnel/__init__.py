"""ztunnel: the connections that it logs and why they fail, what it enforces, and its tables as istioctl shows them."""
