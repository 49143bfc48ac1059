"""Where a caption store lies comes in; what it holds, and the right to add to it, go out."""
