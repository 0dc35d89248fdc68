"""Command line of the rule model: `python -m demo.model_server --port 8001`."""

import argparse
import signal
import sys
import threading

from demo.model_server.server import serve


def main() -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status: 1 for an unavailable port, 2 for an invalid host."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parser = argparse.ArgumentParser(prog="python -m demo.model_server", description="Run the demo model.")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8001, help="port to listen on; 0 selects a free port (default: %(default)s)"
    )
    parser.add_argument(
        "--pause", type=float, default=0.0, help="seconds between the pieces of a streamed answer (default: none)"
    )
    options = parser.parse_args()
    try:
        server = serve(options.port, options.host)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, OverflowError) as error:  # the latter for a port beyond 65535
        print(f"The demo model can't listen on {options.host}, port {options.port}: {error}", file=sys.stderr)
        return 1
    server.pause = max(options.pause, 0.0)
    with server:
        print(f"The demo model is ready at {server.url}", flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
