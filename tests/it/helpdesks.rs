//! Every helpdesk outside, by one suite: each effect is there once, whatever goes
//! wrong on the way, and nothing is public by accident.

mod chatwoot;
mod freshdesk;
mod front;
mod generic;
mod hearing;
mod help_scout;
mod intercom;
mod proxy;
mod request_tracker;
mod standin;
mod suite;
mod system;
mod zammad;
mod zendesk;

/// Each behaviour of the suite, on each helpdesk.
macro_rules! on_every_helpdesk {
    ($($name:ident,)+) => {
        mod on_request_tracker {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::suite::$name(&super::request_tracker::Tracker::found()).await;
            })+
        }

        mod on_chatwoot {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::suite::$name(&super::chatwoot::Desk::open().await).await;
            })+
        }

        mod on_a_receiver {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::suite::$name(&super::generic::Desk::open().await).await;
            })+
        }

        mod on_freshdesk {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::suite::$name(&super::freshdesk::Desk::open().await).await;
            })+
        }

        mod on_zammad {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::suite::$name(&super::zammad::Desk::open().await).await;
            })+
        }

        mod on_help_scout {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::suite::$name(&super::help_scout::Desk::open().await).await;
            })+
        }

        mod on_intercom {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::suite::$name(&super::intercom::Desk::open().await).await;
            })+
        }

        mod on_front {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::suite::$name(&super::front::Desk::open().await).await;
            })+
        }

        mod on_zendesk {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::suite::$name(&super::zendesk::Desk::open().await).await;
            })+
        }
    };
}

on_every_helpdesk! {
    a_summary_becomes_one_note_that_the_customer_does_not_see,
    a_classification_sets_what_it_names_and_it_is_read_back,
    a_note_and_fields_are_both_there_and_one_change_where_that_can_be,
    what_the_helpdesk_does_not_know_is_refused_for_good,
    a_draft_is_no_reply_and_an_approval_sends_one,
    a_draft_that_the_customer_overtook_is_not_sent,
    a_file_is_kept_with_the_ticket,
    what_people_changed_meanwhile_is_held_for_a_person,
    a_worker_that_dies_after_writing_leaves_one_note_fifty_times,
    a_note_whose_answer_is_lost_is_written_once,
    a_note_that_never_arrived_is_written,
    a_helpdesk_that_wants_quiet_gets_it_and_loses_nothing,
    a_reply_whose_answer_is_lost_is_found_and_not_sent_again,
    a_reply_that_may_have_been_sent_is_a_persons_to_send,
    a_ticket_that_is_not_there_is_told,
    a_check_writes_a_note_finds_it_and_says_what_is_wrong,
    two_results_for_one_ticket_are_written_one_after_the_other,
    a_webhook_is_believed_only_from_the_helpdesk_and_only_now,
    what_we_did_ourselves_is_told_apart,
    what_was_not_told_can_be_asked_for,
    a_draft_of_its_own_goes_when_it_is_decided_and_a_persons_stays,
}
