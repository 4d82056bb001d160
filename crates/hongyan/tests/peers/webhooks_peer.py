"""The official Standard Webhooks library as a peer: verifies what the service sent, and refuses the same with another body."""

import datetime
import json
import sys

import standardwebhooks.webhooks as library
from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def main():
    ask = json.load(sys.stdin)
    webhook = Webhook(ask["secret"])
    verified = forged = 0
    for headers, body in ask["events"]:
        # The service's clock is moved by hand: the library is told the time of the event.
        at = datetime.datetime.fromtimestamp(int(headers["webhook-timestamp"]), tz=datetime.timezone.utc)

        class Clock(datetime.datetime):
            @classmethod
            def now(cls, tz=None):
                return at

        library.datetime = Clock
        webhook.verify(body, headers)
        verified += 1
        try:
            webhook.verify(body.replace("{", "{ ", 1), headers)
            forged += 1
        except WebhookVerificationError:
            pass
    json.dump({"verified": verified, "forged": forged}, sys.stdout)


main()
