//! What can go wrong between us and OpenAI, sorted once into [`Failure`].

use std::fmt;

use crate::domain::failure::{Cause, Failure};

/// An error of the OpenAI client. Holds codes and numbers, never a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenAiError {
    /// The client cannot be built with these settings.
    #[error("the OpenAI settings do not work: {0}")]
    Settings(&'static str),
    /// An id that cannot be one; nothing was sent.
    #[error("the id is not one of OpenAI's")]
    BadId,
    /// No connection could be made; nothing was sent.
    #[error("no connection")]
    NoConnection,
    /// Nothing came within the time limits.
    #[error("no answer in time")]
    TimedOut,
    /// The connection broke before the answer began.
    #[error("the connection broke")]
    Broken,
    /// The answer was not 2xx.
    #[error("{0}")]
    Status(Box<Answer>),
    /// The body is larger than we take.
    #[error("the answer is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The body ended too early.
    #[error("the answer ended too early")]
    Truncated,
    /// The body is not the JSON that it should be.
    #[error("the answer is not readable at line {line}, column {column}")]
    Unreadable {
        /// From 1; 0 when it is not even text.
        line: usize,
        /// From 1; 0 when it is not even text.
        column: usize,
    },
    /// The JSON has no id: a proxy's page, or an error in disguise.
    #[error("the answer has no id")]
    NoId,
    /// The JSON is about another object than the one that was asked for.
    #[error("the answer is about another id")]
    OtherId,
    /// A list that goes on and on, so that what was looked for may still be in it.
    #[error("the list had not ended after {pages} pages")]
    Endless {
        /// How many were read.
        pages: usize,
    },
    /// Our own file, which was to be sent, cannot be read; nothing was sent.
    #[error("the file to be sent cannot be read")]
    OurFile,
}

/// An answer that was not 2xx, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// OpenAI's `error.code`, else its `error.type`, if it is a plain word.
    pub code: Option<String>,
    /// OpenAI's `x-request-id`, for its support.
    pub request_id: Option<String>,
    /// Quiet asked for, in milliseconds, at most one hour.
    pub retry_after_ms: Option<i64>,
    /// The `x-should-retry` header.
    pub should_retry: Option<bool>,
    /// Whether an object was asked for by id, so that 404 means that it is gone.
    pub by_id: bool,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if let Some(request_id) = &self.request_id {
            write!(f, " ({request_id})")?;
        }
        Ok(())
    }
}

impl Answer {
    /// Whether OpenAI says that the account cannot pay for more: such a 429 does
    /// not pass by waiting a little.
    fn is_quota(&self) -> bool {
        self.code.as_deref().is_some_and(|code| code.contains("quota") || code.contains("billing"))
    }

    /// The cause, and whether trying again can help when OpenAI does not say.
    fn sort(&self) -> (Cause, bool) {
        match self.status {
            401 | 403 => (Cause::OpenAiAuth, true),
            402 => (Cause::OpenAiQuota, true),
            429 if self.is_quota() => (Cause::OpenAiQuota, true),
            429 => (Cause::OpenAiRateLimited, true),
            408 | 409 | 500.. => (Cause::OpenAiServer, true),
            404 if self.by_id => (Cause::LostToRetention, false),
            400..=499 => (Cause::OpenAiRefused, false),
            // A redirect is not OpenAI's answer but that of something in between.
            _ => (Cause::OpenAiUnreadable, true),
        }
    }

    /// `x-should-retry: true` makes any refusal worth another try. `false` is
    /// meant for a loop within one call, as in OpenAI's own SDKs: it never ends a
    /// job whose fault may pass, because reading again later does no harm.
    fn into_failure(self) -> Failure {
        let detail = self.to_string();
        let (cause, passing) = self.sort();
        let passing = passing || self.should_retry == Some(true);
        if passing {
            Failure::Retryable { cause, detail, retry_after_ms: self.retry_after_ms }
        } else {
            Failure::last(cause, detail)
        }
    }
}

impl OpenAiError {
    /// The HTTP status, when OpenAI gave an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            OpenAiError::Status(answer) => Some(answer.status),
            _ => None,
        }
    }
}

impl From<OpenAiError> for Failure {
    fn from(error: OpenAiError) -> Failure {
        let detail = error.to_string();
        match error {
            OpenAiError::Status(answer) => answer.into_failure(),
            OpenAiError::BadId => Failure::last(Cause::OpenAiRefused, detail),
            OpenAiError::Settings(_) | OpenAiError::OurFile => Failure::retryable(Cause::Internal, detail),
            OpenAiError::NoConnection | OpenAiError::TimedOut | OpenAiError::Broken => {
                Failure::retryable(Cause::OpenAiUnreachable, detail)
            }
            OpenAiError::TooLarge { .. }
            | OpenAiError::Truncated
            | OpenAiError::Unreadable { .. }
            | OpenAiError::NoId
            | OpenAiError::OtherId
            | OpenAiError::Endless { .. } => Failure::retryable(Cause::OpenAiUnreadable, detail),
        }
    }
}

/// Why a response, a batch or a file was not created, sorted by what the caller may do next.
/// Creating has no idempotency at OpenAI, so only the first two may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// Nothing reached OpenAI.
    #[error("not sent: {0}")]
    NotSent(OpenAiError),
    /// OpenAI said no; nothing was started.
    #[error("refused: {0}")]
    Refused(OpenAiError),
    /// It may have been started (timeout, broken connection, 5xx, unreadable answer).
    #[error("unknown whether it was started: {0}")]
    Unknown(OpenAiError),
}

