"""Model files and remote names come in; probed responses and recorded failures go out."""
