"""Runs schemathesis against a live server: run.py PROGRAM SEED SECONDS. Exits with its status; 3 where the server itself broke down."""

import json
import os
import subprocess
import sys

from live import Live

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
]


def main():
    program, seed, seconds = sys.argv[1:4]
    here = os.path.dirname(os.path.abspath(__file__))
    live = Live(program)
    try:
        ids = os.path.join(live.folder, "ids.json")
        with open(ids, "w") as file:
            json.dump(live.seed(), file)
        environment = {**os.environ, "HONGYAN_SCHEMATHESIS_IDS": ids, "HONGYAN_SCHEMATHESIS_SEED": seed, "SCHEMATHESIS_HOOKS": "hooks"}
        environment["PYTHONPATH"] = here
        arguments = [
            sys.executable, "-m", "schemathesis.cli", "--config-file", os.path.join(here, "schemathesis.toml"), "--no-color", "run",
            f"{live.url}/api/v1/openapi.json", "-H", f"Authorization: Bearer {live.key}", "--seed", seed, "--max-time", seconds,
            "--checks", ",".join(CHECKS), *sys.argv[4:],
        ]
        status = subprocess.run(arguments, env=environment, cwd=live.folder).returncode
        dead = [process.args[1] for process in live.processes if process.poll() is not None]
        if dead or "panicked" in live.log():
            print(f"the server broke down: {dead}\n{live.log()}")
            return 3
        return status
    finally:
        live.stop()


sys.exit(main())
