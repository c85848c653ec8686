//! The cases of the C programs in `tests/ffi/c`, each run as a process of its own on a store of its own.

use std::process::{Command, Output};

use crate::artifacts::{program, run};

/// Runs a case. Its store is in a folder that goes with it.
fn case(source: &str, name: &str, environment: &[(&str, &str)]) -> Output {
    let program = program(&format!("tests/ffi/c/{source}.c"), &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command.arg(name).arg(folder.path());
    command.env_remove("COORDHA_LOG");
    command.envs(environment.iter().copied());
    let output = run(&mut command);
    assert!(
        output.status.success(),
        "{name}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

macro_rules! cases {
    ($($source:ident: $($name:ident)*;)*) => {$(
        mod $source {
            $(
                #[test]
                fn $name() {
                    super::case(stringify!($source), stringify!($name), &[]);
                }
            )*
        }
    )*};
}

cases! {
    values:
        an_error_is_written_always
        an_error_may_be_left_out
        an_error_outlives_what_it_came_from
        a_failed_set_changes_nothing
        a_value_is_lent_until_the_next_change
        text_that_is_not_utf8_is_refused
        a_handle_of_another_type_is_refused
        freeing_null_is_a_no_op
        versions_and_names_are_told
        constants_may_stand_in_a_switch;
    callbacks:
        ready_is_said_by_the_callbacks_return
        a_pending_answer_is_completed_later
        a_failed_activation_ends_the_term_and_another_follows
        a_callback_cannot_wait_for_its_own_session
        a_callback_may_ask_its_own_session_to_stop
        a_session_may_be_freed_in_its_activation
        a_session_may_be_freed_in_its_deactivation
        a_session_may_be_freed_in_its_last_event
        destroy_runs_once_where_the_start_fails
        a_wrong_configuration_starts_nothing
        a_shorter_structure_lacks_its_end
        a_longer_structure_must_be_zero_beyond
        a_structure_that_was_not_initialised_is_refused
        without_a_deactivation_callback_left_is_said_at_once
        the_same_role_and_address_twice_is_refused
        callbacks_pull_no_events;
    events:
        a_term_is_pulled_and_answered
        a_failed_activation_tells_its_reason
        the_descriptor_is_good_for_level
        the_descriptor_has_an_edge_at_each_arrival
        reading_the_descriptor_loses_no_event
        each_event_goes_to_one_of_two_threads
        every_stage_may_be_waited_for
        an_exclusive_session_names_who_is_in_the_way
        a_standby_knows_the_holder
        resigning_gives_the_role_to_the_other_one;
}
