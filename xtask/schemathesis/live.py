"""A live server for schemathesis: a simulated WeChat and `hongyan serve` on loopback, in a throw-away directory, with something of
everything in it. Used by run.py; hooks.py reads the ids that it leaves."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

APP = "wx5a3f0c2b7d9e4186"
# What changes apps gets this one, so that the first keeps working.
OTHER_APP = "wx00000000000000aa"
FEE = "4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ"
WHO = "oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s"
SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
CALLBACK = {"token": "pushToken2026", "aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"}
TEMPLATE = {
    "id": FEE,
    "title": "用户收费通知",
    "type": "one_time",
    "content": "服务内容:{{thing8.DATA}}\n备注:{{thing5.DATA}}\n",
    "example": "服务内容:物业费\n备注:请于本月底前缴纳\n",
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, look, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise SystemExit(f"{what}: not seen within {seconds} s")


class Live:
    """Both processes, and calls to them."""

    def __init__(self, program):
        self.folder = tempfile.mkdtemp(prefix="hongyan-schemathesis-")
        self.processes = []
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("HONGYAN_")}
        self.environment |= {"HONGYAN_DATA_DIR": os.path.join(self.folder, "data"), "RUST_LOG": "warn"}
        self.program = program
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def start(self):
        simulator, service = free_port(), free_port()
        self.simulator, self.url = f"http://127.0.0.1:{simulator}", f"http://127.0.0.1:{service}"
        scopes = ["--scope", "send,read,manage,token"]
        self.key = self.run("key", "create", "--name", "schemathesis", "--all-apps", *scopes)
        self.spawn("simulator", "--listen", f"127.0.0.1:{simulator}")
        self.spawn("serve", "--listen", f"127.0.0.1:{service}")
        until("the service", lambda: self.answers(f"{self.url}/readyz"))
        until("the simulator", lambda: self.answers(f"{self.simulator}/_sim/apps"))

    def run(self, *arguments):
        done = subprocess.run([self.program, *arguments], env=self.environment, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def spawn(self, *arguments):
        log = open(os.path.join(self.folder, f"{arguments[0]}.log"), "wb")
        self.processes.append(subprocess.Popen([self.program, *arguments], env=self.environment, stdout=log, stderr=log))

    def answers(self, url):
        try:
            return urllib.request.urlopen(url, timeout=5).status == 200
        except OSError:
            return False

    def log(self):
        with open(os.path.join(self.folder, "serve.log"), errors="replace") as log:
            return log.read()

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def http(self, method, url, body=None, headers=None):
        """Status, headers and body of one call."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(url, data=body, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def api(self, method, path, body=None, **headers):
        """One call that has to succeed, as the key."""
        url = path if path.startswith("http") else f"{self.url}/api/v1{path}"
        status, _, text = self.http(method, url, body, {"Authorization": f"Bearer {self.key}", "Accept-Language": "en", **headers})
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {text.decode(errors='replace')}")
        return json.loads(text) if text.startswith((b"{", b"[")) else text.decode(errors="replace")

    def sim(self, method, path, body, app=APP):
        status, _, text = self.http(method, f"{self.simulator}/_sim/apps/{app}{path}", body)
        if status >= 300:
            raise SystemExit(f"the simulator: {method} {path}: {status} {text!r}")

    def seed(self):
        """Something of everything; gives the ids."""
        for app in (APP, OTHER_APP):
            callback = {"url": f"{self.url}/callback/{app}", "mode": "safe", "format": "json", **CALLBACK}
            original = "gh_ea84a199bf81" if app == APP else "gh_ea84a199bf82"
            spec = {"name": "幸福物业", "secret": SECRET, "original_id": original, "callback": callback, "templates": [TEMPLATE]}
            self.sim("PUT", "", spec, app)
            keys = {"callback_token": CALLBACK["token"], "aes_key": CALLBACK["aes_key"]}
            settings = {"attributes": {"building": {"key": True}}}
            base = {"name": "幸福物业", "secret": SECRET, "api_base_url": self.simulator, "settings": settings, **keys}
            self.api("PUT", f"/apps/{app}", base)
        a = f"/apps/{APP}"
        self.api("POST", f"{a}/templates/sync")
        self.sim("POST", "/users", {"openid": WHO, "nickname": "张三"})
        for _ in range(4):
            self.sim("POST", f"/users/{WHO}/popup", {"decisions": {FEE: "accept"}})
        until("the grants", lambda: self.api("GET", f"{a}/subscriptions?openid={WHO}")["items"])
        message = {"to": WHO, "template_id": FEE, "data": {"thing8": "物业费", "thing5": "请及时缴纳"}}
        ids = {"app": APP, "other_app": OTHER_APP, "openid": WHO, "template": FEE}
        later = {**message, "send_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))}
        sent = [self.api("POST", f"{a}/messages", message, Prefer="wait=10") for _ in range(2)]
        ids["messages"] = [one["id"] for one in sent] + [self.api("POST", f"{a}/messages", later)["id"] for _ in range(6)]
        campaign = {"name": "七月物业费", "template_id": FEE, "data": {"thing8": "物业费", "thing5": "请及时缴纳"},
                    "audience": {"kind": "recipients", "recipients": [{"to": WHO}]}, "on_empty_balance": "try"}
        ids["campaigns"] = [self.api("POST", f"{a}/campaigns", campaign)["id"] for _ in range(8)]
        done = ids["campaigns"][0]
        self.api("POST", f"{a}/campaigns/{done}/start")
        over = lambda: self.api("GET", f"{a}/campaigns/{done}")["state"] == "finished"
        until("the end of a campaign", over)
        ids["finished"] = done
        ids["uploads"] = [self.upload(f"openid,服务内容,备注\n{WHO},物业费,请及时缴纳\n")["upload_id"] for _ in range(4)]
        schedule = {"name": "每月物业费", "cron": "0 9 25 * *",
                    "campaign": {**{name: campaign[name] for name in ("template_id", "data")}, "audience": {"kind": "subscribers"}}}
        ids["schedules"] = [self.api("POST", f"{a}/schedules", schedule)["id"] for _ in range(3)]
        hook = {"url": f"{self.simulator}/nowhere", "events": ["message.refused"]}
        ids["webhooks"] = [self.api("POST", "/webhooks", hook)["id"] for _ in range(4)]
        ids["keys"] = [self.api("POST", "/keys", {"name": "spare", "scopes": ["read"]})["id"] for _ in range(4)]
        for name in ("boss", "li", "han"):
            roles = {"*": "admin" if name == "boss" else "viewer"}
            self.api("POST", "/operators", {"name": name, "password": "correct horse battery", "roles": roles})
        ids["operators"] = ["li", "han"]
        ids["wechat"], ids["secret"] = self.simulator, SECRET
        self.api("PUT", f"{a}/subscribers/{WHO}", {"external_id": "3-1201", "tags": ["业主"], "attributes": {"building": "3"}})
        self.api("PUT", f"{a}/guests/{WHO}", {"note": "张工"})
        until("the callbacks", lambda: self.api("GET", f"{a}/callbacks")["items"])
        ids["callbacks"] = [one["id"] for one in self.api("GET", f"{a}/callbacks")["items"]]
        ids["session"] = self.api("POST", f"{a}/mp-sessions", {"openid": WHO})["session"]
        return ids

    def upload(self, table):
        edge = "hongyan-form"
        parts = [f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="list.csv"\r\n\r\n{table}\r\n']
        mapping = {"key": {"column": "openid", "by": "openid"}, "fields": {"thing8": "服务内容", "thing5": "备注"}}
        for name, value in {"template_id": FEE, "mapping": json.dumps(mapping)}.items():
            parts.append(f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n')
        body = ("".join(parts) + f"--{edge}--\r\n").encode()
        return self.api("POST", f"/apps/{APP}/uploads", body, **{"Content-Type": f"multipart/form-data; boundary={edge}"})
