# One image for the web server, the workers and the management commands (docs/how-to/deploy.md).

ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS packages
# requirements-otel.txt adds what exports traces.
ARG REQUIREMENTS=requirements.txt
WORKDIR /build
COPY requirements.txt requirements-otel.txt ./
# The virtual environment is all that the next stage gets: no pip, no compiler, no cache.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        -r requirements.txt -r "$REQUIREMENTS"

FROM python:${PYTHON_VERSION}-slim
# A fixed uid: what it owns in volumes stays its own from one image to the next.
RUN groupadd --gid 10001 agentsite \
    && useradd --uid 10001 --gid agentsite --no-create-home --home-dir /data --shell /usr/sbin/nologin agentsite \
    && install --directory --owner=agentsite --group=agentsite --mode=0750 /data
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AGENTSITE_DATA=/data \
    STATIC_ROOT=/app/static
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY LICENSE manage.py ./
COPY core core
COPY memory memory
COPY agents agents
COPY reviews reviews
COPY notifications notifications
COPY agentsite agentsite
COPY demo demo
COPY devserver devserver
# Settings want a key and a data folder; neither stays in the image.
RUN SECRET_KEY=for-this-line-only AGENTSITE_DATA=/tmp/data python manage.py collectstatic --noinput \
    && python -m compileall -q core memory agents reviews notifications agentsite demo devserver \
    && rm -r /tmp/data
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-P", "agentsite/server/healthcheck.py", "web"]
# WEB_CONCURRENCY, which gunicorn reads by itself, says how many processes. /dev/shm: its heartbeat files want memory.
CMD ["gunicorn", "agentsite.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "agentsite.server.gunicorn_worker.Worker", "--threads", "8", \
     "--graceful-timeout", "30", "--keep-alive", "75", "--worker-tmp-dir", "/dev/shm", "--no-control-socket"]
