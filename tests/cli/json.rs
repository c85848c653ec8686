//! What `--json` writes is what docs/command.md says: each field, and none besides.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use coordha::config::keys;
use coordha::session::Session;
use serde_json::Value;

use crate::command::PATIENCE;
use crate::stream::Stream;
use crate::support::etcd::Etcd;
use crate::support::ports::Port;
use crate::support::wait::until;
use crate::world::{Milvus, World, full_etcd};

/// The tables of the page, and what was seen of their fields.
struct Tables {
    tables: BTreeMap<String, Vec<Row>>,
    seen: RefCell<BTreeSet<String>>,
}

struct Row {
    field: String,
    /// `text`, `integer`, `bool`, or the name of a table.
    kind: String,
    is_list: bool,
    may_be_null: bool,
    may_be_absent: bool,
}

impl Tables {
    fn read() -> Self {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/command.md")).unwrap();
        let (_, json) = page.split_once("\n## JSON\n").unwrap();
        let tables = json.split("\n### ").skip(1).map(|section| {
            let (name, text) = section.split_once('\n').unwrap();
            (name.to_owned(), text.lines().filter_map(Row::read).collect())
        });
        Self { tables: tables.collect(), seen: RefCell::default() }
    }

    fn see(&self, what: String) {
        self.seen.borrow_mut().insert(what);
    }

    /// The rows of a table, those of another one that it takes over among them, each with the table that it stands in.
    fn rows<'a>(&'a self, table: &'a str) -> Vec<(&'a str, &'a Row)> {
        let rows = self.tables.get(table).unwrap_or_else(|| panic!("docs/command.md has no table {table}"));
        let whole = rows.iter().map(|row| if row.field == "…" { self.rows(&row.kind) } else { vec![(table, row)] });
        whole.flatten().collect()
    }

    fn check(&self, table: &str, value: &Value) {
        let object = value.as_object().unwrap_or_else(|| panic!("{table}: no object: {value:#}"));
        let rows = self.rows(table);
        for name in object.keys() {
            assert!(rows.iter().any(|(_, row)| row.field == *name), "table {table} does not tell `{name}`: {value:#}");
        }
        for (table, row) in rows {
            let field = format!("{table}.{}", row.field);
            match object.get(&row.field) {
                None => {
                    assert!(row.may_be_absent, "{field} is absent: {value:#}");
                    self.see(format!("{field} absent"));
                }
                Some(Value::Null) => {
                    assert!(row.may_be_null, "{field} is null: {value:#}");
                    self.see(format!("{field} null"));
                }
                Some(Value::Array(all)) if row.is_list => all.iter().for_each(|one| self.check_one(&field, row, one)),
                Some(one) => {
                    assert!(!row.is_list, "{field} is no list: {value:#}");
                    self.check_one(&field, row, one);
                }
            }
        }
    }

    fn check_one(&self, field: &str, row: &Row, value: &Value) {
        self.see(field.to_owned());
        match row.kind.as_str() {
            "text" => assert!(value.is_string(), "{field} is no text: {value}"),
            "integer" => assert!(value.is_i64() || value.is_u64(), "{field} is no integer: {value}"),
            "bool" => assert!(value.is_boolean(), "{field} is no bool: {value}"),
            table => self.check(table, value),
        }
    }

    fn check_list(&self, table: &str, value: &Value) {
        let all = value.as_array().unwrap_or_else(|| panic!("{table}: no list: {value:#}"));
        all.iter().for_each(|one| self.check(table, one));
    }

    /// All that the page says was there at least once.
    fn assert_all_seen(&self) {
        let mut wanted = BTreeSet::new();
        for (table, rows) in &self.tables {
            for row in rows.iter().filter(|row| row.field != "…") {
                let field = format!("{table}.{}", row.field);
                wanted.extend(row.may_be_null.then(|| format!("{field} null")));
                wanted.extend(row.may_be_absent.then(|| format!("{field} absent")));
                wanted.insert(field);
            }
        }
        let seen = self.seen.borrow();
        let never: Vec<&String> = wanted.difference(&seen).collect();
        assert!(never.is_empty(), "told by docs/command.md, and never written: {never:#?}");
    }
}

