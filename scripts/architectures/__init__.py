"""Names come in; networks of torch go out, for the tables that scripts write and for tests."""
