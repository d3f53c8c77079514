//! What the settings say by themselves.

use super::super::finding::{Finding, ok, problem, warning};
use super::super::seen::Settings;
use super::of_each;
use crate::telemetry;

const HOUR_MS: i64 = 3_600_000;

pub(super) fn settings_are_good(settings: &Settings) -> Finding {
    let config = &settings.config;
    if let Err(why) = telemetry::log_filter(&config.log.filter) {
        return problem(why, "a filter is as in RUST_LOG: info, or frontdesk=debug");
    }
    if let Err(why) = config.database() {
        return problem(why.to_string(), "set DATABASE_URL to sqlite://PATH");
    }
    match &settings.projects {
        Ok(projects) => {
            let names: Vec<&str> = projects.iter().map(|project| project.settings.name.as_str()).collect();
            ok(format!("projects: {}", names.join(", ")))
        }
        Err(why) => problem(why, "set the secret again as OpenAI shows it"),
    }
}

/// Whether there are secrets, of the right shape, in files that only we can read.
pub(super) fn secret_is_stored_securely(settings: &Settings, _: i64) -> Finding {
    if let Err(why) = &settings.projects {
        return problem(why, "set the secret again as OpenAI shows it");
    }
    if let Some((file, mode)) = settings.secret_files.iter().find(|(_, mode)| mode & 0o077 != 0) {
        let fix = format!("chmod 600 {}, and think of the secret as known to others", file.display());
        return problem(
            format!("{} holds a secret and others may read or write it (mode {mode:o})", file.display()),
            fix,
        );
    }
    of_each(settings, |project| match project.settings.secrets.len() {
        0 => problem(
            "no signing secret",
            "set OPENAI_WEBHOOK_SECRET (or webhook_secret of the project) to the whsec_… that OpenAI showed",
        ),
        1 => ok(format!("one secret of the right shape ({})", project.settings.secrets[0].hint())),
        several => {
            ok(format!("{several} secrets are accepted, as in a rotation; take the old one out when it is over"))
        }
    })
}

/// How long OpenAI and we keep content, against how long we may need it.
pub(super) fn retention_is_known(settings: &Settings, _: i64) -> Finding {
    let forgotten = settings.database.as_ref().map_or(0, |database| database.facts.forgotten);
    if forgotten > 0 {
        return problem(
            format!("{forgotten} queued jobs wait for results that OpenAI may have deleted by now"),
            "are there too few workers, or is something paused for too long? see also openai.retention",
        );
    }
    let retention = &settings.config.retention;
    let here = format!(
        "bodies for {}, results for {}, reviews for {}",
        length(retention.bodies.ms()),
        length(retention.results.ms()),
        length(retention.reviews.ms())
    );
    of_each(settings, |project| {
        let project = &project.settings;
        let kept = format!("a result is taken to be kept by OpenAI for {}", length(project.retention_ms));
        let here = if project.ids_only {
            "here content is kept only while it is needed".to_owned()
        } else {
            format!("here {here}")
        };
        if let Some(why) = project.background_warning() {
            return warning(
                why,
                "keep workers running and pauses short; see whether your agreement with OpenAI covers background work",
            );
        }
        if project.retention_ms < HOUR_MS {
            return warning(
                format!("{kept}: work that waits longer is lost"),
                "set openai.zero_data_retention if that is why; keep workers running and pauses short",
            );
        }
        ok(format!("{kept}; {here}"))
    })
}

fn length(ms: i64) -> String {
    match ms / 1000 {
        seconds if seconds >= 172_800 => format!("{} days", seconds / 86_400),
        seconds if seconds >= 7_200 => format!("{} hours", seconds / 3_600),
        seconds => format!("{} minutes", seconds / 60),
    }
}
