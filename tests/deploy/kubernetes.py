"""As much of Kubernetes's API as the label script uses, by TLS: listing pods by a selector, and merge patches."""

import http.server
import json
import ssl
import subprocess
import threading
import urllib.parse

TOKEN = "a-token"


def merge(target, patch):
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


class Kubernetes:
    """Pods by their names. `answers` are given to patches or lists instead of doing them, each once."""

    def __init__(self, folder):
        self.pods = {}
        self.requests = []
        self.answers = {"GET": [], "PATCH": []}
        self.before_list = self.before_patch = None
        self.lock = threading.Lock()
        self.account = folder
        certificate = ["-subj", "/CN=fake", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        for name in ("ca", "other"):
            subprocess.run(
                [
                    "openssl",
                    "req",
                    "-x509",
                    *key,
                    "-nodes",
                    "-keyout",
                    f"{name}.key",
                    "-out",
                    f"{name}.crt",
                    *certificate,
                ],
                cwd=folder,
                check=True,
                capture_output=True,
            )
        (folder / "token").write_text(TOKEN)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        # A script that was ended in the middle of its request; what else fails, its caller sees.
        self.server.handle_error = lambda request, address: None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "ca.crt", folder / "ca.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self):
        return self.server.server_address[1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, name, ip, phase="Running", role="rootcoord", **labels):
        self.pods[name] = {
            "metadata": {"name": name, "resourceVersion": "1", "labels": {"coordha.dev/role": role, **labels}},
            "status": {"phase": phase, "podIP": ip, "podIPs": [{"ip": ip}]},
        }

    def list(self, selector):
        if self.before_list:
            self.before_list(self.pods)
        wanted = dict(part.split("=", 1) for part in selector.split(","))
        pods = [pod for pod in self.pods.values() if wanted.items() <= pod["metadata"]["labels"].items()]
        return 200, {"kind": "PodList", "items": pods}

    def patch(self, name, patch):
        if self.before_patch:
            self.before_patch(self.pods)
        pod = self.pods.get(name)
        if pod is None:
            return 404, {"kind": "Status", "reason": "NotFound"}
        if patch["metadata"].get("resourceVersion") != pod["metadata"]["resourceVersion"]:
            return 409, {"kind": "Status", "reason": "Conflict"}
        merge(pod, patch)
        pod["metadata"]["resourceVersion"] = str(int(pod["metadata"]["resourceVersion"]) + 1)
        return 200, pod

    def answer(self, request, body):
        url = urllib.parse.urlsplit(request.path)
        folder, _, name = url.path.partition("/pods")
        with self.lock:
            self.requests.append((request.command, name.strip("/")))
            if request.headers["Authorization"] != f"Bearer {TOKEN}":
                return 401, {}
            if folder != "/api/v1/namespaces/prod":
                return 404, {}
            if self.answers[request.command]:
                return self.answers[request.command].pop(0), {}
            if request.command == "GET":
                return self.list(urllib.parse.parse_qs(url.query)["labelSelector"][0])
            if request.headers["Content-Type"] != "application/merge-patch+json":
                return 415, {}
            return self.patch(name.strip("/"), json.loads(body))

    def handler(self):
        kubernetes = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def reply(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = kubernetes.answer(self, body)
                text = json.dumps(answer, indent=2).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PATCH = reply

            def log_message(self, *_):
                pass

        return Handler
