"""A hub comes in; a server with pages for people and a REST API for scripts goes out."""
