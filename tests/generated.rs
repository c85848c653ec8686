//! Generated documents are what the code says. `COORDHA_BLESS=1` rewrites them.

#[path = "support/bless.rs"]
mod bless;

use coordha::config::keys::{self, DefaultValue, Importance, KEYS, Key, Kind};
use coordha::config::milvus;
use coordha::metrics::{self, FAMILIES};

#[test]
fn configuration_md_is_made_from_the_keys() {
    bless::check("docs/CONFIGURATION.md", &configuration_md());
}

#[test]
fn the_chart_takes_the_keys_and_no_others() {
    const HEAD: &str =
        "by tests/generated.rs: change the rows there, then COORDHA_BLESS=1.\",\n          \"properties\": {\n";
    const TAIL: &str = "\n          },\n";
    let path = "deploy/helm/coordha/values.schema.json";
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let found = std::fs::read_to_string(file).expect(path);
    let (before, rest) = found.split_once(HEAD).expect("where the keys begin");
    let (_, after) = rest.split_once(TAIL).expect("where they end");
    let rows: Vec<String> = KEYS.iter().map(schema_row).collect();
    bless::check(path, &[before, HEAD, &rows.join(",\n"), TAIL, after].concat());
}

#[test]
fn metrics_md_is_made_from_the_list() {
    bless::check("docs/metrics.md", &metrics_md());
}

/// The pages that show whole programs.
const PAGES: &[&str] = &["README.md", "docs/c.md", "docs/cpp.md", "docs/go.md", "docs/rust.md"];

#[test]
fn the_pages_show_the_examples_as_they_are() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    for page in PAGES {
        let mut expected = String::new();
        let mut skipping = false;
        for line in read(page).lines() {
            skipping &= line != "<!-- end -->";
            if skipping {
                continue;
            }
            expected += &format!("{line}\n");
            let path = line.strip_prefix("<!-- from ").and_then(|l| l.strip_suffix(" -->"));
            if let Some(path) = path {
                let language = path.rsplit('.').next().unwrap_or_default().replace("rs", "rust");
                expected += &format!("```{language}\n{}```\n", read(path));
                skipping = true;
            }
        }
        assert!(expected.matches("\n<!-- from ").count() == 1 && !skipping, "{page}");
        bless::check(page, &expected);
    }
}

const HEAD: &str = "# Configuration

<!-- Generated from src/config/keys.rs by tests/generated.rs: change the rows there, then COORDHA_BLESS=1. -->

Every key has a text value. In C, `ha_config_set(config, HA_KEY_LEASE_TTL_MS, \"60000\", &error)`; in Rust,
`config.set(keys::LEASE_TTL_MS, \"60000\")`. The constant is the key in capitals, dots as `_`.

- A value may come from four places. The highest counts, whatever the order of the calls: what the program insists on
  (`ha_config_set`), the environment (`ha_config_load_env`), a file (`ha_config_load_yaml`), what the program proposes
  (`ha_config_set_default`); else the default.
- In the environment a key is `COORDHA_` and its constant: `COORDHA_LEASE_TTL_MS=60000`. A file is YAML with the keys below the
  map `coordha:`, as maps in maps or with dots: `coordha: {lease: {ttl_ms: 60000}, store.url: etcd://localhost}`.
- What is none of the keys is an error, also in a file and in the environment (but for `COORDHA_LOG`, and for what Kubernetes
  sets for a service whose name begins with `coordha`).
- A value is checked when it is set, all of them together by `ha_config_check` or when a session starts. An error names the
  key, the value and what is allowed; nothing is started then. Secrets are shown as `***`.
- Times are whole numbers of milliseconds; their keys end in `_ms`. Numbers are plain digits without leading zeros, a
  switch is `true` or `false`. No control characters, and no space at either end.
- `off`: an empty value, which is also how a value is taken back.
- Keys under `store.etcd` are checked, but have no effect with another store.
- An etcd connection is pinged (`store.etcd.keepalive_ms`) only while a request or a watch is on it, as etcd closes one that
  pings without. A standing session has its watch on the endpoint in use, so idle ones are those to endpoints that were left.
  That one of them is dead is found by the next request on it, by its limit or by a ping without an answer, whichever
  comes first: its outcome is unknown, and the requests after it go to another endpoint.

";

const MILVUS: &str = "
## Milvus's names

