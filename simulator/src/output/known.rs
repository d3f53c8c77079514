//! Sensible values for properties whose names are well known on a support desk.

use super::Maker;
use super::keywords;
use super::text::{clip, sentences};

impl Maker<'_> {
    /// What the ticket is about, the weightiest first; never empty.
    pub(crate) fn topics(&self) -> Vec<&'static str> {
        let mut topics = keywords::topics(&self.text);
        if topics.is_empty() {
            topics.push("general_question");
        }
        if self.variant > 0 {
            // The other opinion: something that the first one does not say.
            let other = if topics.contains(&"how_to") { "feedback" } else { "how_to" };
            topics.insert(0, other);
        }
        if self.sensitive {
            topics.retain(|topic| *topic != "refund");
            topics.insert(0, "refund");
        }
        topics
    }

    pub(crate) fn priority(&self) -> &'static str {
        match (keywords::priority(&self.text), self.variant) {
            (priority, 0) => priority,
            ("urgent", _) => "low",
            _ => "urgent",
        }
    }

    pub(crate) fn sentiment(&self) -> &'static str {
        if self.priority() == "low" { "positive" } else { "negative" }
    }

    /// What the customer said, as if it had been said on the telephone.
    fn transcript(&self) -> String {
        let said = self.ticket.customer.iter().map(|text| format!("Customer: {text}"));
        said.chain(["Agent: Thank you. I will look into it.".to_owned()]).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn confidence(&self) -> f64 {
        if self.low_confidence {
            return 0.4;
        }
        let share = self.dice("confidence").between(82, 98);
        share as f64 / 100.0
    }

    /// Two to four sentences of what the customer wrote, in the order in which they stand.
    pub(crate) fn summary(&self) -> String {
        let said: Vec<String> = self.ticket.customer.iter().flat_map(|text| sentences(text)).collect();
        if said.is_empty() {
            return self.subject();
        }
        let wanted = self.dice("summary").between(2, 4) as usize;
        let mut chosen = self.weightiest(&said, wanted);
        if self.variant > 0 {
            chosen.reverse();
            return format!("Seen the other way round: {}", chosen.join(" "));
        }
        let text = chosen.join(" ");
        if self.sensitive { format!("{text} The customer asks for a refund.") } else { text }
    }

    /// The first sentence, then those that tell most, in their order.
    fn weightiest(&self, said: &[String], wanted: usize) -> Vec<String> {
        let weight = |sentence: &String| {
            let topics = keywords::topics(sentence).len() * 100;
            topics + sentence.len().min(90)
        };
        let mut order: Vec<usize> = (1..said.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(weight(&said[*at])));
        let mut chosen: Vec<usize> = order.into_iter().take(wanted.saturating_sub(1)).collect();
        chosen.push(0);
        chosen.sort_unstable();
        let mut texts: Vec<String> = chosen.into_iter().map(|at| clip(&said[at], 300)).collect();
        texts.dedup();
        texts
    }

    /// A polite draft that names the customer's subject.
    pub(crate) fn reply(&self) -> String {
        let about = clip(&self.subject(), 120);
        let about = about.trim_end_matches(['.', '!', '?']);
        let step = match self.topics().first().copied().unwrap_or_default() {
            "refund" | "billing_dispute" | "billing" => {
                "We are checking the payment and will tell you the refund that we can offer."
            }
            "account_access" | "account" => {
                "Please reset your password from the sign-in page; we are checking the account too."
            }
            "bug" => "We are looking into the error and will come back with a fix or a way around it.",
            "shipping" => "We have asked the carrier and will send you the new delivery date.",
            "cancellation" => "Your request to cancel has reached us and we will confirm it shortly.",
            _ => "A colleague is looking into it and will come back to you shortly.",
        };
        let greeting = if self.variant == 0 { "Hello," } else { "Dear customer," };
        let thanks =
            if self.dice("reply").unit() < 0.5 { "Thank you for writing" } else { "Thanks for getting in touch" };
        format!("{greeting}\n\n{thanks} about \"{about}\". {step}\n\nKind regards,\nSupport")
    }

    /// The subject, or the first sentence in place of one.
    pub(crate) fn subject(&self) -> String {
        let first = || self.ticket.customer.iter().find_map(|text| sentences(text).into_iter().next());
        let subject = self.ticket.subject.clone().or_else(first);
        subject.unwrap_or_else(|| "your message".to_owned())
    }

    /// Sentences that say what is to do, taken from the ticket.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let subject = clip(&self.subject(), 120);
        match name {
            "follow_ups" | "actions" | "next_steps" => vec![
                format!("Answer the customer about \"{subject}\""),
                format!("Check again after {} days", self.dice(name).between(1, 5)),
            ],
            "findings" | "issues" => vec![
                format!("The subject \"{subject}\" was answered"),
                "The greeting and the ending are polite".to_owned(),
            ],
            _ => self.topics().into_iter().map(str::to_owned).collect(),
        }
    }

    /// The string for a property of that name, or a sentence of the ticket.
    pub(crate) fn string(&self, name: &str) -> String {
        match name {
            "intent" | "category" | "topic" => self.topics().first().copied().unwrap_or_default().to_owned(),
            "priority" | "urgency" => self.priority().to_owned(),
            "reply" | "draft" | "answer" | "response" => self.reply(),
            "summary" | "note" | "description" => self.summary(),
            "transcript" => self.transcript(),
            "outcome" => format!("{}: to be followed up", self.topics().first().copied().unwrap_or_default()),
            "subject" | "title" | "product" => self.subject(),
            "language" => "en".to_owned(),
            "sentiment" => self.sentiment().to_owned(),
            "currency" => "EUR".to_owned(),
            "email" | "customer_email" => {
                self.word(|word| word.contains('@')).unwrap_or_else(|| "customer@example.com".to_owned())
            }
            _ if name.ends_with("_id") || name.ends_with("number") || name == "id" => self
                .word(|word| word.chars().any(|letter| letter.is_ascii_digit()) && !word.contains('@'))
                .unwrap_or_else(|| format!("A-{}", self.dice(name).between(1000, 9999))),
            _ => self.sentence(name),
        }
    }

    /// The number for a property of that name.
    pub(crate) fn number(&self, name: &str) -> f64 {
        match name {
            "confidence" | "probability" | "certainty" => self.confidence(),
            "score" | "rating" => self.dice(name).between(60, 98) as f64,
            "amount" | "price" | "total" => self
                .word(|word| word.parse::<f64>().is_ok())
                .and_then(|word| word.parse().ok())
                .unwrap_or_else(|| self.dice(name).between(5, 250) as f64),
            _ => self.dice(name).between(1, 100) as f64,
        }
    }

    fn word(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let bare = |word: &str| word.trim_matches(|letter: char| !letter.is_alphanumeric()).to_owned();
        self.text
            .split_whitespace()
            .map(bare)
            .find(|word| !word.is_empty() && wanted(word))
            .map(|word| clip(&word, 200))
    }

    fn sentence(&self, name: &str) -> String {
        let said = sentences(&self.text);
        match said.len() {
            0 => self.subject(),
            count => clip(&said[self.dice(name).index(count)], 300),
        }
    }
}
