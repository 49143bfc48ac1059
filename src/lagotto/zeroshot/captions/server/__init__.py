"""The address of a caption store on a server comes in; its rows, and a search over them, go out."""
