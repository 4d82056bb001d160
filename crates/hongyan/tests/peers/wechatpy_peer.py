"""wechatpy as a peer: pushes as WeChat does, reads encrypted replies, and calls a simulated WeChat.

Started by tests/it/peers.rs with one word (verify, push, send) and a JSON object on standard input; answers with one on
standard output. What is signed, encrypted, decrypted and sent is wechatpy's own doing.
"""

import json
import sys
from urllib.parse import urlencode

import requests
import xmltodict
from wechatpy import WeChatClient
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import WeChatClientException
from wechatpy.utils import WeChatSigner

WECHAT = "https://api.weixin.qq.com"


def signature(*parts):
    signer = WeChatSigner()
    signer.add_data(*parts)
    return signer.signature


def http():
    session = requests.Session()
    session.trust_env = False  # no proxy between loopback addresses
    return session


def verify(ask):
    query = {name: ask[name] for name in ("timestamp", "nonce", "echostr")}
    query["signature"] = signature(ask["token"], ask["timestamp"], ask["nonce"])
    answer = http().get(ask["url"], params=query, timeout=10)
    return {"status": answer.status_code, "text": answer.text}


def push(ask):
    xml = ask["format"] == "xml"
    event = ask["event"]
    plain = xmltodict.unparse({"xml": event}, full_document=False) if xml else json.dumps(event)
    query = {
        "signature": signature(ask["token"], ask["timestamp"], ask["nonce"]),
        "timestamp": ask["timestamp"],
        "nonce": ask["nonce"],
    }
    crypto = WeChatCrypto(ask["token"], ask["aes_key"], ask["app_id"])
    if ask["mode"] == "plain":
        body = plain
    else:
        sealed = xmltodict.parse(crypto.encrypt_message(plain, ask["nonce"], ask["timestamp"]))["xml"]
        query.update(openid=event["FromUserName"], encrypt_type="aes", msg_signature=sealed["MsgSignature"])
        outer = dict(event) if ask["mode"] == "compat" else {"ToUserName": event["ToUserName"]}
        outer["Encrypt"] = sealed["Encrypt"]
        body = xmltodict.unparse({"xml": outer}, full_document=False) if xml else json.dumps(outer)
    kind = "text/xml" if xml else "application/json"
    answer = http().post(
        f"{ask['url']}?{urlencode(query)}",
        data=body.encode(),
        headers={"content-type": kind},
        timeout=10,
    )
    return {
        "status": answer.status_code,
        "text": answer.text,
        "content_type": answer.headers.get("content-type"),
        "opened": opened(crypto, answer.text),
    }


def opened(crypto, text):
    """What stands in an encrypted reply, as a flat object; none if it is not encrypted."""
    if not text.lstrip().startswith(("<", "{")):
        return None
    xml = text.lstrip().startswith("<")
    reply = xmltodict.parse(text)["xml"] if xml else json.loads(text)
    if "Encrypt" not in reply:
        return None
    plain = crypto.decrypt_message(reply, reply["MsgSignature"], str(reply["TimeStamp"]), reply["Nonce"])
    return xmltodict.parse(plain)["xml"] if xml else json.loads(plain)


class ToSimulator(requests.adapters.HTTPAdapter):
    """Takes what wechatpy sends to WeChat to the simulator; nothing else can leave."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        self.calls = []

    def send(self, request, **more):
        if not request.url.startswith(WECHAT + "/"):
            raise ValueError(request.url)
        self.calls.append(request.method + " " + request.path_url.split("?")[0])
        request.url = self.base + request.url[len(WECHAT) :]
        return super().send(request, **more)


def send(ask):
    client = WeChatClient(ask["app_id"], ask["secret"], timeout=10)
    adapter = ToSimulator(ask["base"])
    client._http = http()
    client._http.mount("https://", adapter)
    data = {key: {"value": value} for key, value in ask["data"].items()}
    try:
        answer = client.wxa.send_subscribe_message(ask["to"], ask["template_id"], data, ask["page"])
    except WeChatClientException as error:
        answer = {"errcode": error.errcode, "errmsg": error.errmsg}
    return {"answer": answer, "calls": adapter.calls}


if __name__ == "__main__":
    does = {"verify": verify, "push": push, "send": send}[sys.argv[1]]
    json.dump(does(json.load(sys.stdin)), sys.stdout)
