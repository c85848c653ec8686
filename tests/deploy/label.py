"""The script that moves the label to the active pod, against an API of Kubernetes that is none, and a store that is none."""

import json
import os
import pathlib
import subprocess
import tempfile

import planted
from kubernetes import TOKEN, Kubernetes

SCRIPT = pathlib.Path(__file__).parents[2] / "deploy/helm/coordha/scripts/label.sh"
ACTIVE, TERM, COST = "coordha.dev/active", "coordha.dev/token", "controller.kubernetes.io/pod-deletion-cost"


# In the place of `coordha observe --once --json`: says what the_store_names, and that it was asked.
STORE = """#!/bin/sh
echo "$*" >>"${0%/*}/asked"
cat "${0%/*}/now" || exit 3
! grep -q null "${0%/*}/now" || exit 4
"""


def the_store_names(kubernetes, address, token):
    """As the role's holder, from now on; before, the store is away."""
    (kubernetes.account / "bin/now").write_text(json.dumps({"address": address, "token": token}))


def asked(kubernetes):
    """How the store was asked since the last time."""
    file = kubernetes.account / "bin/asked"
    calls = file.read_text().splitlines() if file.exists() else []
    file.write_text("")
    return calls


def start(kubernetes, address, token, **variables):
    """Runs the script; of a wrong one, a copy."""
    env = {
        "PATH": f"{kubernetes.account / 'bin'}:{os.environ['PATH']}",
        "HA_ROLE": "rootcoord",
        "HA_ADDRESS": address,
        "HA_TOKEN": token,
        "POD_NAMESPACE": "prod",
        "POD_SELECTOR": "coordha.dev/role=rootcoord",
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(kubernetes.port),
        "SERVICE_ACCOUNT": str(kubernetes.account),
        "LABEL_PAUSE": "0",
        "LABEL_TRIES": "20",
        **variables,
    }
    # With all that it has started, it is ended where it hangs: it holds stdout open.
    return subprocess.Popen(["timeout", "60", kubernetes.script], env=env, stderr=subprocess.PIPE, text=True)


def run(kubernetes, address, token, **variables):
    script = start(kubernetes, address, token, **variables)
    _, said = script.communicate(timeout=90)
    assert TOKEN not in said, f"it tells its token: {said}"
    return script.returncode, said


def active(kubernetes):
    """Who has the label, each with the term and the cost."""
    found = {}
    for name, pod in kubernetes.pods.items():
        if pod["metadata"]["labels"].get(ACTIVE) is not None:
            notes = pod["metadata"]["annotations"]
            found[name] = (pod["metadata"]["labels"][ACTIVE], notes.get(TERM), notes.get(COST))
    return found


def pair(kubernetes):
    """Two pods, the first of them active in the term 10."""
    kubernetes.add("a", "10.0.0.1")
    kubernetes.add("b", "10.0.0.2")
    assert run(kubernetes, "10.0.0.1:53100", "10")[0] == 0
    assert active(kubernetes) == {"a": ("true", "10", "100")}
    kubernetes.requests.clear()


def the_label_moves_with_the_role(kubernetes):
    pair(kubernetes)
    assert run(kubernetes, "10.0.0.2:53100", "20")[0] == 0
    assert active(kubernetes) == {"b": ("true", "20", "100")}
    assert kubernetes.pods["a"]["metadata"]["annotations"] == {TERM: "20"}, "it is still dear"
    # Who comes now leads first, and takes the label from who led then.
    assert kubernetes.requests == [("GET", ""), ("PATCH", "b"), ("PATCH", "a")]


def the_same_news_again_changes_nothing(kubernetes):
    pair(kubernetes)
    assert run(kubernetes, "10.0.0.1:53100", "10")[0] == 0
    assert kubernetes.requests == [("GET", "")]


def a_later_term_of_the_same_pod_is_noted(kubernetes):
    pair(kubernetes)
    assert run(kubernetes, "10.0.0.1:53100", "11")[0] == 0
    assert active(kubernetes) == {"a": ("true", "11", "100")}


