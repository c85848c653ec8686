//! NULL in every place where none may be, generated from the header, so that no function is forgotten.

use std::fs;
use std::process::Command;

use crate::artifacts::{build, said};
use crate::header::{Function, Parameter, functions};

/// An argument that is right.
fn right(parameter: &Parameter) -> &'static str {
    let declared = parameter.declared.replace("const ", "");
    match declared.rsplit_once(['*', ' ']).unwrap().0.trim_end() {
        "ha_config" => "config",
        "ha_session" => "session",
        "ha_event" => "event",
        "ha_txn" => "txn",
        "ha_observer" => "observer",
        "ha_error" => "error",
        "ha_error *" => "&err",
        "ha_session *" => "&session_out",
        "ha_event *" => "&event_out",
        "ha_txn *" => "&txn_out",
        "ha_observer *" => "&observer_out",
        "char" | "void" => "\"text\"",
        "size_t" | "uint64_t" => "3",
        "int32_t" | "int64_t" => "0",
        other => panic!("no argument for `{}` ({other})", parameter.declared),
    }
}

/// What the header says that the answer to NULL is.
fn answer(function: &Function) -> Option<&'static str> {
    let said = function.comment.split_whitespace().collect::<Vec<_>>();
    let said = said.join(" ");
    match function.returns.as_str() {
        "void" => None,
        "int32_t" if said.contains("@return HA_OK") || said.contains("@return as in the table") => Some("HA_ERR_NULL"),
        "int32_t" if said.contains("@return -1") => Some("-1"),
        "bool" if said.contains("@return true also for NULL") => Some("true"),
        "bool" => Some("false"),
        returns if returns.contains('*') => Some("NULL"),
        _ => Some("0"),
    }
}

/// One call with NULL for some parameters, and the check of its answer.
fn call(function: &Function, is_null: impl Fn(&Parameter) -> bool) -> String {
    let arguments: Vec<&str> = function
        .parameters
        .iter()
        .map(|parameter| {
            let left_out = function.may_be_null(parameter) && parameter.name != "err";
            if is_null(parameter) || left_out { "NULL" } else { right(parameter) }
        })
        .collect();
    let call = format!("{}({})", function.name, arguments.join(", "));
    let Some(answer) = answer(function) else {
        return builder_call(function, &call);
    };
    let mut text = format!("    CHECK({call} == {answer});\n");
    if arguments.contains(&"&err") {
        text += "    CHECK(ha_error_code(err) == HA_ERR_NULL);\n    ha_error_free(err);\n";
    }
    for out in ["session_out", "event_out", "txn_out", "observer_out"] {
        if arguments.contains(&format!("&{out}").as_str()) {
            text += &format!("    CHECK({out} == NULL);\n    {out} = (void *)&err;\n");
        }
    }
    text
}

/// A call that says nothing; what it builds on does, when it is committed.
fn builder_call(function: &Function, call: &str) -> String {
    let is_on_a_txn = function.name.starts_with("ha_txn_") && call.contains("(txn");
    let before = "    CHECK(ha_txn_new(session, 1, &txn, NULL) == HA_OK);\n";
    let after = "    CHECK(ha_txn_commit(txn, 0, NULL) == HA_ERR_NULL);\n    ha_txn_free(txn);\n";
    match is_on_a_txn {
        true => format!("{before}    {call};\n{after}{before}"),
        false => format!("    {call};\n"),
    }
}

#[test]
fn null_is_refused_wherever_the_header_does_not_allow_it() {
    let mut calls = String::new();
    let mut tried = 0;
    for function in functions() {
        let pointers: Vec<&Parameter> = function
            .parameters
            .iter()
            .filter(|parameter| parameter.is_pointer() && !function.may_be_null(parameter))
            .collect();
        for parameter in &pointers {
            calls += &call(&function, |other| other.name == parameter.name);
            tried += 1;
        }
        if !pointers.is_empty() {
            calls += &call(&function, Parameter::is_pointer);
        }
    }
    assert!(tried > 80, "only {tried}");

    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("null.c");
    fs::write(&source, PROGRAM.replace("CALLS", &calls)).unwrap();
    let program = build(&source, &[]);
    said(Command::new(program).arg(folder.path()));
}

const PROGRAM: &str = r#"#include "check.h"

int main(int argc, char **argv)
{
    ha_config *config;
    ha_session *session, *session_out;
    ha_event *event, *event_out;
    ha_txn *txn, *txn_out;
    ha_observer *observer, *observer_out;
    ha_error *error, *err = NULL;
    alarm(120);
    CHECK(argc == 2);
    check_folder = argv[1];
    session = start(a_config("a:1"), NULL);
    config = a_config("b:1");
    CHECK(ha_session_holder(session, &event, NULL) == HA_OK);
    CHECK(ha_txn_new(session, 1, &txn, NULL) == HA_OK);
    CHECK(ha_observer_start(config, &observer, NULL) == HA_OK);
    CHECK(ha_config_set(config, "no", "", &error) == HA_ERR_CONFIG_KEY);
    session_out = (void *)&err;
    event_out = (void *)&err;
    txn_out = (void *)&err;
    observer_out = (void *)&err;
CALLS
    ha_error_free(error);
    ha_event_free(event);
    ha_txn_free(txn);
    ha_observer_free(observer);
    ha_config_free(config);
    ha_session_free(session);
    return 0;
}
"#;
