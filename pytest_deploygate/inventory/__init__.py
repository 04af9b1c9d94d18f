"""The environment to gate: YAML to typed models."""