def late_news_changes_nothing(kubernetes):
    pair(kubernetes)
    assert run(kubernetes, "10.0.0.2:53100", "20")[0] == 0
    assert asked(kubernetes) == [], "news of a greater token needs no other word"
    for address, token in (("10.0.0.2:53100", 20), ("10.0.0.1:53100", 21), (None, None)):
        the_store_names(kubernetes, address, token)
        status, said = run(kubernetes, "10.0.0.1:53100", "10")
        assert status == 0 and "late news" in said, said
        assert asked(kubernetes) == ["observe --once --json --role=rootcoord"]
        assert active(kubernetes) == {"b": ("true", "20", "100")}


def after_a_restore_the_store_counts_and_not_the_greater_token(kubernetes):
    kubernetes.add("a", "10.0.0.1")
    kubernetes.add("b", "10.0.0.2")
    kubernetes.add("c", "10.0.0.3")
    for address in ("10.0.0.1:53100", "10.0.0.2:53100", "10.0.0.3:53100"):
        assert run(kubernetes, address, "500")[0] == 0
    kubernetes.requests.clear()
    the_store_names(kubernetes, "10.0.0.1:53100", 7)
    status, said = run(kubernetes, "10.0.0.1:53100", "7")
    assert status == 0 and "greater token than 7, but the store names 10.0.0.1:53100" in said, said
    assert active(kubernetes) == {"a": ("true", "7", "100")}
    # The others' greater tokens are gone, so what comes next is news as ever.
    asked(kubernetes)
    assert run(kubernetes, "10.0.0.2:53100", "8")[0] == 0
    assert active(kubernetes) == {"b": ("true", "8", "100")} and asked(kubernetes) == []


def pods_of_another_store_have_the_label_until_they_are_gone(kubernetes):
    """A rolling update to another etcd: two elections, until the last old pod has left."""
    kubernetes.add("old1", "10.0.0.1")
    kubernetes.add("old2", "10.0.0.2")
    assert run(kubernetes, "10.0.0.1:53100", "500")[0] == 0
    kubernetes.add("new1", "10.0.0.3")
    the_store_names(kubernetes, "10.0.0.3:53100", 7)
    assert run(kubernetes, "10.0.0.3:53100", "7")[0] == 0
    assert active(kubernetes) == {"new1": ("true", "7", "100")}
    kubernetes.pods.pop("old1")
    assert run(kubernetes, "10.0.0.2:53100", "501")[0] == 0
    assert active(kubernetes) == {"old2": ("true", "501", "100")}
    kubernetes.pods.pop("old2")
    # A minute later.
    assert run(kubernetes, "10.0.0.3:53100", "7")[0] == 0
    assert active(kubernetes) == {"new1": ("true", "7", "100")}


def a_store_that_is_away_is_asked_again(kubernetes):
    pair(kubernetes)
    status, said = run(kubernetes, "10.0.0.2:53100", "9", LABEL_TRIES="3")
    assert status == 1 and said.count("cannot ask the store who is active: exit code 3") == 3, said
    assert len(asked(kubernetes)) == 3 and active(kubernetes) == {"a": ("true", "10", "100")}


def nobody_active_asks_nothing(kubernetes):
    pair(kubernetes)
    assert run(kubernetes, "", "")[0] == 0
    assert kubernetes.requests == []


def a_pod_that_changed_meanwhile_is_read_again(kubernetes):
    pair(kubernetes)

    def change(pods):
        pods["b"]["metadata"]["resourceVersion"] = "7"
        kubernetes.before_patch = None

    kubernetes.before_patch = change
    assert run(kubernetes, "10.0.0.2:53100", "20")[0] == 0
    assert active(kubernetes) == {"b": ("true", "20", "100")}
    assert kubernetes.requests.count(("GET", "")) == 2


