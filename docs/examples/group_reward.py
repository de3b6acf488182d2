"""A reward that compares pictures of one prompt: which of two is the smaller as a PNG file.

    python3 docs/examples/group_reward.py 8000
    rewards: [{name: "http://127.0.0.1:8000/score", groups: true}]

docs/rewards.md describes requests and answers. Port 0 takes a free one.
"""

import base64
import http.server
import json
import sys


def prefer(first, second):
    """How likely the first is preferred, 0 to 1: ask a judge of pairs here."""
    return 0.5 if len(first) == len(second) else float(len(first) < len(second))


def win_rate(png, siblings):
    won = sum(prefer(png, other) for other in siblings) - 0.5  # but itself
    return won / (len(siblings) - 1) if len(siblings) > 1 else 0.5


def scores(pngs, groups):
    if groups is None:  # an evaluation asks of each picture alone
        return [-len(png) / 1000 for png in pngs]
    of_group = {}
    for png, group in zip(pngs, groups):
        of_group.setdefault(group, []).append(png)
    return [win_rate(png, of_group[group]) for png, group in zip(pngs, groups)]


class Judge(http.server.BaseHTTPRequestHandler):
    def answer(self, status, message):
        body = json.dumps(message).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200 if self.path == "/health" else 404, {})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        pngs = [base64.b64decode(image) for image in request["images"]]
        self.answer(200, {"scores": scores(pngs, request.get("groups"))})

    def log_message(self, *arguments):
        pass  # it would print a line for each request


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Judge)
print(f"http://127.0.0.1:{server.server_port}/score", flush=True)
server.serve_forever()
