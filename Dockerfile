# The command line in an image, with every extra that needs no torch:
#     docker build --tag lagotto .
#     docker run --rm --volume "$PWD:/work" lagotto search my-hub "golden retriever"
# Workers isolate models with seccomp and Landlock; both work in a container with the default profile of Docker, and
# `docker run --rm lagotto doctor` says what is in force. A test holds every fact here to pyproject.toml.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
COPY pyproject.toml README.md LICENSE /source/
COPY src /source/src
RUN python -m venv /opt/lagotto && /opt/lagotto/bin/pip install --no-cache-dir '/source[all]'

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="lagotto" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/lagotto /opt/lagotto
RUN useradd --create-home --uid 1000 lagotto && mkdir /work && chown lagotto /work
ENV PATH=/opt/lagotto/bin:$PATH
USER lagotto
WORKDIR /work
ENTRYPOINT ["lagotto"]
CMD ["--help"]