impl CreateError {
    /// The error itself.
    #[must_use]
    pub fn into_error(self) -> OpenAiError {
        match self {
            CreateError::NotSent(error) | CreateError::Refused(error) | CreateError::Unknown(error) => error,
        }
    }
}

impl From<OpenAiError> for CreateError {
    fn from(error: OpenAiError) -> CreateError {
        match &error {
            OpenAiError::Settings(_) | OpenAiError::BadId | OpenAiError::NoConnection | OpenAiError::OurFile => {
                CreateError::NotSent(error)
            }
            OpenAiError::Status(answer)
                if matches!(answer.status, 300..=499) && !matches!(answer.status, 408 | 409) =>
            {
                CreateError::Refused(error)
            }
            _ => CreateError::Unknown(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: Option<&str>) -> Answer {
        Answer {
            status,
            code: code.map(str::to_owned),
            request_id: Some("req_1".to_owned()),
            retry_after_ms: Some(1500),
            should_retry: None,
            by_id: true,
        }
    }

    fn sorted(answer: Answer) -> (Cause, bool) {
        let failure = Failure::from(OpenAiError::Status(Box::new(answer)));
        let retryable = matches!(failure, Failure::Retryable { .. });
        (failure.cause(), retryable)
    }

    #[test]
    fn each_status_is_sorted_once() {
        let table = [
            (401, None, Cause::OpenAiAuth, true),
            (403, None, Cause::OpenAiAuth, true),
            (402, None, Cause::OpenAiQuota, true),
            (429, Some("insufficient_quota"), Cause::OpenAiQuota, true),
            (429, Some("billing_hard_limit_reached"), Cause::OpenAiQuota, true),
            (429, Some("rate_limit_exceeded"), Cause::OpenAiRateLimited, true),
            (429, None, Cause::OpenAiRateLimited, true),
            (408, None, Cause::OpenAiServer, true),
            (409, None, Cause::OpenAiServer, true),
            (500, None, Cause::OpenAiServer, true),
            (529, None, Cause::OpenAiServer, true),
            (404, None, Cause::LostToRetention, false),
            (400, Some("invalid_prompt"), Cause::OpenAiRefused, false),
            (422, None, Cause::OpenAiRefused, false),
            (302, None, Cause::OpenAiUnreadable, true),
        ];
        for (status, code, cause, retryable) in table {
            assert_eq!(sorted(answer(status, code)), (cause, retryable), "{status} {code:?}");
        }
        let creating = Answer { by_id: false, ..answer(404, Some("model_not_found")) };
        assert_eq!(sorted(creating), (Cause::OpenAiRefused, false));
    }

    #[test]
    fn openai_may_call_a_refusal_passing_but_never_a_passing_fault_final() {
        let said = |status, retry| sorted(Answer { should_retry: Some(retry), ..answer(status, None) });
        assert_eq!(said(400, true), (Cause::OpenAiRefused, true));
        assert_eq!(said(500, false), (Cause::OpenAiServer, true));
        assert_eq!(said(429, false), (Cause::OpenAiRateLimited, true));
        assert_eq!(said(401, false), (Cause::OpenAiAuth, true));
    }

    #[test]
    fn a_failure_says_status_code_and_request_and_keeps_the_quiet_asked_for() {
        let error = OpenAiError::Status(Box::new(answer(429, Some("rate_limit_exceeded"))));
        let expected = Failure::Retryable {
            cause: Cause::OpenAiRateLimited,
            detail: "HTTP 429 rate_limit_exceeded (req_1)".to_owned(),
            retry_after_ms: Some(1500),
        };
        assert_eq!(Failure::from(error), expected);
    }

    #[test]
    fn errors_without_an_answer_are_sorted_too() {
        let table = [
            (OpenAiError::BadId, Cause::OpenAiRefused, false),
            (OpenAiError::NoConnection, Cause::OpenAiUnreachable, true),
            (OpenAiError::TimedOut, Cause::OpenAiUnreachable, true),
            (OpenAiError::Broken, Cause::OpenAiUnreachable, true),
            (OpenAiError::TooLarge { limit_bytes: 1 }, Cause::OpenAiUnreadable, true),
            (OpenAiError::Truncated, Cause::OpenAiUnreadable, true),
            (OpenAiError::NoId, Cause::OpenAiUnreadable, true),
            (OpenAiError::Endless { pages: 1 }, Cause::OpenAiUnreadable, true),
            (OpenAiError::OurFile, Cause::Internal, true),
        ];
        for (error, cause, retryable) in table {
            let failure = Failure::from(error);
            assert_eq!(failure.cause(), cause);
            assert_eq!(matches!(failure, Failure::Retryable { .. }), retryable, "{failure}");
        }
    }

    #[test]
    fn creating_is_sorted_by_what_may_have_been_started() {
        let status = |status| CreateError::from(OpenAiError::Status(Box::new(answer(status, None))));
        for refused in [302, 400, 401, 403, 404, 422, 429] {
            assert!(matches!(status(refused), CreateError::Refused(_)), "{refused}");
        }
        for unknown in [408, 409, 500, 502, 503, 504] {
            assert!(matches!(status(unknown), CreateError::Unknown(_)), "{unknown}");
        }
        let sent = |error| CreateError::from(error);
        for error in [OpenAiError::NoConnection, OpenAiError::OurFile] {
            assert!(matches!(sent(error), CreateError::NotSent(_)));
        }
        for error in [OpenAiError::TimedOut, OpenAiError::Broken, OpenAiError::Truncated] {
            assert!(matches!(sent(error), CreateError::Unknown(_)));
        }
    }
}
