"""ztunnel's configuration as tables, by the rules of `istioctl ztunnel-config`."""