def a_pod_that_is_gone_is_no_hindrance(kubernetes):
    pair(kubernetes)
    kubernetes.before_patch = lambda pods: pods.pop("a", None)
    assert run(kubernetes, "10.0.0.2:53100", "20")[0] == 0
    assert active(kubernetes) == {"b": ("true", "20", "100")}
    assert kubernetes.requests.count(("GET", "")) == 1


def a_server_in_trouble_is_asked_again(kubernetes):
    pair(kubernetes)
    kubernetes.answers = {"GET": [500, 429], "PATCH": [503]}
    status, said = run(kubernetes, "10.0.0.2:53100", "20")
    assert status == 0 and "cannot list the pods: status 500" in said and "cannot patch b: status 503" in said, said
    assert active(kubernetes) == {"b": ("true", "20", "100")}


def a_missing_right_is_said_in_the_end(kubernetes):
    pair(kubernetes)
    kubernetes.answers["GET"] = [403] * 3
    status, said = run(kubernetes, "10.0.0.2:53100", "20", LABEL_TRIES="3")
    assert status == 1 and said.count("cannot list the pods: status 403") == 3 and "gives up" in said, said


def a_server_of_another_authority_is_not_trusted(kubernetes):
    kubernetes.add("a", "10.0.0.1")
    good = kubernetes.account / "ca.crt"
    (kubernetes.account / "other.crt").replace(good)
    status, said = run(kubernetes, "10.0.0.1:53100", "10", LABEL_TRIES="1")
    assert status == 1 and "certificate" in said, said
    assert kubernetes.requests == []


def an_address_that_begins_alike_is_another(kubernetes):
    kubernetes.add("a", "10.0.0.1")
    kubernetes.add("b", "10.0.0.10")
    assert run(kubernetes, "10.0.0.10:53100", "10")[0] == 0
    assert list(active(kubernetes)) == ["b"]


def an_address_of_the_new_family_is_found(kubernetes):
    kubernetes.add("a", "fd00::1")
    kubernetes.add("b", "fd00::1:2")
    assert run(kubernetes, "[fd00::1]:53100", "10")[0] == 0
    assert list(active(kubernetes)) == ["a"]


def a_pod_that_has_ended_leaves_its_address_to_others(kubernetes):
    kubernetes.add("old", "10.0.0.1", phase="Failed", **{ACTIVE: "true"})
    kubernetes.add("new", "10.0.0.1")
    kubernetes.add("pending", None, phase="Pending")
    assert run(kubernetes, "10.0.0.1:53100", "10")[0] == 0
    assert kubernetes.requests == [("GET", ""), ("PATCH", "new"), ("PATCH", "old")]
    assert active(kubernetes) == {"new": ("true", "10", "100")}


def pods_of_other_roles_are_left_alone(kubernetes):
    kubernetes.add("a", "10.0.0.1")
    kubernetes.add("other", "10.0.0.9", role="datacoord", **{ACTIVE: "true"})
    assert run(kubernetes, "10.0.0.1:53100", "10")[0] == 0
    assert kubernetes.pods["other"]["metadata"]["resourceVersion"] == "1"


def a_holder_that_is_no_pod_leaves_none_with_the_label(kubernetes):
    pair(kubernetes)
    the_store_names(kubernetes, "192.0.2.1:53100", 20)
    status, said = run(kubernetes, "192.0.2.1:53100", "20", LABEL_ABSENCES="3")
    assert status == 0 and said.count("no pod is at 192.0.2.1:53100: the Service has no endpoint") == 1, said
    assert active(kubernetes) == {} and kubernetes.requests.count(("GET", "")) == 3


def late_news_of_a_pod_that_is_gone_takes_the_label_from_nobody(kubernetes):
    pair(kubernetes)
    the_store_names(kubernetes, "10.0.0.1:53100", 10)
    assert run(kubernetes, "10.0.0.9:53100", "10")[0] == 0
    assert active(kubernetes) == {"a": ("true", "10", "100")}


