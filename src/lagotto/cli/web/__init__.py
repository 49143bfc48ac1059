"""Options of a server come in; a server that runs until it is stopped goes out."""
