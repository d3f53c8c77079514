//! Restoring as an operator does it: by command, by hand, and with the power
//! going off in between.

use std::time::Duration;

use frontdesk::store::{NewTicket, Store};
use rusqlite::Connection;
use serde_json::json;

use crate::process::{Place, wait};

async fn add_ticket(place: &Place, id: &str) {
    let store = Store::open(place.location(), true).unwrap();
    let (id, subject, queue) = (Some(id.to_owned()), "Lamp".to_owned(), "support".to_owned());
    let new = NewTicket { id, subject, queue, tags: Vec::new(), messages: Vec::new() };
    store.create_ticket(new, 1).await.unwrap();
    drop(store);
    let sql = Connection::open(place.file()).unwrap();
    while sql.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0)).is_err() {
        tokio::task::yield_now().await;
    }
}

fn tickets(place: &Place) -> Vec<String> {
    let sql = Connection::open(place.file()).unwrap();
    let whole: String = sql.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    let mut list = sql.prepare("SELECT id FROM tickets ORDER BY seq").unwrap();
    list.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// A database with two tickets and a copy with the first of them.
async fn place() -> Place {
    let place = Place::in_a_file();
    add_ticket(&place, "T-old").await;
    place.run(&["backup", "copy.db"]).succeeds();
    add_ticket(&place, "T-new").await;
    place
}

#[tokio::test]
async fn a_copy_is_restored_only_when_nothing_runs_and_the_program_says_from_then_on_that_it_was() {
    let place = place().await;
    place.run(&["restore", "copy.db"]).fails(1, &["frontdesk.db is there already", "--replace"]);
    place.run(&["restore", "none.db", "--replace"]).fails(1, &["no file none.db"]);
    let server = place.serve(&[]);
    place.run(&["restore", "copy.db", "--replace"]).fails(1, &["in use", "stop every Frontdesk"]);
    assert_eq!(server.stop(), 0);
    assert_eq!(tickets(&place), ["T-old", "T-new"]);
    let told = place.json(&["restore", "copy.db", "--replace"]);
    assert_eq!((&told["starts_in_doubt"], &told["not_in_it"]["erased_tickets"]), (&json!(0), &json!([])));
    assert!(told["kept"].as_str().unwrap().contains("frontdesk.db.replaced-"), "{told}");
    assert!(told["copied_at"].is_string() && told["marked"]["restored_at"].is_string(), "{told}");
    assert_eq!(tickets(&place), ["T-old"]);
    let audit = place.json(&["audit"]);
    assert_eq!(audit["restored"], told["marked"]);
    let said = place.run(&["audit"]).succeeds();
    assert!(said.out.contains("restored at") && said.out.contains("looked for on the ticket"), "{said:?}");
    let doctor = place.run(&["doctor", "--json"]).json();
    let item =
        doctor["items"].as_array().unwrap().iter().find(|item| item["item"].as_str().unwrap().contains("restored"));
    assert_eq!(item.unwrap()["state"], "warning");
    let mut server = place.launch(&[]);
    assert!(!server.lines_until_ready().iter().any(|line| line.contains("was restored")), "it knows already");
    assert_eq!(server.stop(), 0);
}

#[tokio::test]
async fn a_copy_put_there_by_hand_is_told_of_in_the_log_once() {
    let place = place().await;
    std::fs::copy(place.dir.path().join("copy.db"), place.file()).unwrap();
    let told = |place: &Place| {
        let mut server = place.launch(&[]);
        let lines = server.lines_until_ready();
        assert_eq!(server.stop(), 0);
        lines.iter().filter(|line| line.contains("this database was restored")).count()
    };
    assert_eq!((told(&place), told(&place)), (1, 0));
    let trail = place.json(&["trail", "list", "--subject", "database"]);
    assert_eq!(
        (&trail["items"][0]["action"], &trail["items"][0]["detail"]["how"]),
        (&json!("database.restored"), &json!("noticed"))
    );
}

#[tokio::test]
async fn a_person_tells_a_database_that_it_was_restored_by_other_means() {
    let place = place().await;
    assert_eq!(place.json(&["audit"])["restored"], json!(null));
    let told = place.json(&["restored"]);
    assert_eq!(told["starts_in_doubt"], 0);
    assert_eq!(place.json(&["audit"])["restored"]["restored_at"], told["restored_at"]);
}

#[tokio::test]
async fn killed_at_any_moment_the_old_database_is_there_or_the_new_one() {
    let place = place().await;
    let (mut old, mut new) = (0, 0);
    // Until both have been seen, however slow this machine is.
    for round in (0..24_u64).chain((24..400).step_by(16)) {
        if round >= 24 && new > 0 {
            break;
        }
        let mut child =
            place.command(&["restore", "copy.db", "--replace"]).stderr(std::process::Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(round * 3)).await;
        child.kill().unwrap();
        wait(&mut child);
        match tickets(&place).iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["T-old", "T-new"] => old += 1,
            ["T-old"] => {
                new += 1;
                add_ticket(&place, "T-new").await;
            }
            other => panic!("{other:?}"),
        }
        for file in std::fs::read_dir(place.dir.path()).unwrap() {
            let path = file.unwrap().path();
            if path.to_string_lossy().contains(".replaced-") {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    println!("old {old}, new {new}");
    assert!(old > 0 && new > 0, "killed too early or too late each time: old {old}, new {new}");
    place.run(&["restore", "copy.db", "--replace"]).succeeds();
    assert_eq!(tickets(&place), ["T-old"]);
    assert!(!place.dir.path().join("frontdesk.db.restoring").exists(), "what was left is used and gone");
}
