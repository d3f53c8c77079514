//! How long content is kept here and at OpenAI, and whether it is kept at all.

use serde::Deserialize;

use super::{Config, Project, ProjectSettings, Wait};

/// How long content is kept; ids, hashes, states and counts stay.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Retention {
    pub bodies: Wait,
    pub results: Wait,
    pub reviews: Wait,
}

/// What is kept of content at all.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "explained in config.example.toml")]
pub struct Privacy {
    pub mode: Mode,
}

/// What is kept of content at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// As long as `[retention]` says.
    Full,
    /// Only while the job, or the person who decides, needs it.
    IdsOnly,
}

/// OpenAI's default, and what is left of it under zero data retention.
const STORED_MS: i64 = 30 * 86_400_000;
const UNSTORED_MS: i64 = 10 * 60_000;

/// What the sections say of one project; none is the one of `[openai]`.
pub(super) struct OfProject {
    pub(super) retention_ms: i64,
    pub(super) zero_data_retention: bool,
    pub(super) ids_only: bool,
}

impl OfProject {
    pub(super) fn of(config: &Config, project: Option<&Project>) -> OfProject {
        let own_zero = project.and_then(|project| project.zero_data_retention);
        let zero_data_retention = own_zero.unwrap_or(config.openai.zero_data_retention);
        let own = project.and_then(|project| project.retention);
        // What [openai] sets is not meant for a project that says something else about itself.
        let shared = config.openai.retention.filter(|_| zero_data_retention == config.openai.zero_data_retention);
        let by_default = if zero_data_retention { UNSTORED_MS } else { STORED_MS };
        let mode = project.and_then(|project| project.privacy).unwrap_or(config.privacy.mode);
        OfProject {
            retention_ms: own.or(shared).map_or(by_default, Wait::ms),
            zero_data_retention,
            ids_only: mode == Mode::IdsOnly,
        }
    }
}

impl ProjectSettings {
    /// What an operator must know when the project is under zero data
    /// retention: all work is started in background mode, whose results OpenAI
    /// then keeps for minutes only.
    #[must_use]
    pub fn background_warning(&self) -> Option<String> {
        self.zero_data_retention.then(|| {
            format!(
                "project {} is under zero data retention, and work is started in background mode: OpenAI keeps such a result for about \
                 ten minutes, and what is not fetched by then is lost",
                self.name
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn projects(text: &str) -> Vec<ProjectSettings> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        Config::load(Some(file.path()), &|_| None).expect("loads").projects().expect("projects")
    }

    #[test]
    fn under_zero_data_retention_results_are_fetched_within_ten_minutes_unless_it_says_otherwise() {
        let cases = [
            ("", STORED_MS, false),
            ("[openai]\nzero_data_retention = true\n", UNSTORED_MS, true),
            ("[openai]\nzero_data_retention = true\nretention = \"1h\"\n", 3_600_000, true),
            ("[openai]\nretention = \"7d\"\n", 7 * 86_400_000, false),
        ];
        for (text, retention_ms, warned) in cases {
            let project = projects(text).remove(0);
            assert_eq!(
                (project.retention_ms, project.background_warning().is_some()),
                (retention_ms, warned),
                "{text}"
            );
        }
    }

    #[test]
    fn a_project_says_for_itself_what_it_keeps_and_what_openai_keeps() {
        let all = projects(
            "[openai]\nretention = \"7d\"\n[projects.a]\nzero_data_retention = true\n[projects.b]\nprivacy = \"ids-only\"\n\
             [projects.c]\nzero_data_retention = true\nretention = \"20m\"\n",
        );
        let told: Vec<_> =
            all.iter().map(|p| (p.name.as_str(), p.retention_ms, p.zero_data_retention, p.ids_only)).collect();
        let week = 7 * 86_400_000;
        assert_eq!(
            told,
            [
                ("default", week, false, false),
                ("a", UNSTORED_MS, true, false),
                ("b", week, false, true),
                ("c", 1_200_000, true, false)
            ]
        );
        let warned: Vec<_> = all.iter().filter_map(ProjectSettings::background_warning).collect();
        assert!(warned.len() == 2 && warned[0].contains("project a"), "{warned:?}");
    }

    #[test]
    fn ids_only_for_all_holds_for_a_project_that_does_not_say_otherwise() {
        let all = projects("[privacy]\nmode = \"ids-only\"\n[projects.a]\n[projects.b]\nprivacy = \"full\"\n");
        assert_eq!(all.iter().map(|project| project.ids_only).collect::<Vec<_>>(), [true, true, false]);
    }
}
