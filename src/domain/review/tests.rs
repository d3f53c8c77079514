//! What people may do, and what not.

use super::*;
use crate::domain::effect::Priority;

const LEASE: i64 = 300_000;

fn review() -> Review {
    Review {
        id: "rev_1".into(),
        version: 1,
        state: State::Open,
        reviewers: vec!["agent".into()],
        approvals_needed: 1,
        first_approved_by: None,
        claimed_by: None,
        claimed_until_ms: None,
        undo_until_ms: None,
        undo_ms: 5_000,
        decided_by: None,
        decision_reason: None,
        amended: Amended::default(),
        is_placed: true,
        proposes: true,
        takes_text: Some(TextSlot::Reply),
        reply: Some("It comes on Monday.".into()),
        routes: false,
    }
}

fn person(name: &str, role: Role) -> Person {
    Person { name: name.into(), role }
}

fn agent(name: &str) -> Person {
    person(name, Role::Agent)
}

fn yes() -> Action {
    Action::yes()
}

fn with(text: &str) -> Action {
    Action::yes_with(text)
}

fn done(review: &Review, action: &Action, by: &Person, now_ms: i64) -> (Review, Next) {
    review.act(action, review.version, by, now_ms, LEASE).expect("allowed")
}

fn refused(review: &Review, action: &Action, by: &Person, now_ms: i64) -> Refused {
    review.act(action, review.version, by, now_ms, LEASE).expect_err("refused")
}

#[test]
fn every_action_raises_the_version_and_one_about_an_older_version_is_refused() {
    let claimed = done(&review(), &Action::Claim, &agent("lena"), 0).0;
    assert_eq!((claimed.version, claimed.state), (2, State::Claimed));
    assert_eq!(claimed.act(&yes(), 1, &agent("lena"), 0, LEASE), Err(Refused::Changed { now: 2 }));
}

#[test]
fn a_claim_keeps_others_out_until_its_lease_is_over_and_is_renewed_by_its_holder() {
    let claimed = done(&review(), &Action::Claim, &agent("lena"), 0).0;
    for action in [Action::Claim, yes(), Action::Release] {
        assert_eq!(refused(&claimed, &action, &agent("omar"), LEASE - 1), Refused::Taken { by: "lena".into() });
    }
    assert_eq!(done(&claimed, &Action::Claim, &agent("lena"), 10).0.claimed_until_ms, Some(LEASE + 10));
    assert_eq!(done(&claimed, &Action::Claim, &agent("omar"), LEASE).0.claimed_by.as_deref(), Some("omar"));
    assert_eq!(done(&claimed, &Action::Release, &person("mia", Role::Lead), 0).0.state, State::Open);
    assert_eq!(refused(&review(), &Action::Release, &agent("lena"), 0), Refused::NotClaimed);
}

#[test]
fn an_approval_is_carried_out_after_its_window_and_can_be_taken_back_within() {
    let (approved, next) = done(&review(), &yes(), &agent("lena"), 100);
    assert!(matches!(next, Next::CarryOut { at_ms: 5_100, .. }));
    assert!(approved.permission().is_some() && review().permission().is_none());
    assert_eq!((approved.state, approved.decided_by.as_deref()), (State::Approved, Some("lena")));
    assert_eq!(refused(&approved, &yes(), &agent("lena"), 100), Refused::Decided { state: "approved" });
    let (again, next) = done(&approved, &Action::Undo, &agent("lena"), 5_099);
    assert_eq!((again.state, next), (State::Claimed, Next::TakeBack));
    assert_eq!(refused(&approved, &Action::Undo, &agent("lena"), 5_100), Refused::TooLate);
    assert!(matches!(refused(&approved, &Action::Undo, &agent("omar"), 200), Refused::Taken { .. }));
}

#[test]
fn what_was_undone_keeps_the_text_of_its_reviewer() {
    let approved = done(&review(), &with("better"), &agent("lena"), 0).0;
    assert_eq!(done(&approved, &Action::Undo, &agent("lena"), 1).0.amended.text.as_deref(), Some("better"));
}

#[test]
fn where_two_must_approve_one_person_is_not_enough_and_both_approve_one_text() {
    let two = Review { approvals_needed: 2, ..review() };
    let (first, next) = done(&two, &yes(), &agent("lena"), 0);
    assert_eq!((first.state, next), (State::Open, Next::Stands));
    assert_eq!(refused(&first, &yes(), &agent("lena"), 1), Refused::SamePerson);
    assert!(matches!(done(&first, &yes(), &agent("omar"), 1).1, Next::CarryOut { .. }));
    let (changed, next) = done(&first, &with("other words"), &agent("omar"), 1);
    assert_eq!(next, Next::Stands, "lena has not seen these words");
    assert_eq!(refused(&changed, &yes(), &agent("omar"), 2), Refused::SamePerson);
    assert!(matches!(done(&changed, &yes(), &agent("lena"), 2).1, Next::CarryOut { .. }));
}

#[test]
fn only_its_reviewers_may_decide_and_after_an_escalation_only_leads() {
    let named = Review { reviewers: vec!["nurse".into()], ..review() };
    assert!(refused(&named, &yes(), &person("boss", Role::Admin), 0).is_role());
    done(&named, &yes(), &agent("nurse"), 0);
    let up = done(&review(), &Action::Escalate { said: "over my limit".into() }, &agent("lena"), 0).0;
    assert!(refused(&up, &yes(), &agent("lena"), 0).is_role());
    done(&up, &yes(), &person("mia", Role::Lead), 0);
}

