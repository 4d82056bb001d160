"""Hongyan from Python 3.9 or newer, standard library only: the calls a back end needs, and a receiver of webhooks.

    HONGYAN_URL=http://127.0.0.1:8700 HONGYAN_KEY=hy_… python3 hongyan.py APPID OPENID TEMPLATE_ID thing8=物业费 thing5=请及时缴纳
    HONGYAN_WEBHOOK_SECRET=whsec_… python3 hongyan.py receive 8080
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What may be repeated: the service is not there, is starting, or asks for patience. 可以重试的状态码。
AGAIN = {429, 502, 503, 504}
# States in which something is still to come. 尚未结束的状态。
UNDER_WAY = {"scheduled", "queued", "sending"}


class Problem(Exception):
    """An answer of RFC 9457: a stable `code` for programs, a `detail` for people, `errors` with each wrong field."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body.get('code', 'unknown')}: {body.get('detail', '')}")
        self.status = status
        self.code = body.get("code", "unknown")
        self.errors = body.get("errors", [])


class Hongyan:
    def __init__(self, url, key, app_id, attempts=5, timeout=15):
        self.url = url.rstrip("/")
        self.key = key
        self.app_id = app_id
        self.attempts = attempts
        self.timeout = timeout

    def session(self, openid):
        """A session for a user whom you have logged in: hand it to the mini program. 把会话交给小程序使用。"""
        return self._api("POST", "/mp-sessions", {"openid": openid})[0]

    def ask(self, session):
        """What the mini program asks with it: which templates to request now. 小程序端用会话查询该请求哪些模板。"""
        return self._call("GET", f"/mp/{self.app_id}/ask", session)[0]

    def send(self, message, key):
        """Sends one message. `key` names the business event (a bill's number), so that repeating the call sends nothing twice.

        key 取业务单号：网络出错时可放心重试，不会重复发送。
        """
        message, headers = self._api("POST", "/messages", message, {"Idempotency-Key": key})
        return message, headers.get("Idempotent-Replayed") == "true"

    def message(self, message_id):
        """One message with its state, its attempts and its receipt."""
        return self._api("GET", f"/messages/{message_id}")[0]

    def settled(self, message_id, seconds=30):
        """The message once it is no longer under way. Webhooks tell without asking. 也可用 webhook 代替轮询。"""
        deadline = time.monotonic() + seconds
        while True:
            message = self.message(message_id)
            if message["state"] not in UNDER_WAY or time.monotonic() > deadline:
                return message
            time.sleep(0.3)

    def subscriptions(self, openid):
        """How many messages this user may still be sent, by template. 该用户各模板的剩余次数。"""
        query = urllib.parse.urlencode({"openid": openid})
        return self._api("GET", f"/subscriptions?{query}")[0]["items"]

    def _api(self, method, path, body=None, headers=None):
        return self._call(method, f"/api/v1/apps/{self.app_id}{path}", self.key, body, headers)

    def _call(self, method, path, bearer, body=None, headers=None):
        headers = {
            "Authorization": f"Bearer {bearer}",
            "Accept-Language": "zh-CN",
            "Content-Type": "application/json",
            **(headers or {}),
        }
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        # Without its key a POST could happen twice.
        repeatable = method == "GET" or "Idempotency-Key" in headers
        for attempt in range(1, self.attempts + 1):
            last = attempt == self.attempts or not repeatable
            pause = 0.2 * 2**attempt * random.uniform(0.5, 1)
            try:
                request = urllib.request.Request(self.url + path, data, headers, method=method)
                with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                    return json.load(answer), answer.headers
            except urllib.error.HTTPError as error:
                problem = _problem(error)
                if last or error.code not in AGAIN:
                    raise problem from None
                pause = max(pause, min(float(error.headers.get("Retry-After") or 0), 60))
            except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
                # No answer, or half of one: it may have happened all the same. 结果未知，带着同一个 key 重试。
                if last:
                    raise
                print(f"retry     {type(error).__name__}", file=sys.stderr)
            time.sleep(pause)


def _problem(error):
    try:
        body = json.load(error)
    except ValueError:  # not from Hongyan: a proxy's page
        body = {}
    return Problem(error.code, body if isinstance(body, dict) else {})


def verified(secret, headers, body, now=None):
    """Whether a webhook is Hongyan's and fresh (Standard Webhooks); `body` is what came, byte for byte."""
    try:
        at = int(headers["webhook-timestamp"])
    except (KeyError, TypeError, ValueError):
        return False
    if abs((time.time() if now is None else now) - at) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{at}.".encode() + body
    right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    # Two signatures while a secret is being changed. 轮换密钥期间会有两个签名。
    given = (headers["webhook-signature"] or "").split()
    return any(hmac.compare_digest(f"v1,{right}", one) for one in given)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > 1 << 20:
            return self.answer(413)
        body = self.rfile.read(length)
        if not verified(os.environ["HONGYAN_WEBHOOK_SECRET"], self.headers, body):
            return self.answer(401)
        event = json.loads(body)
        # Deliveries may repeat: remember `webhook-id` and skip what you have seen. 用 webhook-id 去重。
        print("webhook  ", event["type"], event["data"].get("message_id", "-"), flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "receive":
        server = ThreadingHTTPServer(("127.0.0.1", int(arguments[1])), Receiver)
        print("listening", server.server_port, flush=True)
        server.serve_forever()
    if len(arguments) < 4:
        sys.exit(__doc__)
    app_id, openid, template_id, *fields = arguments
    data = dict(field.split("=", 1) for field in fields)
    hongyan = Hongyan(os.environ["HONGYAN_URL"], os.environ["HONGYAN_KEY"], app_id)

    for one in hongyan.subscriptions(openid):
        print("grants   ", one["template_id"], one["status"], one["available"])
    session = hongyan.session(openid)
    print("session  ", session["expires_in"])
    print("ask      ", len(hongyan.ask(session["session"])["templates"]))

    request = {"to": openid, "template_id": template_id, "data": data}
    key = f"bill-{uuid.uuid4()}"  # yours: the number of the bill, of the order
    message, _ = hongyan.send(request, key)
    print("message  ", message["id"])
    same, replayed = hongyan.send(request, key)
    print("again    ", same["id"], "replayed" if replayed else "new")
    message = hongyan.settled(message["id"])
    print("state    ", message["state"], message["errcode"])
    print("          ", message["explanation"])

    try:
        hongyan.send({**request, "data": {**data, "no_such_field": "x"}}, f"bill-{uuid.uuid4()}")
    except Problem as problem:
        print("problem  ", problem.status, problem.code)
        for error in problem.errors:
            print("          ", error["pointer"], error["code"], error["detail"])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Problem, OSError) as error:
        sys.exit(f"failed    {error}")
    except KeyboardInterrupt:
        pass
