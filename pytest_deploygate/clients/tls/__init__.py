"""TLS as an ordinary client."""
