//! People who sign in: names, links, sessions and failures.

use frontdesk::domain::person::{Person, Role};
use frontdesk::store::{Accepted, Failures, NewInvitation, NewSession, UserChange, UserChanged};

use super::{Fresh, for_every_store};
use crate::harness::START_MS;

for_every_store! {
    a_name_is_taken_once,
    the_first_link_makes_an_admin_once_and_only_while_there_is_nobody,
    a_link_sets_a_password_once_and_a_new_link_takes_the_place_of_the_old_one,
    whoever_may_not_sign_in_any_more_is_signed_out_at_once,
    the_last_admin_stays_one,
    a_session_ends_when_nobody_is_there_and_when_it_is_old,
    another_password_signs_out_everywhere_else,
    failures_are_counted_until_a_success_or_long_after,
}

const HOUR_MS: i64 = 3_600_000;

fn person(name: &str, role: Role) -> Person {
    Person { name: name.to_owned(), role }
}

async fn made(fresh: &Fresh, name: &str, role: Role) {
    let password = Some("hash".to_owned());
    assert!(fresh.store.create_user(person(name, role), password, "test".to_owned(), START_MS).await.unwrap());
}

async fn signed_in(fresh: &Fresh, secret: &str, name: &str, now_ms: i64) -> bool {
    let session = NewSession {
        hash: secret.as_bytes().to_vec(),
        user: name.to_owned(),
        until_ms: now_ms + 24 * HOUR_MS,
        instead_of: None,
    };
    fresh.store.open_session(session, now_ms).await.unwrap()
}

async fn who(fresh: &Fresh, secret: &str, now_ms: i64) -> Option<String> {
    let found = fresh.store.session(secret.as_bytes().to_vec(), HOUR_MS, now_ms).await.unwrap();
    found.map(|found| found.person.name)
}

fn invitation(secret: &str, user: Option<&str>, until_ms: i64) -> NewInvitation {
    let user = user.map(str::to_owned);
    NewInvitation { hash: secret.as_bytes().to_vec(), user, by: "test".to_owned(), until_ms }
}

async fn accept(fresh: &Fresh, secret: &str, name: &str, now_ms: i64) -> Accepted {
    let hash = secret.as_bytes().to_vec();
    fresh.store.accept_invitation(hash, name.to_owned(), "new hash".to_owned(), now_ms).await.unwrap()
}

async fn a_name_is_taken_once(fresh: Fresh) {
    made(&fresh, "lena", Role::Agent).await;
    assert!(!fresh.store.create_user(person("lena", Role::Admin), None, "test".to_owned(), START_MS).await.unwrap());
    let users = fresh.store.users().await.unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!((users[0].person.clone(), users[0].has_password), (person("lena", Role::Agent), true));
}

async fn the_first_link_makes_an_admin_once_and_only_while_there_is_nobody(fresh: Fresh) {
    let until_ms = START_MS + HOUR_MS;
    assert!(fresh.store.invite(invitation("one", None, until_ms), START_MS).await.unwrap());
    assert_eq!(fresh.store.invitation(b"one".to_vec(), START_MS).await.unwrap(), Some(None));
    assert_eq!(fresh.store.invitation(b"one".to_vec(), until_ms).await.unwrap(), None, "it has run out");
    assert_eq!(accept(&fresh, "other", "eve", START_MS).await, Accepted::Gone);
    assert_eq!(accept(&fresh, "one", "ada", START_MS).await, Accepted::Done(person("ada", Role::Admin)));
    assert_eq!(accept(&fresh, "one", "eve", START_MS).await, Accepted::Gone, "once");
    assert!(!fresh.store.invite(invitation("two", None, until_ms), START_MS).await.unwrap(), "there is somebody");
}

async fn a_link_sets_a_password_once_and_a_new_link_takes_the_place_of_the_old_one(fresh: Fresh) {
    let until_ms = START_MS + HOUR_MS;
    fresh.store.create_user(person("lena", Role::Agent), None, "test".to_owned(), START_MS).await.unwrap();
    assert!(!fresh.store.invite(invitation("x", Some("nobody"), until_ms), START_MS).await.unwrap());
    assert!(fresh.store.invite(invitation("old", Some("lena"), until_ms), START_MS).await.unwrap());
    assert!(fresh.store.invite(invitation("new", Some("lena"), until_ms), START_MS).await.unwrap());
    assert_eq!(accept(&fresh, "old", "", START_MS).await, Accepted::Gone);
    assert_eq!(fresh.store.password("lena".to_owned()).await.unwrap(), None);
    assert_eq!(accept(&fresh, "new", "ignored", START_MS).await, Accepted::Done(person("lena", Role::Agent)));
    assert_eq!(fresh.store.password("lena".to_owned()).await.unwrap().as_deref(), Some("new hash"));
    assert_eq!(accept(&fresh, "new", "", START_MS).await, Accepted::Gone);
}

