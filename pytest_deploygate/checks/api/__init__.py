"""The API answers as its own document says: OpenAPI, GraphQL by introspection, gRPC by its health protocol."""

__all__ = ["judge", "probe"]
