"""Tasks come in; workers on other machines run them, also where some are lost; outcomes go out."""