#[test]
fn what_is_for_admins_is_not_escalated_down_and_who_may_not_decide_does_not_keep_what_they_stopped() {
    let (admin, lead) = (person("boss", Role::Admin), person("mia", Role::Lead));
    let top = Review { reviewers: vec!["admin".into()], ..review() };
    let up = done(&top, &Action::Escalate { said: String::new() }, &admin, 0).0;
    assert!(refused(&up, &yes(), &lead, 0).is_role());
    let named = Review { reviewers: vec!["nurse".into()], ..review() };
    let stopped = done(&done(&named, &yes(), &agent("nurse"), 0).0, &Action::Undo, &lead, 1).0;
    assert_eq!((stopped.state, stopped.holder(1)), (State::Open, None));
}

#[test]
fn a_text_or_a_reason_without_end_is_refused() {
    let long = "x".repeat(MAX_TEXT_CHARS + 1);
    let said = "x".repeat(MAX_SAID_CHARS + 1);
    let no = Action::Reject { reason: RejectReason::Other, said: said.clone() };
    for action in [with(&long), no, Action::Escalate { said }] {
        assert_eq!(refused(&review(), &action, &agent("lena"), 0), Refused::TooLong);
        assert!(Refused::TooLong.is_invalid());
    }
    done(&review(), &with(&long[1..]), &agent("lena"), 0);
}

#[test]
fn what_proposes_nothing_is_approved_only_with_a_text() {
    let bare = Review { proposes: false, reply: None, ..review() };
    assert_eq!(refused(&bare, &yes(), &agent("lena"), 0), Refused::NothingProposed);
    assert_eq!(refused(&bare, &with("  "), &agent("lena"), 0), Refused::EmptyText);
    done(&bare, &with("my own"), &agent("lena"), 0);
    let fixed = Review { takes_text: None, ..review() };
    assert_eq!(refused(&fixed, &with("words"), &agent("lena"), 0), Refused::NoText);
    let neither = Review { takes_text: None, ..bare.clone() };
    assert_eq!(refused(&neither, &yes(), &agent("lena"), 0), Refused::NothingToApprove);
    let lost = Review { is_placed: false, ..review() };
    assert_eq!(refused(&lost, &with("words"), &agent("lena"), 0), Refused::Unplaced);
}

#[test]
fn nothing_goes_out_with_a_place_that_nobody_filled_in() {
    let open = Review { reply: Some("Dear {{name}}, we send [amount] today.".into()), ..review() };
    assert_eq!(refused(&open, &yes(), &agent("lena"), 0), Refused::Unfilled { places: 2 });
    assert_eq!(refused(&open, &with("Dear {{name}}"), &agent("lena"), 0), Refused::Unfilled { places: 1 });
    done(&open, &with("Dear Ann, we send 20 € today."), &agent("lena"), 0);
    // The team may leave itself something to fill in.
    let note = Review { reply: None, takes_text: Some(TextSlot::Note), ..review() };
    done(&note, &with("Ask for [order number]"), &agent("lena"), 0);
    assert!(!Refused::Unfilled { places: 2 }.is_role() && Refused::Unfilled { places: 2 }.is_invalid());
}

#[test]
fn what_the_ticket_is_about_is_corrected_where_it_is_proposed() {
    let billing = Reroute { intent: Some(" billing ".into()), ..Reroute::default() };
    let corrects = |route: Reroute| Action::Approve(Amended { text: None, route: Some(route) });
    assert_eq!(refused(&review(), &corrects(billing.clone()), &agent("lena"), 0), Refused::NoRoute);
    let routes = Review { routes: true, takes_text: None, reply: None, ..review() };
    let kept = done(&routes, &corrects(billing.clone()), &agent("lena"), 0).0.amended.route.unwrap();
    assert_eq!(kept.intent.as_deref(), Some("billing"));
    for word in ["", " ", "two\nlines", &"x".repeat(101)] {
        let wrong = Reroute { queue: Some(word.into()), ..Reroute::default() };
        assert_eq!(refused(&routes, &corrects(wrong), &agent("lena"), 0), Refused::NoWord, "{word:?}");
    }
    let nothing = done(&routes, &corrects(Reroute::default()), &agent("lena"), 0).0;
    assert_eq!(nothing.amended, Amended::default(), "nothing is corrected");
}

#[test]
fn two_people_approve_one_correction() {
    let two = Review { approvals_needed: 2, routes: true, ..review() };
    let urgent = Reroute { priority: Some(Priority::Urgent), ..Reroute::default() };
    let corrects = Action::Approve(Amended { text: None, route: Some(urgent) });
    let first = done(&two, &yes(), &agent("lena"), 0).0;
    let (changed, next) = done(&first, &corrects, &agent("omar"), 1);
    assert_eq!(next, Next::Stands, "lena has not seen it");
    assert!(matches!(done(&changed, &yes(), &agent("lena"), 2).1, Next::CarryOut { .. }));
}

#[test]
fn a_rejection_has_a_reason_from_the_list_or_says_what_else() {
    let reject = |said: &str| Action::Reject { reason: RejectReason::meant(said), said: said.into() };
    let reason = |said: &str| done(&review(), &reject(said), &agent("lena"), 0).0.decision_reason.unwrap();
    assert_eq!(reason("Wrong facts"), "wrong_facts");
    assert_eq!(reason("too long"), "other: too long");
    assert_eq!(reason("other"), "other");
}

#[test]
fn nobody_acts_on_what_is_stale_or_expired() {
    for state in [State::Stale, State::Expired] {
        let over = Review { state, ..review() };
        for action in [Action::Claim, Action::Release, yes(), Action::Escalate { said: String::new() }] {
            assert_eq!(refused(&over, &action, &agent("lena"), 0), Refused::Decided { state: state.word() });
        }
        assert_eq!(refused(&over, &Action::Undo, &agent("lena"), 0), Refused::TooLate);
    }
}
