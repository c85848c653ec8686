//! The cases of the C programs in `tests/ffi/c`, each run as a process of its own on a store of its own.

use std::process::Command;

use crate::artifacts::{program, run};

/// Runs a case. Its store is in a folder that goes with it.
fn case(source: &str, name: &str) {
    let program = program(&format!("tests/ffi/c/{source}.c"), &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command.arg(name).arg(folder.path());
    let output = run(&mut command);
    assert!(
        output.status.success(),
        "{name}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat())
    );
}

/// Runs a case under valgrind: it must read and write no memory that is not its own, and lose none.
fn case_under_valgrind(source: &str, name: &str) {
    let program = program(&format!("tests/ffi/c/{source}.c"), &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--error-exitcode=9", "--leak-check=full"]);
    command.args(["--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]);
    command.arg(program).arg(name).arg(folder.path());
    command.env("CHECK_PATIENT", "1").env("COORDHA_LOG", "off");
    let output = run(&mut command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{said}", output.status);
}

#[test]
fn valgrind_finds_no_memory_error_and_no_leak() {
    for (source, name) in [
        ("values", "a_handle_of_another_type_is_refused"),
        ("values", "what_is_wrong_in_a_source_is_told_with_its_place"),
        ("values", "metrics_are_told_without_a_session"),
        ("callbacks", "a_shorter_structure_lacks_its_end"),
        ("callbacks", "a_session_may_be_freed_in_its_activation"),
        ("txn", "what_is_written_is_read_back"),
        ("txn", "one_that_cannot_be_submitted_stays_the_callers"),
        ("observer", "each_holder_is_told_in_turn"),
    ] {
        case_under_valgrind(source, name);
    }
}

macro_rules! cases {
    ($($source:ident: $($name:ident)*;)*) => {$(
        mod $source {
            $(
                #[test]
                fn $name() {
                    super::case(stringify!($source), stringify!($name));
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
        what_may_be_a_secret_is_not_shown
        a_handle_of_another_type_is_refused
        freeing_null_is_a_no_op
        versions_and_names_are_told
        constants_may_stand_in_a_switch
        of_four_sources_the_highest_counts
        milvus_names_count_too
        metrics_are_told_without_a_session
        what_is_wrong_in_a_source_is_told_with_its_place;
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
        resigning_gives_the_role_to_the_other_one
        of_two_standbys_the_one_with_the_higher_priority_is_next
        a_paused_session_does_not_become_active_until_it_is_resumed;
    process:
        a_child_has_no_part_in_its_parents_session
        a_child_of_a_parent_without_a_session_starts_its_own
        a_grandchild_has_no_part_either
        a_stop_may_be_requested_in_a_signal_handler
        the_librarys_threads_block_asynchronous_signals
        the_last_free_ends_the_threads
        ended_sessions_that_are_still_held_hold_up_no_free;
    txn:
        what_is_written_is_read_back
        bytes_may_be_anything
        a_failed_compare_writes_nothing_and_shows_what_is_there
        keys_are_deleted_one_by_one_and_by_prefix
        nothing_is_written_after_the_term
        activation_and_drain_may_write
        what_goes_with_the_lease_goes_with_the_session
        what_is_wrong_sticks_until_the_commit
        a_submitted_one_ends_as_an_event
        one_that_cannot_be_submitted_stays_the_callers
        each_submitted_one_is_told_before_the_end;
    observer:
        each_holder_is_told_in_turn
        a_slow_reader_gets_the_newest
        a_stop_in_a_signal_handler_wakes_who_waits
        the_descriptor_tells_of_each_holder
        a_child_has_no_part_in_its_parents_observer
        what_cannot_be_used_is_told
        what_is_missing_is_told;
    logs:
        a_receiver_is_told_what_happens
        the_level_is_kept_to
        a_receiver_is_replaced_at_once
        a_receiver_may_take_itself_away
        a_receiver_may_call_the_library
        a_level_that_is_none_is_refused
        without_a_receiver_warnings_go_to_stderr
        a_level_that_the_environment_makes_up_is_the_usual_one
        the_environment_may_ask_for_more
        the_environment_may_turn_stderr_off
        records_may_be_fetched
        the_level_of_fetched_records_may_be_set
        a_receiver_ends_the_fetching;
}
