//! What every engine's store must do, as functions over a [`bed::Bed`]; the list below runs each of them on SQLite and on
//! PostgreSQL. What only a file has stands in `files`, what only a shared database has in `sharing`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test tells by panicking"
)]

mod applying;
mod backing_up;
mod bed;
mod campaigns;
mod changing;
mod committing;
mod consoling;
mod dispatching;
mod enqueueing;
mod erasing;
mod files;
mod importing;
mod inbox;
mod ledger_property;
mod listing;
mod plans;
mod rare;
mod receipts;
mod rekeying;
mod relaying;
mod restoring;
mod retaining;
mod settling;
mod sharing;
mod unknown;
mod vitals;

/// Each case on each engine: the list is written once.
macro_rules! suite {
    ($($room:ident { $($case:ident),+ $(,)? })+) => {
        mod sqlite {
            $(mod $room {
                $(#[tokio::test]
                async fn $case() {
                    let bed = crate::bed::Bed::sqlite().await;
                    crate::$room::$case(&bed).await;
                    bed.check_ledgers().await;
                })+
            })+
        }
        mod postgres {
            $(mod $room {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let Some(bed) = crate::bed::Bed::postgres(stringify!($case)).await else { return };
                    crate::$room::$case(&bed).await;
                    bed.check_ledgers().await;
                    bed.store.close().await;
                })+
            })+
        }
    };
}

suite! {
    inbox {
        a_push_is_new_once, many_tasks_push_the_same_event, a_push_after_applying_changes_nothing,
        what_waits_is_listed_in_pages,
    a_late_push_is_a_duplicate,
    a_stale_push_does_not_take_the_identity, what_was_set_aside_waits_for_a_replay, the_inbox_is_read_in_pages,
        a_filtered_inbox_page_goes_on_after_ten_thousand, the_quarantine_is_bounded,
    }
    applying {
        one_event_speaks_of_several_templates, the_status_is_that_of_the_latest_createtime,
        a_change_reject_takes_earlier_grants, a_long_term_template_counts_nothing, a_report_is_provisional_and_the_later_word_stands,
        a_session_opens_for_its_app_and_this_installation, another_epoch_applies_nothing,
        a_row_is_applied_once, what_is_set_aside_has_no_effect, the_whole_ledger_is_read_in_pages,
    }
    consoling {
        the_first_operator_is_one, sessions_end, deeds_are_read_in_pages_and_forgotten, what_happens_is_counted,
    }
    ledger_property { any_batches_equal_one_act_at_a_time }
    enqueueing {
        a_message_is_stored_as_given, a_key_answers_its_message, racing_calls_with_one_key_make_one_message,
        a_key_is_free_after_a_day, a_message_may_need_a_grant, a_refused_message_gives_its_key_back,
    }
    dispatching {
        a_queue_is_claimed_by_due_time, what_waits_is_told_by_queue, a_message_is_armed_once,
        another_epoch_arms_nothing, what_no_longer_waits_is_not_armed, a_batch_arms_what_it_can,
    }
    settling {
        accepted_spends_a_grant, accepted_at_zero_finds_a_grant, refused_zeroes_the_balance, failed_takes_no_grant,
        unknown_keeps_its_reservation, a_retry_waits_again, what_is_given_back_has_not_been_tried,
        only_its_own_attempt_and_epoch_settle, a_cancel_while_sending_forbids_the_retry,
        a_batch_settles_one_person_several_times, a_long_term_send_spends_nothing, what_an_owner_lost_is_unknown,
    }
    unknown {
        a_policy_sends_again, a_policy_gives_up, evidence_and_people_come_before_a_policy,
        another_epoch_follows_nothing_up, each_attempt_has_its_own_grace, however_it_became_unknown_it_has_a_place,
        a_late_answer_resolves_its_unknown, a_late_answer_and_a_receipt_come_in_any_order,
        a_late_answer_speaks_of_no_other_attempt,
    }
    receipts {
        a_resent_message_stands_in_send_order_by_its_attempt, with_msgids_a_stranger_is_an_unknowns,
        a_msgid_beyond_i64_is_a_msgid, a_receipt_finds_its_msgid, without_msgids_receipts_come_in_send_order, several_receipts_of_one_batch,
        a_receipt_waits_for_the_answer_under_way, a_receipt_resolves_an_unknown,
        accepted_ones_come_before_an_unknown, delivered_stands_against_a_later_word,
        a_strangers_receipt_changes_nothing, a_receipt_takes_its_message_out_of_the_queue,
        a_resent_message_keeps_the_chain_whole,
    }
    changing {
        a_waiting_message_is_cancelled, what_may_have_been_sent_cannot_be_unsent, what_ended_badly_is_resent,
        a_sweep_expires_what_is_over, whoever_waits_is_woken,
    }
    listing { pages_lose_and_repeat_nothing, a_filtered_page_goes_on_after_ten_thousand }
    committing {
        each_caller_gets_its_own_answers, one_bad_row_fails_its_caller_alone, callers_that_give_up_harm_nobody,
    }
    erasing {
        a_person_goes_and_messages_stay_counted, what_is_under_way_is_waited_for, a_late_answer_brings_nobody_back,
        another_epoch_erases_nothing, an_event_asks_once_and_keeps_no_name, values_go_by_their_kind, nothing_of_a_person_stays_in_any_table, what_is_unknown_goes_too_and_a_late_answer_brings_nobody_back,
    }
    relaying {
        what_is_to_be_passed_on_waits_in_order, an_event_is_queued_once,
        what_is_passed_on_at_once_is_told_from_what_was,
    }
    vitals { a_database_tells_how_it_is, what_is_stuck_is_counted }
    retaining {
        contents_go_and_what_became_of_them_stays, messages_that_are_over_go_and_their_ledger_stays,
        callbacks_go_and_a_repeated_one_is_still_known, keys_go_after_their_day,
    }
    rekeying {
        all_that_is_sealed_is_sealed_with_the_new_key, what_broke_off_is_ended_and_nobody_serves_it_before,
        nothing_is_changed_while_nodes_run,
    }
    restoring { what_waited_then_is_unknown_now, campaigns_and_schedules_stand_still }
    importing { a_row_counts_once }
    rare {
        an_app_keeps_its_secrets, replaced_keys_stay_for_a_while, names_of_apps_are_unique, a_removed_app_leaves_its_number_unused,
        a_token_is_swapped_by_one, a_gate_closes_and_opens, a_key_is_found_by_its_digest, a_sync_tells_what_is_gone,
        each_taking_raises_every_epoch,
    }
}
