"""Asks a vision-language model behind an OpenAI-compatible server for scores.

    vllm serve CodeGoat24/UnifiedReward-qwen-7b    # or sglang, llama.cpp, ...
    python3 docs/examples/vlm_judge.py 8000 http://127.0.0.1:8080 CodeGoat24/UnifiedReward-qwen-7b
    rewards: [{name: "http://127.0.0.1:8000/score", batch: 8, timeout_seconds: 600}]

A score is what stands behind "Final Score:" at the end of an answer, 1 to 5, divided by 5. An answer without
one or with more behind it, a refusal or one that was cut off is an error that stops the run: it is never a
score of 0. Where the model's server is busy or away, rsm is told to ask again. A key of its server is read
from VLM_KEY. Port 0 takes a free one.
"""

import concurrent.futures
import http.server
import json
import os
import re
import sys
import urllib.error
import urllib.request

AT_ONCE = 8  # questions of one request under way
SECONDS = 120  # for one answer
QUESTION = """You are judging a generated picture. The text it was made from is:

{prompt}

Look at how well the picture shows what the text says, and at its quality. Reason briefly, then end with one
line of the form "Final Score: X", where X is a number from 1 (worst) to 5 (best)."""
SCORE = re.compile(r"^[\s*_#]*Final Score:[\s*_]*([0-9]+(?:\.[0-9]+)?)[\s*_]*$", re.I | re.M)
LAST = re.compile(SCORE.pattern + r"\Z", SCORE.flags)  # nothing may follow, as a refusal would


class Busy(Exception):
    """Asking again may help."""


def score_in(answer, prompt):
    """The score of an answer of /v1/chat/completions, in [0.2, 1]."""
    try:
        choice = answer["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise ValueError(f"no answer for {prompt!r}: {json.dumps(answer)[:300]}") from None
    if choice["message"].get("refusal") or not isinstance(text, str):
        raise ValueError(f"refused to judge {prompt!r}: {choice['message']}")
    if choice.get("finish_reason") not in (None, "stop"):
        raise ValueError(f"{prompt!r}: the answer ended by {choice['finish_reason']!r}: ...{text[-200:]}")
    found = SCORE.findall(text)
    if len(found) != 1 or not LAST.search(text) or not 1 <= float(found[0]) <= 5:
        raise ValueError(f"{prompt!r}: one line \"Final Score: X\", the last, X from 1 to 5, is needed, "
                         f"not {text[-300:]!r}")
    return float(found[0]) / 5


def ask(base, model, prompt, image):
    body = {"model": model, "temperature": 0, "max_tokens": 1024, "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
        {"type": "text", "text": QUESTION.format(prompt=prompt)}]}]}
    headers = {"Content-Type": "application/json"}
    if "VLM_KEY" in os.environ:
        headers["Authorization"] = "Bearer " + os.environ["VLM_KEY"]
    request = urllib.request.Request(base.rstrip("/") + "/v1/chat/completions", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as reply:
            answer = json.load(reply)
    except urllib.error.HTTPError as error:
        if error.code in (408, 429) or error.code >= 500:
            raise Busy(f"status {error.code}") from None
        raise ValueError(f"status {error.code}: {error.read()[:300]!r}") from None
    except (OSError, json.JSONDecodeError) as error:
        raise Busy(str(error)) from None
    return score_in(answer, prompt)


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
        pairs = list(zip(request["prompts"], request["images"]))
        try:
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as workers:
                scores = list(workers.map(lambda pair: ask(BASE, MODEL, *pair), pairs))
            self.answer(200, {"scores": scores})
        except Busy as busy:
            self.answer(503, {"error": f"the model's server: {busy}"})
        except ValueError as wrong:
            self.answer(200, {"error": str(wrong)})

    def log_message(self, *arguments):
        pass  # it would print a line for each request


PORT, BASE, MODEL = int(sys.argv[1]), sys.argv[2], sys.argv[3]
server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Judge)
print(f"http://127.0.0.1:{server.server_port}/score", flush=True)
server.serve_forever()
