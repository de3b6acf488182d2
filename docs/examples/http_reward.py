"""A reward of one's own as a server: how small a picture is as a PNG file.

    python3 docs/examples/http_reward.py 8000
    reward: http://127.0.0.1:8000/score

docs/rewards.md describes requests and answers. Port 0 takes a free one.
"""

import base64
import http.server
import json
import sys


class Judge(http.server.BaseHTTPRequestHandler):
    def answer(self, status, message):
        body = json.dumps(message).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200 if self.path == "/health" else 404, {})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        scores = []
        for prompt, image in zip(request["prompts"], request["images"]):
            png = base64.b64decode(image)  # pixels: PIL.Image.open(BytesIO(png))
            scores.append(-len(png) / 1000)
        self.answer(200, {"scores": scores})

    def log_message(self, *arguments):
        pass  # it would print a line for each request


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Judge)
print(f"http://127.0.0.1:{server.server_port}/score", flush=True)
server.serve_forever()