impl Row {
    /// Of a line such as "| `role` | text or null | | its name |"; `None`: it is no row.
    fn read(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split(" |").map(str::trim).collect();
        if cells[0] == "Field" {
            return None;
        }
        assert!(cells.len() == 5 && !cells[3].is_empty(), "{line}");
        let whole = cells[1].replace(['`', ','], "");
        let (kind, may_be_null) = whole.strip_suffix(" or null").map_or((whole.as_str(), false), |kind| (kind, true));
        let (kind, may_be_absent) = kind.strip_suffix(" or absent").map_or((kind, false), |kind| (kind, true));
        let (kind, is_list) = kind.strip_prefix("list of ").map_or((kind, false), |kind| (kind, true));
        let field = cells[0].trim_matches('`').to_owned();
        Some(Self { field, kind: kind.to_owned(), is_list, may_be_null, may_be_absent })
    }
}

/// Sessions of both kinds, keys that are none, and an endpoint at which nobody is.
fn look_at_etcd(tables: &Tables) {
    let etcd = Etcd::start();
    let nobody = Port::take();
    let mut world = World::etcd(&etcd);
    let milvus = Milvus(&etcd);
    let change = |world: &World| tables.check("change", &world.json("observe --once --role rootcoord").0);
    tables.check("ids", &world.json("ids").0);
    tables.check("status", &world.json("status --role rootcoord").0);
    change(&world);
    milvus.raw("id", "no number", None);
    tables.check("ids", &world.json("ids").0);
    milvus.raw("id", "16", None);
    let lease = milvus.lease();
    for (key, id) in [("rootcoord-15", 15), ("rootcoord", 15), ("rootcoord-14", 14)] {
        milvus.put(key, "rootcoord", id, "2.4.0", &lease);
    }
    milvus.raw("rootcoord-x", "{}", Some(&lease));
    let _standby = world.registered("rootcoord", "127.0.0.1:5001");
    let _active = world.active("worker", "127.0.0.1:5002");
    change(&world);
    tables.check("ids", &world.json("ids").0);
    tables.check_list("finding", &world.json("doctor").0);
    until("a renewal was seen", || {
        let (status, _) = world.json("status --wait");
        tables.check("status", &status);
        status["roles"].as_array().unwrap().iter().any(|role| role["hold_left_ms"].is_u64()).then_some(())
    });
    world.url = format!("{},{}", world.url, nobody.address());
    tables.check("status", &world.json("status").0);
}

/// A store without etcd, and a holder whose process is not named.
fn look_at_a_directory(tables: &Tables) {
    let world = World::local();
    let builder = Session::builder().set(keys::STORE_URL, &world.url).set(keys::ROLE, "worker");
    let builder = builder.set(keys::ADDRESS, "127.0.0.1:5001").set(keys::ELECTION_SAME_HOST_PROOF, false);
    let session = builder.set(keys::ACTIVATION_AUTO, true).start().unwrap();
    until("the session is active", || session.is_active().then_some(()));
    tables.check("status", &world.json("status").0);
    tables.check_list("setting", &world.json("config --role worker").0);
}

/// An etcd that is full, and complains.
fn look_at_a_full_one(tables: &Tables) {
    let etcd = full_etcd();
    let world = World::etcd(&etcd);
    tables.check("status", &world.json("status").0);
}

/// What changes, until the store is gone.
fn watch(tables: &Tables) {
    let mut etcd = Etcd::start();
    let world = World::etcd(&etcd);
    let mut watch = Stream::start(&mut world.command("watch --json --set election.reread_ms=200"));
    let mut follow = Stream::start(&mut world.command("observe --json --role worker"));
    let event = |line: String| parsed(tables, "event", &line);
    let change = |line: String| parsed(tables, "change", &line);
    change(follow.line(&[r#""token":null"#]));
    let first = world.active("worker", "127.0.0.1:5001");
    event(watch.line(&[r#""event":"active""#]));
    change(follow.line(&[r#""server_id":1"#]));
    let _second = world.registered("worker", "127.0.0.1:5002");
    event(watch.line(&[r#""event":"standby""#, "5002"]));
    Milvus(&etcd).raw("worker-x", "{}", None);
    event(watch.line(&[r#""event":"unknown""#]));
    first.stop(Some(PATIENCE)).unwrap();
    change(follow.line(&[r#""server_id":2"#]));
    etcd.kill(0);
    event(watch.line(&[r#""event":"store_lost""#]));
}

fn parsed(tables: &Tables, table: &str, line: &str) {
    tables.check(table, &serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
}

#[test]
fn each_field_is_told_by_the_page_with_its_type_and_none_besides() {
    let tables = Tables::read();
    look_at_etcd(&tables);
    look_at_a_directory(&tables);
    look_at_a_full_one(&tables);
    watch(&tables);
    tables.assert_all_seen();
}
