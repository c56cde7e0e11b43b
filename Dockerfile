# Wheels first, from this checkout and the package index; then an image that is built from them alone.
#
#   docker build --tag sanyi-hub .
#   docker run --network host --volume hub:/var/lib/hub sanyi-hub
#   docker run --network host --env HUB_DATABASE_URL=postgresql://hub@127.0.0.1/hub sanyi-hub
#
# The hub answers on loopback only while it has no security settings, hence the host's network.
# More: docs/how-to/run-in-a-container.md
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS wheels
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels . ./plugins/*

FROM python:${PYTHON}-slim
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels /wheels/sanyi_hub*.whl
RUN useradd --system --uid 10001 --home-dir /var/lib/hub --create-home hub
USER 10001
WORKDIR /var/lib/hub
VOLUME /var/lib/hub
ENV HUB_DATABASE_URL=sqlite:////var/lib/hub/hub.db
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('HUB_PORT', 8080)}/health/ready\", timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["hub", "serve"]
