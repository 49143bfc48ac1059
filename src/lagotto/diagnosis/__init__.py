"""An installation comes in; what it has, what it lacks and whether it works go out."""
