"""Gives most of schemathesis' calls the ids of things that are there, and keeps it from breaking what the rest of the run needs: its own
key is not revoked, the app in use keeps its keys (another app is changed), nothing waits for long. Ids that are left as they were made show
how unknown things are answered."""

import json
import os
import random

import schemathesis

IDS = json.load(open(os.environ["HONGYAN_SCHEMATHESIS_IDS"]))
CHANCE = random.Random(int(os.environ.get("HONGYAN_SCHEMATHESIS_SEED", "1")))
# Whose {id} is what.
POOLS = ["messages", "campaigns", "uploads", "schedules", "webhooks", "callbacks", "keys"]
CHANGES_AN_APP = {"put_app", "change_app"}
SESSION = {"mp_ask", "mp_report"}


@schemathesis.hook
def before_call(context, case, kwargs):
    name = case.operation.definition.raw.get("operationId")
    path = case.path_parameters or {}
    real = CHANCE.random() < 0.8
    if "app_id" in path:
        if name in CHANGES_AN_APP:
            # One that is made would be unknown at the simulated WeChat.
            path["app_id"] = IDS["other_app"] if real or name == "put_app" else path["app_id"]
            if path["app_id"] == IDS["app"]:
                path["app_id"] = IDS["other_app"]
            # With another address or secret every later call of the app would be answered 502, and rightly so.
            if isinstance(case.body, dict):
                case.body["api_base_url"] = IDS["wechat"]
                if "secret" in case.body:
                    case.body["secret"] = IDS["secret"]
        elif real:
            path["app_id"] = IDS["app"]
    if "id" in path and real:
        pool = next((one for one in POOLS if f"/{one}/" in case.operation.path), None)
        if pool:
            path["id"] = str(CHANCE.choice(IDS[pool]))
    if name == "watch_campaign":
        # A draft's progress would be watched for ever.
        path["id"] = IDS["finished"] if real else "00000000-0000-0000-0000-000000000000"
    if name == "revoke_key" and str(path["id"]) == "1":
        path["id"] = "0"
    if "openid" in path and real and name != "erase_subscriber":
        path["openid"] = IDS["openid"]
    if "template_id" in path and real and name != "delete_template":
        path["template_id"] = IDS["template"]
    if "name" in path and (real or path["name"] == "boss"):
        path["name"] = CHANCE.choice(IDS["operators"])
    if case.headers and "Prefer" in case.headers:
        case.headers["Prefer"] = "wait=0"
    if name in SESSION and case.headers is not None and real:
        case.headers["Authorization"] = f"Bearer {IDS['session']}"
