"""Commands and environment of the service's processes on one machine."""

import os
import sys

from django.conf import settings

from devserver.supervisor import Part

CELERY_ON_ROOT = "ignore:You're running the worker with superuser privileges"
WORKER_READY = " ready."  # end of the line that Celery prints when a worker is ready
GRACEFUL_SECONDS = 10  # for requests under way when the web server stops; less than supervisor.STOP_SECONDS


def needs_rule_model() -> bool:
    """Return whether no model is configured: neither a key nor an endpoint, and no model of another provider."""
    configured = settings.OPENAI_API_KEY or settings.OPENAI_BASE_URL or os.environ.get("OPENAI_API_BASE")
    return not configured and settings.AGENT_MODEL.startswith("openai:")


def parts(host: str, port: int, model_port: int | None) -> list[Part]:
    """Return the web server and the workers, and the rule model if `model_port` is given."""
    python = sys.executable
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # One process unless WEB_CONCURRENCY is set. Warnings only, because the supervisor logs restarts.
    web = [
        python,
        "-m",
        "gunicorn",
        "agentsite.wsgi",
        "--bind",
        bind,
        "--worker-class",
        "agentsite.server.gunicorn_worker.Worker",
    ]
    web += ["--threads", str(settings.WEB_THREADS), "--graceful-timeout", str(GRACEFUL_SECONDS)]
    web += ["--log-level", "warning", "--no-control-socket"]
    made = [Part("web", web)]
    for number in range(1, settings.WORKER_PROCESSES + 1):
        worker = [python, "-m", "celery", "--quiet", "-A", "agentsite", "worker", "--loglevel", "INFO"]
        # The port in the name distinguishes the workers of two copies of the service that share a broker.
        worker += ["-n", f"worker{number}-{port}@%h"]
        name = "worker" if settings.WORKER_PROCESSES == 1 else f"worker{number}"
        made.append(Part(name, worker, ready_mark=WORKER_READY))
    if model_port is not None:
        made.append(Part("model", [python, "-m", "demo.model_server", "--port", str(model_port)], last=True))
    return made


def environment(port: int, model_port: int | None) -> dict[str, str]:
    """Return the environment variables for the parts, in addition to this process's own."""
    made = {
        "PORT": str(port),
        "AGENTSITE_DATA": str(settings.DATA_DIR),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
    }
    if os.geteuid() == 0:  # mostly in a container: hide Celery's five-line warning at the start of every log
        made["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), CELERY_ON_ROOT]))
    if model_port is not None:
        direct = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1"]))
        made |= {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{model_port}/v1",
            "OPENAI_API_KEY": "demo",
            "AGENT_MODEL": os.environ.get("AGENT_MODEL") or "openai:demo",
            "NO_PROXY": direct,  # a proxy can't reach this machine's loopback
            "no_proxy": direct,
        }
    return made
