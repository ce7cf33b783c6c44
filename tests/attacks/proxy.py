"""Between two processes: what passes may be refused, changed, delayed or kept."""
import http.server
import json
import threading
import time
import urllib.error
import urllib.request


class Proxy:
    """`before(path, body)` may answer itself with (status, text); `after(path, text)` changes an answer's text."""

    def __init__(self, before=None, after=None):
        self.target, self.before, self.after = None, before, after
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.pass_on(None)

            def do_POST(self):
                self.pass_on(self.rfile.read(int(self.headers.get("content-length", 0))))

            def pass_on(self, body):
                made = proxy.before(self.path, body) if proxy.before else None
                kind = "application/json"
                status, text = made or (0, "")
                if made is None:
                    request = urllib.request.Request(proxy.target + self.path, data=body, method=self.command,
                                                     headers={"content-type": "application/json"})
                    try:
                        with urllib.request.urlopen(request, timeout=60) as reply:
                            status, kind, text = reply.status, reply.headers["content-type"], reply.read().decode()
                    except urllib.error.HTTPError as error:
                        status, text = error.code, error.read().decode()
                    except OSError as error:
                        status, text = 503, json.dumps({"error": {"message": str(error), "type": "x", "code": "unavailable"}})
                    if proxy.after and status == 200:
                        text = proxy.after(self.path, text)
                try:
                    self.send_response(status)
                    self.send_header("content-type", kind)
                    self.send_header("content-length", str(len(text.encode())))
                    self.end_headers()
                    self.wfile.write(text.encode())
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def no(message="no", code="unavailable", status=503):
    return status, json.dumps({"error": {"message": message, "type": "server_error", "code": code}})


def events(text, change):
    """The lines of an inference stream, each event through change(event) → event, or None to drop it."""
    out = []
    for line in text.splitlines():
        if line.strip():
            event = change(json.loads(line))
            if event is not None:
                out.append(json.dumps(event))
    return "\n".join(out) + "\n"


def pause(seconds):
    time.sleep(seconds)
