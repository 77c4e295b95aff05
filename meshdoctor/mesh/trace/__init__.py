"""What will happen to this request? Envoy's own choices, walked from its configuration."""
