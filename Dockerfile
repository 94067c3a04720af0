# One file, two images:
#   docker build --target serving  .   the data plane: no torch, MLflow or Prefect
#   docker build --target platform .   everything else: migrations, worker, control API, dashboard, MLflow and Prefect servers
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS source
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY platform platform
COPY flows flows
COPY services services
COPY migrations migrations
COPY dashboards dashboards
RUN python -m venv /opt/onnxyard

FROM source AS build-serving
RUN /opt/onnxyard/bin/pip install --constraint constraints.txt '.[serving,processing]'

FROM source AS build-platform
# PyPI's torch brings CUDA; name an index of CPU wheels here to save gigabytes.
ARG PIP_EXTRA_INDEX_URL=
RUN PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL} \
    /opt/onnxyard/bin/pip install --constraint constraints.txt '.[torch,platform,serving,monitoring,dashboard,trees,processing]'

FROM python:${PYTHON} AS runtime
# The home volume takes its owner from this folder when it is first used.
RUN groupadd --gid 10001 onnxyard \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin onnxyard \
 && install -d -o onnxyard -g onnxyard /var/lib/onnxyard
ENV HOME=/tmp \
    ONNXYARD_HOME=/var/lib/onnxyard \
    PATH=/opt/onnxyard/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/onnxyard
USER 10001:10001

FROM runtime AS serving
COPY --from=build-serving /opt/onnxyard /opt/onnxyard
EXPOSE 8080
CMD ["onnxyard", "serve", "--host", "0.0.0.0", "--port", "8080"]

FROM runtime AS platform
COPY --from=build-platform /opt/onnxyard /opt/onnxyard
CMD ["onnxyard", "--help"]
