"""Envoy's configuration and admin answers (Envoy 1.30 to 1.40) as typed facts."""
