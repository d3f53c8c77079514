//! How a failed or unanswered tool shows. OpenAI has no event for it, and the
//! response is `completed` all the same: it has to be read off the output items
//! (item types as in OpenAI's SDKs of autumn 2026).

use crate::domain::resource::{ToolTrouble, ToolTroubleKind};

use super::lenient::ErrorJson;
use super::read::code;
use super::types::ItemJson;

/// Item types that exist, apart from messages. Others are reported as unknown.
const KNOWN: [&str; 27] = [
    "reasoning",
    "file_search_call",
    "web_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "computer_call",
    "computer_call_output",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "mcp_call",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "shell_call",
    "shell_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "tool_search_call",
    "tool_search_output",
    "program",
    "program_output",
    "additional_tools",
    "compaction",
];

pub(super) fn is_known(kind: &str) -> bool {
    kind == "message" || KNOWN.contains(&kind)
}

/// What is the matter with the tools of these items, in their order.
pub(super) fn troubles(items: &[ItemJson<'_>]) -> Vec<ToolTrouble> {
    items
        .iter()
        .enumerate()
        .filter_map(|(at, item)| {
            let tool = item.kind.get()?;
            let after = items.get(at.saturating_add(1)..).unwrap_or_default();
            let (kind, detail) = trouble(tool, item, after)?;
            Some(ToolTrouble { tool: code(tool), kind, detail })
        })
        .collect()
}

fn trouble(tool: &str, item: &ItemJson<'_>, after: &[ItemJson<'_>]) -> Option<(ToolTroubleKind, String)> {
    if matches!(tool, "message" | "reasoning") {
        return None;
    }
    if let ErrorJson::Present(kind) = &item.error {
        let kind = kind.as_deref().map_or_else(|| "error".to_owned(), code);
        return Some((ToolTroubleKind::Failed, kind));
    }
    if tool == "mcp_approval_request" {
        let answered = after.iter().any(|other| answers(item.id.get(), other.approval_request_id.get()));
        return (!answered).then(|| (ToolTroubleKind::AwaitingApproval, "approval".to_owned()));
    }
    // On a call that waits for us, the status only says whether its arguments
    // are complete; whether somebody answered is what matters.
    if is_ours_to_answer(tool, item) && !is_answered(item, after) {
        let status = item.status.get().map_or_else(|| "no status".to_owned(), code);
        return Some((ToolTroubleKind::Unanswered, status));
    }
    match item.status.get() {
        Some(status @ ("failed" | "incomplete")) => Some((ToolTroubleKind::Failed, status.to_owned())),
        _ => None,
    }
}

fn is_ours_to_answer(tool: &str, item: &ItemJson<'_>) -> bool {
    match tool {
        "function_call" | "custom_tool_call" | "computer_call" | "shell_call" | "local_shell_call"
        | "apply_patch_call" => true,
        "tool_search_call" => item.execution.is("client"),
        _ => false,
    }
}

/// A message of the model's after the call, or the call's own output (as with a
/// shell that OpenAI hosts). Commentary is not an answer: the model talks while it waits.
fn is_answered(item: &ItemJson<'_>, after: &[ItemJson<'_>]) -> bool {
    after.iter().any(|other| match other.kind.get() {
        Some("message") => !other.phase.is("commentary"),
        Some(kind) if kind.ends_with("_output") => answers(item.call_id.get(), other.call_id.get()),
        _ => false,
    })
}

fn answers(asked: Option<&str>, answered: Option<&str>) -> bool {
    asked.is_some() && asked == answered
}
