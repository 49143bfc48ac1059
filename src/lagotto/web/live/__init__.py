"""Work that takes a while comes in; events, progress and counters go out while it runs."""