def an_address_that_comes_late_to_the_api_is_waited_for(kubernetes):
    kubernetes.add("a", None, phase="Pending")

    def give(pods):
        if kubernetes.requests.count(("GET", "")) == 3:
            pods["a"]["status"] = {"phase": "Running", "podIP": "10.0.0.1"}

    kubernetes.before_list = give
    the_store_names(kubernetes, "10.0.0.1:53100", 10)
    assert run(kubernetes, "10.0.0.1:53100", "10")[0] == 0
    assert active(kubernetes) == {"a": ("true", "10", "100")}


def all_pods_may_run_it_at_once(kubernetes):
    pair(kubernetes)
    kubernetes.add("c", "10.0.0.3")
    the_store_names(kubernetes, "10.0.0.3:53100", 30)
    scripts = [start(kubernetes, "10.0.0.3:53100", "30") for _ in range(3)]
    scripts.append(start(kubernetes, "10.0.0.1:53100", "10"))
    for script in scripts:
        script.communicate(timeout=90)
        assert script.returncode == 0
    assert active(kubernetes) == {"c": ("true", "30", "100")}


# Scripts that are wrong: what, what stands there instead, and the test that must see it.
WRONG = [
    ('if [ "$head" != "false true" ]', "if false", late_news_changes_nothing),
    (
        'if [ "$head" != "false true" ]',
        'if [ "${head#true}" = "$head" ]',
        late_news_of_a_pod_that_is_gone_takes_the_label_from_nobody,
    ),
    ('[ "$is_active" != true ]', "true", after_a_restore_the_store_counts_and_not_the_greater_token),
    ("== $address and .token == $token", "== $address", late_news_changes_nothing),
    ("!= null or token > $token)", "!= null)", after_a_restore_the_store_counts_and_not_the_greater_token),
    ("ask_store || return 1", "ask_store || exit 0", a_store_that_is_away_is_asked_again),
    ("        *false)", "        never)", an_address_that_comes_late_to_the_api_is_waited_for),
    ("resourceVersion: .metadata.resourceVersion,", "", a_pod_that_changed_meanwhile_is_read_again),
    ("404) ;;", "404) again=1 ;;", a_pod_that_is_gone_is_no_hindrance),
    ('startswith($ip + ":")', "startswith($ip)", an_address_that_begins_alike_is_another),
    (
        "lives_there: (ended | not) and is_at($address)",
        "lives_there: is_at($address)",
        a_pod_that_has_ended_leaves_its_address_to_others,
    ),
    ('--cacert "$account/ca.crt"', "--insecure", a_server_of_another_authority_is_not_trusted),
    (
        '--data-urlencode "labelSelector=$POD_SELECTOR"',
        "--data-urlencode labelSelector=a=b",
        the_label_moves_with_the_role,
    ),
    ('say "gives up', 'say "$(cat "$account/token") gives up', a_missing_right_is_said_in_the_end),
]


def play(test, change=lambda text: text):
    with tempfile.TemporaryDirectory() as folder:
        kubernetes = Kubernetes(pathlib.Path(folder))
        kubernetes.script = pathlib.Path(folder) / "label.sh"
        kubernetes.script.write_text(change(SCRIPT.read_text()))
        store = pathlib.Path(folder) / "bin/coordha"
        store.parent.mkdir()
        store.write_text(STORE)
        for program in (kubernetes.script, store):
            program.chmod(0o755)
        try:
            test(kubernetes)
        except AssertionError as error:
            raise AssertionError(f"{test.__name__}: {error}") from error
        finally:
            kubernetes.close()


def main():
    no_tests = ("the_store_names", "asked", "start", "run", "active", "pair", "play", "main")
    tests = [
        value
        for name, value in globals().items()
        if callable(value) and value.__module__ == __name__ and name not in no_tests
    ]
    planted.run("label", SCRIPT, tests, WRONG, play)


if __name__ == "__main__":
    main()
