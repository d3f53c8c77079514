//! The settings of workflows, and the files they name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ConfigError, wrong};
use crate::domain::custom::{CustomWorkflow, Extraction};

/// Longest prompt or schema that is read from a file, in bytes.
const MAX_FILE_BYTES: u64 = 100_000;

/// What teams may tune of the workflows, and those of their own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Workflows {
    #[serde(default)]
    pub summary: Tuned,
    pub classification: Classification,
    #[serde(default)]
    pub draft_reply: Tuned,
    #[serde(default)]
    pub call_report: Tuned,
    #[serde(default)]
    pub quality_check: Tuned,
    #[serde(default)]
    pub extraction: Extraction,
    #[serde(default)]
    pub custom: BTreeMap<String, CustomWorkflow>,
}

/// What may be tuned of every workflow.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Tuned {
    pub model: Option<String>,
}

/// What may be tuned of the classification.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Classification {
    pub model: Option<String>,
    pub queues: BTreeMap<String, String>,
}

impl Workflows {
    /// The models that are set for workflows that come with Frontdesk.
    #[must_use]
    pub fn models(&self) -> BTreeMap<String, String> {
        let all = [
            ("summary", &self.summary.model),
            ("classification", &self.classification.model),
            ("draft_reply", &self.draft_reply.model),
            ("call_report", &self.call_report.model),
            ("quality_check", &self.quality_check.model),
        ];
        all.into_iter().filter_map(|(name, model)| Some((name.to_owned(), model.clone()?))).collect()
    }

    /// Reads the prompts and schemas that are files. Their names are relative to
    /// the folder of the settings.
    pub(super) fn read_files(&mut self, folder: Option<&Path>) -> Result<(), ConfigError> {
        let Extraction { schema, schema_file, .. } = &mut self.extraction;
        read_over(schema, schema_file.as_ref(), folder, "workflows.extraction.schema")?;
        for (name, custom) in &mut self.custom {
            let setting = |key: &str| format!("workflows.custom.{name}.{key}");
            read_over(&mut custom.prompt, custom.prompt_file.as_ref(), folder, &setting("prompt"))?;
            read_over(&mut custom.schema, custom.schema_file.as_ref(), folder, &setting("schema"))?;
        }
        Ok(())
    }
}

fn read_over(
    text: &mut Option<String>,
    file: Option<&PathBuf>,
    folder: Option<&Path>,
    setting: &str,
) -> Result<(), ConfigError> {
    let Some(file) = file else { return Ok(()) };
    if text.is_some() {
        return Err(wrong(format!("{setting}: {setting}_file is set as well; keep one")));
    }
    let path = folder.unwrap_or(Path::new("")).join(file);
    let refused = |why: String| wrong(format!("{setting}_file: {}: {why}", path.display()));
    let bytes = std::fs::metadata(&path).map_err(|error| refused(error.to_string()))?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(refused(format!("{bytes} bytes, {MAX_FILE_BYTES} are allowed")));
    }
    *text = Some(std::fs::read_to_string(&path).map_err(|error| refused(error.to_string()))?);
    Ok(())
}
