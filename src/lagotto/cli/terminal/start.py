"""`lagotto` without a command comes in; the three things that one would do first go out."""

FIRST_PAGE = """\
Lagotto finds the image classifier that already knows your concept, by behaviour alone.

Three things to do first:

  lagotto demo
      A tour with bundled pictures and models: offline, in under a minute.

  lagotto hub create my-hub
  lagotto hub add my-hub models/
  lagotto search my-hub "golden retriever"
      A hub of your own models, and which of their outputs knows a concept. Without network,
      or for your own pictures: hub create my-hub --probes photos/ --encoder clip-onnx/

  lagotto doctor
      What is installed, what is missing, and whether it works.

All commands: lagotto --help. Each has its own --help, with an example.
"""