In Milvus's dialect (`HA_DIALECT_MILVUS`, `Dialect::Milvus`) the file is Milvus's `milvus.yaml`, of any release, in which the map
`coordha:` may stand too, and the environment is read as Milvus reads it: capitals and the signs `/`, `_` and `.` do not count, and
`MILVUS_CONF_` or `milvus.` may stand before (`ROOT_COORD_ENABLE_ACTIVE_STANDBY`, `ETCD_ENDPOINTS`). What means nothing here is left
alone. Without a path `milvus.yaml` is read, and `default.yaml` and `user.yaml` where they are there, in the folder that the variable
`MILVUSCONF` names, else in `configs`.

- The keys of a coordinator count for the session whose role has its name: `rootCoord.port` for `rootcoord`. A mixed coordinator
  whose switch is off or not there has the root coordinator's, as it has the root coordinator's `ip` and `port` where it has none of
  its own; an index coordinator without a switch has the data coordinator's.
- `activeStandby.enabled` stands in Milvus's documentation and is read by none of its releases, whose key is `enableActiveStandby`.
  Here both are read as that key. The first is warned of; where the two differ, nothing starts, also where one is in the
  environment and the other in a file. Which mode is in effect, and by which line or variable, is logged at the start.
- In one source a key of Milvus's and ours must say the same; so must two variables that are one key.
- A switch has the spellings below alone. Milvus takes another word for off in most releases, and stops in some; `yes` and `on`
  may be on in a file without quotes, and are off in the environment.
- A whole number may be in quotes, have a `+`, or be written as a float (`30.0`). With leading zeros it is refused: what it is
  depends on the reader.
- Nothing, `~` or `null` in a file is as if the key were not there, but that a switch is off by it; so is an empty number. In Milvus
  itself some of them are errors at its start.
- What YAML takes from elsewhere (`*alias`, `<<`) is not followed, and refused where one of these keys might come from it.
- What Milvus keeps in its configuration centre (`config/` in etcd) is not read. Its defaults are not ours: where nothing is said,
  the defaults above hold.

| Name | Sets | Allowed | How |
|---|---|---|---|
";

fn configuration_md() -> String {
    let mut text = String::from(HEAD);
    text.push_str("## Keys\n\n");
    text.push_str("| Key | Type | Allowed | Default | Importance | Meaning |\n|---|---|---|---|---|---|\n");
    for key in KEYS {
        text.push_str(&row(key));
    }
    text.push_str(MILVUS);
    for name in &milvus::NAMES {
        text.push_str(&format!(
            "| `{}` | `{}` | {} | {} |\n",
            name.name,
            name.sets,
            markdown(&name.allowed()),
            name.text
        ));
    }
    text.push_str("\n## Checked together\n\n");
    for rule in keys::rules::ALL {
        text.push_str(&format!("- {}.\n", markdown(rule)));
    }
    text
}

const METRICS: &str = "# Metrics

<!-- Generated from src/metrics/list.rs by tests/generated.rs: change the rows there, then COORDHA_BLESS=1. -->

One call gives all metrics of the process as Prometheus text: `ha_metrics_text()`, in Rust `coordha::metrics::text()`, in C++
`coordha::metrics_text()`, in Go `coordha.MetricsText()`, in Python `coordha.metrics_text()`. Serve it at `/metrics` with the content
type `text/plain; version=0.0.4; charset=utf-8`; `coordha run` does. A build without the feature `metrics` gives an empty text.

- Most series are of a role and its root; several sessions of a process with the same two are added up, and of their tokens and times
  the largest counts. No address, token or server ID is a label, so there are as many series as roles are served.
- Gauges are asked at the call, by the clock: `coordha_session_active` falls to 0 at the very deadline. A session or observer that has
  ended is in no gauge any more. Counters and histograms stay, and begin at zero with the first session of their role.
- In a child of `fork` all begins anew, from nothing.
- Asking `is_active` counts nothing and costs nothing more. What is counted costs an atomic or two beside a request to the store.

| Metric | Type | Labels | Meaning |
|---|---|---|---|
";

const OUTCOMES: &str = "
## Labels

| Label | Values |
|---|---|
| `state` | `starting`, `standby`, `activating`, `active`, `deactivating` |
| `reason` of a term's end | `stop`, `resign`; lost: `expired`, `superseded`, `key_deleted`, `lease_lost`, `regressed`, `internal`; never ready: `activation_failed`, `activation_timeout` |
| `reason` of not contending | `paused`, `callback_busy`, `backoff`, `milvus_holder` |
| `outcome` of a renewal | `ok`, `failed` (an answer that came too late, too) |
| `outcome` of a transaction | `committed`, `fenced`, `compare_failed`, `unknown_outcome`, `unavailable`, or another error's name |
| `store`, `operation` | `etcd`, `local`; `grant`, `keepalive`, `revoke`, `range`, `txn`, `watch` |
| `outcome` of a request | `ok`, `unavailable` (not sent, or not done), `unknown` (sent, and no answer), `lease_not_found`, `auth`, `permission`, `tls`, `no_space`, `too_large`, `corrupt`, `regressed`, `invalid` |

