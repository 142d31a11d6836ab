#!/usr/bin/env python3
"""The receiving side of Trading Bridge's webhooks: Python 3.8 or newer, nothing to install.

Copy ``verify_webhook`` into your own service, or run this file to see what arrives:

    BRIDGE_SIGNING_KEY=<the channel's signing key> python3 verify_webhook.py 9000

and give the channel the address http://<this machine>:9000/.
"""

import hashlib
import hmac
import json
import os
import sys
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPLAY_WINDOW_S = 300


class Refused(Exception):
    """The request is not (or no longer) one of the bridge's: answer 400 and do nothing."""


def verify_webhook(headers, body, signing_key, now=None, replay_window_s=REPLAY_WINDOW_S):
    """The delivery's id, when the bridge signed these headers and this body within the last five minutes.

    ``headers`` is anything with ``get`` that finds ``Bridge-Signature``, ``Bridge-Timestamp`` and ``Bridge-Delivery``;
    ``body`` is the body's bytes as they arrived, before any JSON library has touched them; ``now`` is unix seconds.
    Raises Refused. Keep the ids you have handled for ten minutes or longer: a message whose id you know is a repetition
    (answer 200 and drop it), be it sent twice by the bridge or played back by somebody else.
    """
    timestamp = headers.get("Bridge-Timestamp") or ""
    delivery = headers.get("Bridge-Delivery") or ""
    signature = headers.get("Bridge-Signature") or ""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12 and delivery and signature):
        raise Refused("headers of the signature are missing")
    if abs((time.time() if now is None else now) - int(timestamp)) > replay_window_s:
        raise Refused("too old, or from the future: compare the clocks")
    signed = timestamp.encode() + b"." + delivery.encode() + b"." + body
    expected = b"v1=" + hmac.new(signing_key.encode(), signed, hashlib.sha256).hexdigest().encode()
    given = [part.strip().encode() for part in signature.split(",")]
    if not any(hmac.compare_digest(expected, one) for one in given):
        raise Refused("wrong signature")
    return delivery


class Seen:
    """The ids that were handled, the newest ``most`` of them. A service with several processes keeps them in its database."""

    def __init__(self, most=10000):
        self._ids, self._most = OrderedDict(), most

    def is_new(self, delivery):
        if delivery in self._ids:
            return False
        self._ids[delivery] = True
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)
        return True


def main():
    key, seen = os.environ["BRIDGE_SIGNING_KEY"], Seen()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 1000000))
            try:
                delivery = verify_webhook(self.headers, body, key)
            except Refused as refusal:
                self.send_error(400, str(refusal))
                return
            if seen.is_new(delivery):
                sys.stdout.write(json.dumps(json.loads(body), indent=2) + "\n")
                sys.stdout.flush()
            self.send_response(204)
            self.end_headers()

    ThreadingHTTPServer(("", int(sys.argv[1]) if len(sys.argv) > 1 else 9000), Receiver).serve_forever()


if __name__ == "__main__":
    main()
