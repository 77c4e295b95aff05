"""Envoy's configuration as tables: one module per table, by the rules of `istioctl proxy-config`."""