async fn whoever_may_not_sign_in_any_more_is_signed_out_at_once(fresh: Fresh) {
    made(&fresh, "ada", Role::Admin).await;
    made(&fresh, "lena", Role::Agent).await;
    assert!(signed_in(&fresh, "s", "lena", START_MS).await);
    let change = |disabled| UserChange { role: None, disabled: Some(disabled) };
    let done = fresh.store.change_user("lena".to_owned(), change(true), "ada".to_owned(), START_MS + 1).await.unwrap();
    assert_eq!(done, UserChanged::Done);
    assert_eq!(who(&fresh, "s", START_MS + 1).await, None);
    assert!(!signed_in(&fresh, "t", "lena", START_MS + 2).await);
    assert_eq!(fresh.store.password("lena".to_owned()).await.unwrap(), None, "not even with the password");
    assert!(!fresh.store.invite(invitation("x", Some("lena"), START_MS + HOUR_MS), START_MS).await.unwrap());
    fresh.store.change_user("lena".to_owned(), change(false), "ada".to_owned(), START_MS + 3).await.unwrap();
    assert_eq!(who(&fresh, "s", START_MS + 3).await, None, "an old session stays over");
    assert!(signed_in(&fresh, "u", "lena", START_MS + 3).await);
}

async fn the_last_admin_stays_one(fresh: Fresh) {
    made(&fresh, "ada", Role::Admin).await;
    made(&fresh, "lena", Role::Agent).await;
    let change = async |name: &str, role, disabled| {
        let change = UserChange { role, disabled };
        fresh.store.change_user(name.to_owned(), change, "test".to_owned(), START_MS).await.unwrap()
    };
    assert_eq!(change("ada", None, Some(true)).await, UserChanged::LastAdmin);
    assert_eq!(change("ada", Some(Role::Lead), None).await, UserChanged::LastAdmin);
    assert_eq!(fresh.store.user("ada".to_owned()).await.unwrap().unwrap().person.role, Role::Admin);
    assert_eq!(change("nobody", Some(Role::Lead), None).await, UserChanged::Missing);
    assert_eq!(change("lena", Some(Role::Admin), None).await, UserChanged::Done);
    assert_eq!(change("ada", Some(Role::Lead), None).await, UserChanged::Done);
}

async fn a_session_ends_when_nobody_is_there_and_when_it_is_old(fresh: Fresh) {
    made(&fresh, "lena", Role::Agent).await;
    assert!(!signed_in(&fresh, "s", "nobody", START_MS).await);
    assert!(signed_in(&fresh, "s", "lena", START_MS).await);
    assert_eq!(who(&fresh, "other", START_MS).await, None);
    assert_eq!(who(&fresh, "s", START_MS + HOUR_MS - 1).await.as_deref(), Some("lena"));
    assert_eq!(who(&fresh, "s", START_MS + HOUR_MS).await, None, "nobody was there for an hour");
    for hour in 1..24 {
        fresh.store.touch_session(b"s".to_vec(), START_MS + hour * HOUR_MS).await.unwrap();
    }
    assert_eq!(who(&fresh, "s", START_MS + 24 * HOUR_MS - 1).await.as_deref(), Some("lena"));
    assert_eq!(who(&fresh, "s", START_MS + 24 * HOUR_MS).await, None, "it is a day old");
    signed_in(&fresh, "t", "lena", START_MS + 25 * HOUR_MS).await;
    fresh.store.close_session(b"t".to_vec()).await.unwrap();
    assert_eq!(who(&fresh, "t", START_MS + 25 * HOUR_MS).await, None);
}

async fn another_password_signs_out_everywhere_else(fresh: Fresh) {
    made(&fresh, "lena", Role::Agent).await;
    for secret in ["here", "there"] {
        signed_in(&fresh, secret, "lena", START_MS).await;
    }
    let (name, stays) = ("lena".to_owned(), Some(b"here".to_vec()));
    let set = fresh.store.set_password(name.clone(), "other".to_owned(), stays, name, START_MS + 1).await.unwrap();
    assert!(set);
    assert_eq!(who(&fresh, "here", START_MS + 2).await.as_deref(), Some("lena"));
    assert_eq!(who(&fresh, "there", START_MS + 2).await, None);
}

async fn failures_are_counted_until_a_success_or_long_after(fresh: Fresh) {
    let keys = || vec!["pair".to_owned(), "name".to_owned()];
    // Waits for as many seconds as there were attempts, from the third on.
    let wait = |before: &[Failures], _| before.iter().map(|one| one.count).max().filter(|count| *count >= 3);
    let attempt = async |forget_before, now| fresh.store.try_sign_in(keys(), forget_before, now, wait).await.unwrap();
    let many = futures_util::future::join_all((0..20).map(|n| attempt(0, START_MS + n))).await;
    assert_eq!(many.iter().filter(|waits| waits.is_none()).count(), 3, "of many at once each counts: {many:?}");
    assert_eq!(attempt(0, START_MS + 30).await, Some(3), "what waits is not counted");
    let shared = || vec!["name".to_owned()];
    fresh.store.signed_in_well("pair".to_owned(), shared()).await.unwrap();
    assert_eq!(attempt(0, START_MS + 31).await, None, "a success was no failure");
    assert_eq!(attempt(0, START_MS + 32).await, Some(3));
    for _ in 0..9 {
        fresh.store.signed_in_well("pair".to_owned(), shared()).await.unwrap();
    }
    assert_eq!(attempt(0, START_MS + 33).await, None);
    for _ in 0..2 {
        attempt(0, START_MS + 34).await;
    }
    assert_eq!(attempt(0, START_MS + 35).await, Some(3), "and never less than none");
    assert_eq!(attempt(START_MS + 36, START_MS + HOUR_MS).await, None, "begun anew");
}