Under `coordha run` a term ends as `resign` both where its command ends and where the store is away for long: the command is stopped before the
deadline, so that `expired` is rare. With an outage `coordha_jeopardies_total` rises too; the log says which it was
([run.md](run.md#the-course-of-things)). A command that is not ready in time counts as `activation_failed`.

## Dashboard and alerts

`deploy/grafana/coordha.json` is a dashboard to import: who is active over time, takeovers, renewals against the hold time, jeopardy, the
store. `deploy/prometheus/alerts.yaml` are alerts: nobody or two active, flapping, jeopardy, nobody standing by, a session that does not
contend, errors of the store, activations that fail, slow renewals. Their tests stand beside them; `make metrics-test` runs them.

Two that are active at once are seen at a takeover, by scrapes a moment apart; the alert waits for a minute. The alert that nobody is active
fires as well where all processes of a role are gone, for an hour. Where a Milvus coordinator holds the role, no session is active and
that is right: the alert is silent while `coordha_session_holder_token` shows a newer token than any session's own and the store
answers. That nobody stands by is told only with active-standby on, and a Milvus standby counts by its member key.

## Several installations

A role and its root do not say whose they are: the root is `by-dev/meta` wherever nobody has set another. Alerts and dashboard tell
installations apart by the labels `cluster`, `namespace` and `job`, which the scrape adds. One that is not there counts as empty.

- Two installations that one Prometheus sees must differ in one of the three, or in the root. The Prometheus Operator sets `namespace`,
  and as `job` the name of the Service. Elsewhere give each installation a job of its own; or where another label, such as `env`,
  tells them apart, copy it to `cluster` by `relabel_configs`. Two in one namespace whose pods are all scraped by one job are mixed, and
  so are two that differ in `external_labels` alone: the rules of a Prometheus do not see these.
- All members of an election must have the same three: they are targets of one job, not one job each. Where they are in two namespaces
  or clusters, or behind two Services, relabeling must give them the same. Of members that are split, two that are active at once are
  not told of; and where one half is gone, the alert that nobody is active fires for an hour, though the other half is active.
- When one of the three is changed, that alert fires for the old value, for an hour: silence it.
";

fn metrics_md() -> String {
    let mut text = String::from(METRICS);
    for family in FAMILIES {
        let kind = match family.kind {
            metrics::Kind::Counter => "counter",
            metrics::Kind::Gauge => "gauge",
            metrics::Kind::Histogram => "histogram",
        };
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        text += &format!("| `{}` | {kind} | {} | {}. |\n", family.name, labels.join(", "), markdown(family.help));
    }
    text + OUTCOMES
}

/// What a JSON schema can say of a key's value, which may be text in any case (`--set-string`).
fn schema_row(key: &Key) -> String {
    let schema = match key.kind {
        Kind::Bool => "{\"enum\": [true, false, \"true\", \"false\"]}".to_owned(),
        Kind::Number { min, max } => {
            format!("{{\"type\": [\"integer\", \"string\"], \"minimum\": {min}, \"maximum\": {max}}}")
        }
        _ => "{\"type\": \"string\"}".to_owned(),
    };
    format!("            \"{}\": {schema}", key.name)
}

fn row(key: &Key) -> String {
    let default = match key.default {
        DefaultValue::Required => "**required**".to_owned(),
        _ => markdown(&key.default_text()),
    };
    let importance = match key.importance {
        Importance::High => "high",
        Importance::Medium => "medium",
        Importance::Low => "low",
    };
    format!(
        "| `{}` | {} | {} | {default} | {importance} | {} |\n",
        key.name,
        key.kind.type_name(),
        markdown(&key.allowed()),
        markdown(key.text),
    )
}

/// Plain text as Markdown: key names as code, signs that mean something escaped.
fn markdown(text: &str) -> String {
    let words: Vec<String> = text.split(' ').map(markdown_word).collect();
    words.join(" ")
}

fn markdown_word(word: &str) -> String {
    let bare = word.trim_end_matches(['.', ',', ';', ':', ')']);
    let is_key = keys::find(bare).is_some() && bare.contains(['.', '_']);
    let is_url = bare.contains("://") || bare.starts_with("local:");
    let is_pattern = bare.contains(['[', '<', '*', '{']);
    if is_key || is_url || is_pattern {
        return format!("`{bare}`{}", &word[bare.len()..]);
    }
    word.replace('|', "\\|").replace('_', "\\_")
}
