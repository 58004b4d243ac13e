"""A department's webhook, written from the documentation with nothing of ours.

It checks the signature with Python's own hmac, notes every request as a line of JSON, and answers as
the file `mode` in its directory says: ack, take, 500, 410 or hang. It writes its port to `port`.

    webhook_receiver.py DIRECTORY SECRET_FILE [CERTIFICATE KEY]
"""

import hashlib
import hmac
import http.server
import json
import pathlib
import ssl
import sys
import threading
import time

place = pathlib.Path(sys.argv[1])
secret = pathlib.Path(sys.argv[2]).read_bytes().strip()
noted = threading.Lock()


class Webhook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        parts = dict(
            part.split("=", 1) for part in self.headers["creditgate-signature"].split(",")
        )
        signed = parts["t"].encode() + b"." + body
        expected = hmac.new(secret, signed, hashlib.sha256).hexdigest()
        events = json.loads(body)
        mode = (place / "mode").read_text().strip()
        with noted, (place / "requests").open("a") as requests:
            line = {
                "signed": hmac.compare_digest(expected, parts["v1"]),
                "recent": abs(time.time() - int(parts["t"])) < 300,
                "media": self.headers["content-type"],
                "types": sorted({event["type"] for event in events}),
                "versions": sorted({event["specversion"] for event in events}),
                "ids": [event["id"] for event in events],
                "mode": mode,
            }
            requests.write(json.dumps(line) + "\n")
        if mode == "hang":
            time.sleep(3600)
        status = {"ack": 200, "take": 202}.get(mode) or int(mode)
        self.send_response(status)
        if mode == "ack":
            self.send_header("creditgate-acknowledged", events[-1]["sequence"])
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
server.daemon_threads = True
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
part = place / "port.part"
part.write_text(str(server.server_port))
part.rename(place / "port")
server.serve_forever()
