//! What the customers of the night write, made from a few templates.

use crate::domain::ticket::Author;
use crate::store::NewTicket;

/// Subject and message; `{thing}`, `{day}` and `{order}` differ from ticket to ticket.
type Template = (&'static str, &'static str);

const TEMPLATES: [Template; 12] = [
    (
        "Where is my {thing}?",
        "My {thing} was due on {day}. The tracking page has not changed since. My order is {order}.",
    ),
    ("Parcel with the wrong {thing}", "The parcel came on {day} with another {thing} than I ordered. Order {order}."),
    ("The {thing} is broken", "I unpacked the {thing} on {day} and it does not work. Order {order}. What now?"),
    ("Reports page shows an error", "Since {day} the reports page shows an error when I look for order {order}."),
    (
        "How do I clean the {thing}?",
        "How can I clean the {thing} without spoiling it? It came with order {order} on {day}.",
    ),
    ("Where can I find the manual", "Where can I find the manual of the {thing}? The box of order {order} had none."),
    ("Invoice for order {order}", "Please send me the invoice for the {thing} again, I need it by {day}."),
    (
        "The {thing} in blue",
        "It would be great to have the {thing} of order {order} in blue. I would order one on {day}.",
    ),
    ("Thank you for the {thing}", "Thank you, the {thing} of order {order} came on {day} and we love it."),
    ("Another name on my account", "Please change the name in my profile before {day}. It is about order {order}."),
    ("Delivery to another door", "Could the courier bring the {thing} to our neighbour on {day}? Order {order}."),
    ("App is slow on {day}", "The app is slow each {day} when I look at the {thing} of order {order}."),
];

/// What no machine decides about alone: one ticket in [`SENSITIVE_EVERY`].
const SENSITIVE: [Template; 2] = [
    ("Money back for the {thing}", "The {thing} broke on {day}. I want a refund for order {order}, no new one."),
    ("Locked out", "I forgot my password on {day} and cannot log in to see order {order}."),
];
const SENSITIVE_EVERY: u32 = 20;

const THINGS: [&str; 7] = ["lamp", "oak table", "chair", "carpet", "mirror", "shelf", "sofa"];
const DAYS: [&str; 5] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"];

/// The id of a ticket with this number.
pub(super) fn id(number: u32) -> String {
    format!("T-{number}")
}

/// Whether the policy wants a person to look at what this ticket is about.
pub(super) fn is_sensitive(number: u32) -> bool {
    number.is_multiple_of(SENSITIVE_EVERY)
}

/// The ticket with this number.
pub(super) fn ticket(number: u32, queue: &str) -> NewTicket {
    let (subject, message) =
        if is_sensitive(number) { pick(&SENSITIVE, number / SENSITIVE_EVERY) } else { pick(&TEMPLATES, number) };
    let order = (80_000 + number).to_string();
    let filled = |text: &str| {
        text.replace("{thing}", pick(&THINGS, number)).replace("{day}", pick(&DAYS, number)).replace("{order}", &order)
    };
    NewTicket {
        id: Some(id(number)),
        subject: filled(subject),
        queue: queue.to_owned(),
        tags: Vec::new(),
        messages: vec![(Author::Customer, filled(message))],
    }
}

fn pick<T: Copy, const N: usize>(of: &[T; N], number: u32) -> T {
    of[number as usize % N]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_tickets_of_a_night_say_the_same_and_nothing_is_left_to_fill_in() {
        let texts: BTreeSet<String> = (3001..=4000)
            .map(|number| {
                let ticket = ticket(number, "night");
                format!("{}\n{}", ticket.subject, ticket.messages[0].1)
            })
            .collect();
        assert_eq!(texts.len(), 1000);
        assert!(texts.iter().all(|text| !text.contains(['{', '}'])));
        assert_eq!((3001..=4000).filter(|number| is_sensitive(*number)).count(), 50);
    }
}
