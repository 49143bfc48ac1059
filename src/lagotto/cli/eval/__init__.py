"""`lagotto eval ...` comes in; accuracy tables and JSON go out."""
